"""Pairs of items that the same users chose: what is drawn of them, what never is, and what they teach."""

from pathlib import Path

import numpy as np
import pytest
from worlds.choices import items, settings_of_lake, write_copy

from xlrec.errors import ConfigError, InputError
from xlrec.training.encoder import AdaptConfig, adapt_encoder
from xlrec.training.encoder.choices import LAKE_CHOICES, LAKE_TEXTS, ConceptRows
from xlrec.training.encoder.config import BatchConfig, LakeConfig, TextsConfig
from xlrec.training.encoder.losses import same_pairs
from xlrec.training.encoder.retrieval import choice_tasks, share_nearer
from xlrec.training.encoder.sampler import Sampler
from xlrec.training.encoder.texts import Texts, is_dev_concept, read_texts


def silent(_: str) -> None:
    """Takes no line."""


def read(
    folder: Path, rows: dict[str, list[str]], pairs: list[tuple[str, str]], source: str = LAKE_CHOICES, **more: object
) -> tuple[Texts, TextsConfig]:
    lake = LakeConfig(folder="lake", copied=str(write_copy(folder / "copy", rows, pairs, source)))
    chosen = TextsConfig.model_validate({"lake": lake.model_dump(), "dev_share": 0.2, **more})
    return read_texts(chosen), chosen


def few(**languages: list[str]) -> dict[str, list[str]]:
    """Items `name_` with a text of their own in each of these languages."""
    found: dict[str, list[str]] = {"item_id": [], "language": [], "text": []}
    for item, spoken in languages.items():
        for language in spoken:
            for name, value in (("item_id", item), ("language", language), ("text", f"{item} in {language}")):
                found[name].append(value)
    return found


def neighbouring(n: int) -> list[tuple[str, str]]:
    """Pairs across languages of the same meaning, and of the next one."""
    same = [(f"en-{number:04d}", f"xx-{number:04d}") for number in range(n)]
    return same + [(f"en-{number:04d}", f"xx-{number + 1:04d}") for number in range(n - 1)]


def test_no_text_of_a_dev_item_is_ever_drawn_through_a_pair(tmp_path: Path) -> None:
    texts, chosen = read(tmp_path, items(100), neighbouring(100))
    dev_items = set(texts.concept[texts.is_dev].tolist())
    assert len(dev_items) > 20
    assert 0.3 < texts.choices.is_dev.mean() < 0.5  # of either item
    sampler = Sampler(texts, chosen, BatchConfig(pairs=256))
    met = set()
    for step in range(30):
        pairs = sampler.draw_pairs(np.random.default_rng(step))
        met.update(pairs.a.tolist() + pairs.b.tolist())
    assert not dev_items & set(texts.concept[sorted(met)].tolist())
    trained = texts.choices.select_pairs(~texts.choices.is_dev)
    assert set(texts.concept[sorted(met)].tolist()) == set(trained.left.tolist() + trained.right.tolist())


def test_an_item_that_reads_as_a_dev_item_teaches_nothing_either(tmp_path: Path) -> None:
    rows, pairs = items(100), neighbouring(100)
    dev = next(place for place, one in enumerate(rows["item_id"]) if is_dev_concept(one, 0.2))
    twin = next(place for place, one in enumerate(rows["item_id"]) if not is_dev_concept(one, 0.2))
    rows["text"][twin] = rows["text"][dev]
    texts, _ = read(tmp_path, rows, pairs)
    everything = texts.take(np.arange(len(texts)))
    assert everything.count(rows["text"][dev]) == 1
    assert texts.is_dev[everything.index(rows["text"][dev])]


def test_most_pairs_cross_languages_and_none_joins_an_item_with_itself(tmp_path: Path) -> None:
    rows = few(a=["en", "de", "fr"], b=["en", "de"], c=["en"], d=["en"])
    texts, chosen = read(tmp_path, rows, [("a", "b"), ("c", "a"), ("c", "d")], LAKE_TEXTS, dev_share=0.0)
    for share, expected in ((0.0, 0.0), (0.5, 0.3)):
        sampler = Sampler(
            texts,
            chosen.model_copy(update={"source_weights": {LAKE_TEXTS: 0.0}}),
            BatchConfig(pairs=2000, same_language_share=share),
        )
        pairs = sampler.draw_pairs(np.random.default_rng(0))
        assert (texts.concept[pairs.a] != texts.concept[pairs.b]).all()
        alike = float((texts.language[pairs.a] == texts.language[pairs.b]).mean())
        assert expected <= alike <= expected * 1.5
    both = Sampler(texts, chosen, BatchConfig(pairs=2000, joined_share=0.5)).draw_pairs(np.random.default_rng(0))
    of_one_item = texts.concept[both.a] == texts.concept[both.b]
    assert (texts.language[both.a] != texts.language[both.b])[of_one_item].all()
    slot = np.repeat(np.arange(len(both)), np.diff(both.starts))
    assert 0.3 < len(set(slot[of_one_item].tolist())) / len(both) < 0.6  # both sources weigh the same


def test_pairs_in_one_language_alone_are_learnt_only_where_they_are_let_in(tmp_path: Path) -> None:
    texts, chosen = read(tmp_path, few(a=["en"], b=["en"], c=["en"]), [("a", "b"), ("b", "c")], dev_share=0.0)
    assert len(Sampler(texts, chosen, BatchConfig(pairs=50)).draw_pairs(np.random.default_rng(0))) > 1
    with pytest.raises(InputError, match="nothing to learn from"):
        Sampler(texts, chosen, BatchConfig(same_language_share=0.0))


def test_what_shares_an_item_with_a_pair_is_not_its_negative(tmp_path: Path) -> None:
    texts, chosen = read(tmp_path, few(a=["en"], b=["de"], c=["fr"]), [("a", "b"), ("b", "c")], dev_share=0.0)
    pairs = Sampler(texts, chosen, BatchConfig(pairs=20)).draw_pairs(np.random.default_rng(0))
    rows, columns = same_pairs(pairs, texts.concept, np.arange(2 * len(pairs)))
    items = [{int(texts.concept[pairs.a[row]]), int(texts.concept[pairs.b[row]])} for row in range(len(pairs))]
    expected = {(i, j) for i in range(len(pairs)) for j in range(len(pairs)) if i != j and items[i] & items[j]}
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_every_draw_by_concept_is_what_looking_at_all_rows_gives() -> None:
    rng = np.random.default_rng(0)
    concept, language = rng.integers(0, 8, size=30), rng.integers(0, 3, size=30)
    rows = np.flatnonzero(rng.random(30) < 0.8)
    by_concept = ConceptRows(concept, language, rows, 3)
    drawn: dict[tuple[str, int, int], set[int]] = {}
    asked = np.repeat(np.arange(9), 3), np.tile(np.arange(3), 9)
    for step in range(200):
        rng = np.random.default_rng(step)
        found = {"any": by_concept.in_any(asked[0], rng), "this": by_concept.in_language(*asked, rng)}
        found["other"] = by_concept.in_another(*asked, rng)
        for name, numbers in found.items():
            for one, tongue, number in zip(*asked, numbers.tolist(), strict=True):
                drawn.setdefault((name, int(one), int(tongue)), set()).add(number)
    for (name, one, tongue), numbers in drawn.items():
        mine = [row for row in rows.tolist() if concept[row] == one]
        kept = {"any": mine, "this": [row for row in mine if language[row] == tongue]}
        kept["other"] = [row for row in mine if language[row] != tongue]
        assert numbers == (set(kept[name]) or {-1})
    only = [{int(language[row]) for row in rows if concept[row] == one} for one in range(9)]
    assert by_concept.only_language(np.arange(9)).tolist() == [min(one) if len(one) == 1 else -1 for one in only]


def test_the_order_of_the_files_changes_nothing(tmp_path: Path) -> None:
    rows, pairs = items(60), neighbouring(60)
    back = {name: values[::-1] for name, values in rows.items()}
    one, _ = read(tmp_path / "one", rows, pairs)
    other, _ = read(tmp_path / "other", back, [(right, left) for left, right in pairs[::-1]])
    every = np.arange(len(one))
    assert one.take(every) == other.take(every)
    assert np.array_equal(one.choices.left, other.choices.left)
    assert np.array_equal(one.choices.right, other.choices.right)


def test_dev_pairs_are_measured_by_language_and_other_right_answers_do_not_count(tmp_path: Path) -> None:
    texts, _ = read(tmp_path, items(200), neighbouring(200), dev_share=0.3)
    config = AdaptConfig.model_validate(settings_of_lake(tmp_path, {})).measure
    tasks = choice_tasks(texts, config, 0)
    assert [(task.source, task.language) for task in tasks] == [(LAKE_CHOICES, "en"), (LAKE_CHOICES, "xx")]
    pairs = set(zip(texts.choices.left.tolist(), texts.choices.right.tolist(), strict=True))
    right = tasks[0].also_right
    assert right is not None
    assert right.diagonal().all()
    for i, one in enumerate(texts.concept[tasks[0].queries].tolist()):
        for j, other in enumerate(texts.concept[tasks[0].candidates].tolist()):
            assert right[i, j] == (one == other or (one, other) in pairs or (other, one) in pairs)
    assert (texts.is_dev[tasks[0].queries] | texts.is_dev[tasks[0].candidates]).all()
    assert not np.any(texts.language[tasks[0].queries] == texts.language[tasks[0].candidates])


def test_a_chosen_item_is_compared_with_those_that_were_not_chosen() -> None:
    queries = np.eye(3, dtype=np.float32)
    candidates = np.array([[1, 0, 0], [0.5, 0.2, 0.2], [0, 0.9, 0.2]], dtype=np.float32)
    right = np.eye(3, dtype=np.bool_)
    assert share_nearer(queries, candidates, right) == pytest.approx((1 + 0.5 + 0.75) / 3)
    right[1, 2] = True
    assert share_nearer(queries, candidates, right) == pytest.approx((1 + 1 + 0.75) / 3)
    assert share_nearer(queries, candidates, np.ones((3, 3), dtype=np.bool_)) == 0.0


def test_items_chosen_together_are_nearer_after_training_on_held_out_pairs(tmp_path: Path) -> None:
    pairs = [(f"en-{number:04d}", f"xx-{number:04d}") for number in range(400)]
    copy = {"copied": str(write_copy(tmp_path / "copy", items(), pairs, LAKE_CHOICES))}
    found = []
    for steps, rate in ((1, 1e-9), (150, 0.1)):
        folder = tmp_path / str(steps)
        static = {"dim": 32, "buckets": 2000, "learning_rate": rate}
        config = AdaptConfig.model_validate(settings_of_lake(folder, copy, steps=steps, static=static))
        found.append(adapt_encoder(config, silent)[LAKE_CHOICES, "en"])
    assert 0.4 < found[0] < 0.6  # chance
    assert found[1] > 0.95
    card = (Path(config.output) / "README.md").read_text()
    assert f"| {LAKE_CHOICES} (pairs of items) |" in card
    assert str(tmp_path) not in card


def test_texts_need_a_path_or_a_lake_and_a_lake_needs_spark(tmp_path: Path) -> None:
    from xlrec.config.loading import load_program_config

    (tmp_path / "config.yaml").write_text("output: a\nwork: b\ntexts: {dev_share: 0.1}\n")
    with pytest.raises(ConfigError, match="names neither `path` nor `lake`"):
        load_program_config(AdaptConfig, str(tmp_path / "config.yaml"))
    with pytest.raises(InputError, match=r"call xlrec.pipeline.adapting.adapt"):
        read_texts(TextsConfig(lake=LakeConfig(folder="lake")))
