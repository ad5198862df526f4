"""New layers over a static model's table: they start from its vectors, and learn what a bag of words cannot."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from worlds.parallel_texts import invented_words, settings

from xlrec import encoders
from xlrec.errors import EncoderError
from xlrec.training.encoder import AdaptConfig, adapt
from xlrec.training.encoder.config import LayersConfig
from xlrec.training.encoder.contextual import on_static

LAYERS = {"number": 2, "heads": 4, "inner": 48, "hidden": 48}
TEXTS = ["abc", "abc abc", "", "бгд жзк", "🎸"]


def silent(_: str) -> None:
    """Takes no line."""


def write_ordered_world(folder: Path, n_words: int = 20) -> None:
    """Every ordered pair of different words, in two languages: `a b` and `b a` say different things."""
    rng = np.random.default_rng(0)
    left, right = invented_words(n_words, "abdeilmno", rng), invented_words(n_words, "бгджзклмну", rng)
    rows: dict[str, list[str]] = {name: [] for name in ("concept_id", "language", "text", "split")}
    for one in range(n_words):
        for other in range(n_words):
            for language, words in (("en", left), ("xx", right)):
                rows["concept_id"].append(f"{one:02d}-{other:02d}")
                rows["language"].append(language)
                rows["text"].append(f"{words[one]} {words[other]}")
                rows["split"].append("dev" if (one * one + other * other) % 5 == 0 else "train")
    keep = [one[:2] != one[3:] for one in rows["concept_id"]]
    folder.mkdir(parents=True)
    pq.write_table(pa.table(rows).filter(pa.array(keep)), folder / "world.parquet")


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> tuple[AdaptConfig, dict[tuple[str, str], float]]:
    folder = tmp_path_factory.mktemp("ordered")
    write_ordered_world(folder / "texts")
    batch = {"pairs": 128, "joined_share": 0.0}
    config = AdaptConfig.model_validate(settings(folder, batch=batch))
    return config, adapt(config, silent)


@pytest.fixture(scope="module")
def contextual(
    static: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> tuple[AdaptConfig, dict[tuple[str, str], float]]:
    changes = {
        "mode": "finetune",
        "finetune": {
            "model": static[0].output,
            "layers": LAYERS,
            "learning_rate": 3e-3,
            "max_tokens": 16,
        },
        "output": static[0].output + "-contextual",
        "steps": 150,
    }
    config = AdaptConfig.model_validate({**static[0].model_dump(), **changes})
    return config, adapt(config, silent)


def test_before_training_it_gives_the_static_models_vectors(
    static: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    before = SentenceTransformer(static[0].output, device="cpu", local_files_only=True)
    texts = [text for text in TEXTS if text]
    after = on_static(static[0].output, LayersConfig.model_validate(LAYERS), 16, "cpu")
    np.testing.assert_allclose(after.encode(texts), before.encode(texts), atol=1e-4)


def test_layers_tell_apart_what_only_the_order_of_words_does(
    static: tuple[AdaptConfig, dict[tuple[str, str], float]],
    contextual: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    (before,), (after,) = static[1].values(), contextual[1].values()
    assert before < 0.5
    assert after > 0.8


def test_the_table_stays_as_it_was(
    static: tuple[AdaptConfig, dict[tuple[str, str], float]],
    contextual: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    before = load_file(Path(static[0].output) / "model.safetensors")["embedding.weight"]
    after = load_file(Path(contextual[0].output) / "model.safetensors")["embeddings.tok_embeddings.weight"]
    np.testing.assert_allclose(after[2:, : before.shape[1]], before[2:], rtol=1e-5)


def test_the_folder_gives_the_same_vectors_in_every_batch_and_loads_as_any_other(
    contextual: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    model = SentenceTransformer(contextual[0].output, device="cpu", local_files_only=True)
    together, alone = model.encode(TEXTS), np.concatenate([model.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(encoders.load(contextual[0].output).encode(TEXTS), together, atol=1e-5)
    assert "frozen table" in (Path(contextual[0].output) / "README.md").read_text()


def test_a_folder_without_a_static_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="is no static model"):
        on_static(str(tmp_path), LayersConfig(), 16, "cpu")


def test_a_width_that_cannot_hold_the_table_is_refused(
    static: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    with pytest.raises(EncoderError, match=r"finetune.layers.hidden: 32 .* set 48"):
        on_static(static[0].output, LayersConfig(hidden=32), 16, "cpu")


def test_heads_that_do_not_divide_the_width_are_refused(
    static: tuple[AdaptConfig, dict[tuple[str, str], float]],
) -> None:
    finetune = {"model": "default", "layers": {**LAYERS, "heads": 5}}
    with pytest.raises(ValueError, match="heads must divide hidden = 48"):
        AdaptConfig.model_validate({**static[0].model_dump(), "mode": "finetune", "finetune": finetune})
