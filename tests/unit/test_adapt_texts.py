"""Which texts are trained on: never a dev concept, never what the config leaves out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds.parallel_texts import write_world

from xlrec.errors import InputError
from xlrec.training.encoder.config import BatchConfig, TextsConfig
from xlrec.training.encoder.sampler import Sampler
from xlrec.training.encoder.texts import is_dev_concept, read_texts


def many_draws(sampler: Sampler, n_draws: int = 20) -> set[int]:
    """Rows that are met in many batches of every kind."""
    met: set[int] = set()
    for step in range(n_draws):
        pairs = sampler.draw_pairs(np.random.default_rng(step))
        met.update(pairs.a.tolist() + pairs.b.tolist())
    return met


@pytest.mark.parametrize("split", [True, False])
def test_no_row_of_a_dev_concept_is_ever_drawn(tmp_path: Path, split: bool) -> None:
    chosen = TextsConfig(path=str(write_world(tmp_path, split=split)), dev_share=0.1)
    texts = read_texts(chosen)
    assert 0.05 < texts.is_dev.mean() < 0.15
    dev_concepts = set(texts.concept[texts.is_dev].tolist())
    met = many_draws(Sampler(texts, chosen, BatchConfig(pairs=256)))
    assert len(met) > 0.5 * len(texts)
    assert not dev_concepts & set(texts.concept[sorted(met)].tolist())


def test_a_concept_is_dev_in_all_its_rows_even_where_only_one_says_so(tmp_path: Path) -> None:
    rows = {
        "concept_id": ["a", "a", "b", "b"],
        "language": ["en", "de", "en", "de"],
        "text": ["one", "eins", "two", "zwei"],
        "split": ["train", "dev", "train", "train"],
    }
    pq.write_table(pa.table(rows), tmp_path / "few.parquet")
    texts = read_texts(TextsConfig(path=str(tmp_path)))
    assert texts.is_dev.tolist() == [True, True, False, False]
    assert texts.sources == ("few",)


def test_a_measured_source_is_dev_as_a_whole(tmp_path: Path) -> None:
    texts = read_texts(TextsConfig(path=str(write_world(tmp_path)), measure_sources=("odd",), dev_share=0.0))
    assert np.array_equal(texts.is_dev, texts.source == texts.sources.index("odd"))


def test_rows_under_an_excluded_licence_and_source_are_gone(tmp_path: Path) -> None:
    path = str(write_world(tmp_path))
    texts = read_texts(TextsConfig(path=path, exclude_licences=("GPL",)))
    assert set(texts.licences["even"]) == {"MIT"}
    assert len(read_texts(TextsConfig(path=path))) == len(texts) + 60
    assert read_texts(TextsConfig(path=path, exclude_sources=("odd",))).sources == ("even",)


def test_the_hash_decides_about_a_concept_and_its_share_is_kept() -> None:
    chosen = [is_dev_concept(f"concept {number}", 0.2) for number in range(5000)]
    assert 0.18 < np.mean(chosen) < 0.22
    assert all(is_dev_concept(f"concept {number}", 0.3) for number in range(5000) if chosen[number])


def test_both_sides_say_the_same_in_two_languages_and_joined_texts_keep_their_order(tmp_path: Path) -> None:
    chosen = TextsConfig(path=str(write_world(tmp_path)))
    texts = read_texts(chosen)
    pairs = Sampler(texts, chosen, BatchConfig(pairs=256, joined_share=0.5)).draw_pairs(np.random.default_rng(0))
    assert np.array_equal(texts.concept[pairs.a], texts.concept[pairs.b])
    assert (texts.language[pairs.a] != texts.language[pairs.b]).all()
    sizes = np.diff(pairs.starts)
    assert (sizes >= 1).all()
    assert 0.3 < (sizes > 1).mean() < 0.7


def test_a_source_of_weight_0_is_never_drawn(tmp_path: Path) -> None:
    chosen = TextsConfig(path=str(write_world(tmp_path)), source_weights={"odd": 0.0})
    texts = read_texts(chosen)
    pairs = Sampler(texts, chosen, BatchConfig(pairs=512)).draw_pairs(np.random.default_rng(0))
    assert set(texts.source[pairs.a].tolist()) == {texts.sources.index("even")}


def test_what_cannot_be_trained_on_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Parquet file"):
        read_texts(TextsConfig(path=str(tmp_path / "none")))
    pq.write_table(pa.table({"concept_id": ["a"], "text": ["one"]}), tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="no column language; seen: concept_id, text"):
        read_texts(TextsConfig(path=str(tmp_path)))
    world = str(write_world(tmp_path / "world"))
    with pytest.raises(InputError, match="no row"):
        read_texts(TextsConfig(path=world, exclude_licences=("",)))
    with pytest.raises(InputError, match="no source misspelt; seen: even, odd"):
        read_texts(TextsConfig(path=world, measure_sources=("misspelt",)))


def test_texts_in_one_language_alone_are_refused(tmp_path: Path) -> None:
    rows = {"concept_id": ["a", "b"], "language": ["en", "en"], "text": ["one", "two"]}
    pq.write_table(pa.table(rows), tmp_path / "one.parquet")
    chosen = TextsConfig(path=str(tmp_path), dev_share=0.0)
    with pytest.raises(InputError, match="two languages"):
        Sampler(read_texts(chosen), chosen, BatchConfig())
