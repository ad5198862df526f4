"""Training end to end, on a world whose right answers are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from worlds.parallel_texts import settings, write_world

from xlrec.training.encoder import AdaptConfig, adapt_encoder
from xlrec.training.encoder.loop import Loop, run_key


def silent(_: str) -> None:
    """Takes no line."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[AdaptConfig, dict[tuple[str, str], float]]:
    folder = tmp_path_factory.mktemp("planted")
    write_world(folder / "texts")
    config = AdaptConfig.model_validate(settings(folder))
    return config, adapt_encoder(config, silent)


def test_training_recovers_the_planted_translations(
    trained: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    _, found = trained
    assert set(found) == {("even", "xx"), ("odd", "xx")}
    assert min(found.values()) > 0.9


def test_the_folder_is_a_model_of_sentence_transformers_and_gives_our_vectors(
    trained: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    from sentence_transformers import SentenceTransformer

    from xlrec import encoders
    from xlrec.training.encoder import tokens
    from xlrec.training.encoder.static import encode_bags
    from xlrec.training.encoder.texts import read_texts

    config, _ = trained
    texts = read_texts(config.texts)
    rows = np.arange(40)
    model = SentenceTransformer(config.output, device="cpu", local_files_only=True)
    table = model[0].embedding.weight.detach().numpy()
    _, _, bags = tokens.tokenised_texts(texts, config, silent)
    ours = encode_bags(table, bags, rows, 1000)
    np.testing.assert_allclose(model.encode(texts.take(rows)), ours, atol=1e-5)
    np.testing.assert_allclose(encoders.load(config.output).encode(texts.take(rows)), ours, atol=1e-5)
    modules = json.loads((Path(config.output) / "modules.json").read_text())
    assert all(one["type"].startswith("sentence_transformers.") for one in modules)


def test_the_small_form_is_the_table_that_was_measured_and_a_second_code_errs_less(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    from xlrec.encoders.folder import read_coded
    from xlrec.kernels.text.quantise import restored_table

    write_world(tmp_path / "texts", n_words=400)
    tables, rows = [], np.empty(0, np.int64)
    for finer in (0, 300, 10**6):
        compress = {"output": str(tmp_path / f"small-{finer}"), "bytes_per_token": 8, "finer_tokens": finer}
        vocabulary = {"words": 800, "pieces": 100, "running_pieces": 10, "min_count": 1}
        config = settings(tmp_path, compress=compress, vocabulary=vocabulary)
        adapt_encoder(AdaptConfig.model_validate(config), silent)  # the second and third go on from the first one's end
        table = load_file(tmp_path / "model" / "model.safetensors")["embedding.weight"]
        _, coded = read_coded(tmp_path / f"small-{finer}")
        np.testing.assert_allclose(restored_table(coded), table, atol=1e-6)
        assert len(coded.rows) == min(finer, len(table))
        assert "How it was made" in (tmp_path / f"small-{finer}" / "README.md").read_text()
        tables.append(table)
        rows = coded.rows if finer == 300 else rows
    rough, some, most = (table[rows] for table in tables)
    assert np.linalg.norm(some - most) < 0.5 * np.linalg.norm(rough - most)


def test_without_n_grams_words_share_nothing(tmp_path: Path) -> None:
    from xlrec.training.encoder.config import StaticConfig
    from xlrec.training.encoder.static import StaticModel

    model = StaticModel(["winter", "winters"], frozenset(), StaticConfig(dim=64, max_grams=0, buckets=1), seed=0)
    with_grams = StaticModel(["winter", "winters"], frozenset(), StaticConfig(dim=64, buckets=1000), seed=0)

    def cosine(one: StaticModel) -> float:
        a, b = one.folded_table()
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert abs(cosine(model)) < 0.5 < cosine(with_grams)
    write_world(tmp_path / "texts", n_concepts=600)
    static = {"dim": 32, "max_grams": 0, "buckets": 1, "learning_rate": 0.1}
    found = adapt_encoder(AdaptConfig.model_validate(settings(tmp_path, static=static, steps=200)), silent)
    assert min(found.values()) > 0.8


def test_the_card_names_sources_licences_and_figures(
    trained: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    card = (Path(trained[0].output) / "README.md").read_text()
    for word in ("license: cc-by-sa-4.0", "| even |", "| odd |", "GPL-3.0", "MIT", "xx", "## Limits"):
        assert word in card


def test_a_run_that_was_broken_off_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file

    tables = []
    whole = Loop.run
    for name, until in (("whole", None), ("broken", 20)):
        write_world(tmp_path / name / "texts", n_concepts=300)
        loss = {"matryoshka_dims": [8]}
        measure = {"every_steps": 10, "candidates": 50, "min_pairs": 5, "languages": ["xx"]}
        config = AdaptConfig.model_validate(settings(tmp_path / name, steps=40, loss=loss, measure=measure))
        if until:
            monkeypatch.setattr(Loop, "run", lambda self: whole(self, until=20))
            adapt_encoder(config, silent)
            monkeypatch.setattr(Loop, "run", whole)
        lines: list[str] = []
        adapt_encoder(config, lines.append)
        assert ("going on from step 20" in lines) == (until is not None)
        tables.append(load_file(Path(config.output) / "model.safetensors")["embedding.weight"])
    assert np.array_equal(tables[0], tables[1])


def test_training_stops_when_dev_no_longer_improves(tmp_path: Path) -> None:
    write_world(tmp_path / "texts", n_concepts=200)
    measure = {"every_steps": 5, "candidates": 50, "min_pairs": 5, "languages": ["xx"], "patience": 2}
    config = AdaptConfig.model_validate(
        settings(tmp_path, steps=1000, static={"dim": 16, "buckets": 100, "learning_rate": 1e-9}, measure=measure)
    )
    lines: list[str] = []
    adapt_encoder(config, lines.append)
    assert [line.split(":")[0] for line in lines if line.startswith("dev at step")] == [
        "dev at step 0",
        "dev at step 5",
        "dev at step 10",
    ]


def test_another_config_does_not_go_on_from_this_ones_checkpoint(tmp_path: Path) -> None:
    one = AdaptConfig.model_validate(settings(tmp_path))
    assert run_key(one) == run_key(one.model_copy(update={"output": "elsewhere"}))
    assert run_key(one) != run_key(one.model_copy(update={"seed": 1}))


def test_a_wrong_key_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    from xlrec.config.loading import load_program_config
    from xlrec.errors import ConfigError

    (tmp_path / "config.yaml").write_text("output: a\nwork: b\ntexts: {path: c}\nbatch: {pair: 3}\n")
    with pytest.raises(ConfigError, match=r"unknown key batch.pair: did you mean pairs\?"):
        load_program_config(AdaptConfig, str(tmp_path / "config.yaml"))
    (tmp_path / "config.yaml").write_text("output: a\nwork: b\ntexts: {path: c}\nmode: finetune\n")
    with pytest.raises(ConfigError, match="needs the section `finetune`"):
        load_program_config(AdaptConfig, str(tmp_path / "config.yaml"))
