"""Fine-tuning of a sentence-transformers model; a tiny random one that the test builds."""

from pathlib import Path

import numpy as np
import pytest
from worlds.parallel_texts import settings, write_world
from worlds.tiny_models import build_encoder

from xlrec import encoders
from xlrec.errors import EncoderError
from xlrec.training.encoder import AdaptConfig, adapt_encoder
from xlrec.training.encoder.finetune import FineTuneBackend
from xlrec.training.encoder.loop import Loop
from xlrec.training.encoder.texts import read_texts


def silent(_: str) -> None:
    """Takes no line."""


def config(folder: Path, model: Path, steps: int = 30, min_pairs: int = 5) -> AdaptConfig:
    """A config for the tiny model; where `min_pairs` leaves nothing to measure, the last step is what is kept."""
    write_world(folder / "texts", n_concepts=200)
    finetune = {"model": str(model), "learning_rate": 1e-3, "max_tokens": 32}
    measure = {"every_steps": 10, "candidates": 50, "min_pairs": min_pairs, "languages": ["xx"]}
    batch = {"pairs": 32, "sources": 2, "joined_share": 0.2}
    return AdaptConfig.model_validate(
        settings(folder, mode="finetune", finetune=finetune, measure=measure, batch=batch, steps=steps)
    )


def test_a_fine_tuned_model_fits_the_texts_better_and_loads_as_any_other(tmp_path: Path) -> None:
    model = build_encoder(tmp_path / "base", "bert-mean")
    chosen = config(tmp_path, model, min_pairs=1000)
    losses: list[float] = []
    step = Loop._one_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_one_step", lambda self, number: losses.append(step(self, number)) or losses[-1])
        adapt_encoder(chosen, silent)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    before, after = encoders.load(str(model)).encode(["abc"]), encoders.load(chosen.output).encode(["abc"])
    assert after.shape == before.shape
    assert not np.allclose(before, after)
    assert "As the model that it was fine-tuned from" in (Path(chosen.output) / "README.md").read_text()


def test_fine_tuning_that_was_broken_off_ends_as_if_it_was_not(tmp_path: Path) -> None:
    model = build_encoder(tmp_path / "base", "bert-mean")
    vectors = []
    whole = Loop.run
    for name in ("whole", "broken"):
        chosen = config(tmp_path / name, model, steps=20)
        if name == "broken":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Loop, "run", lambda self: whole(self, until=10))
                adapt_encoder(chosen, silent)
        adapt_encoder(chosen, silent)
        vectors.append(encoders.load(chosen.output).encode(["abde lmno", "бгд жзк"]))
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_a_frozen_table_stays_while_the_rest_learns(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    model = build_encoder(tmp_path / "base", "bert-mean")
    chosen = config(tmp_path, model, steps=5, min_pairs=1000)
    frozen = chosen.model_copy(update={"finetune": chosen.finetune.model_copy(update={"freeze_embeddings": True})})
    adapt_encoder(frozen, silent)
    before, after = (load_file(Path(folder) / "model.safetensors") for folder in (model, frozen.output))
    table = "embeddings.word_embeddings.weight"
    assert np.array_equal(before[table], after[table])
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_vectors_keep_the_order_of_texts_that_go_through_by_length(tmp_path: Path) -> None:
    model = build_encoder(tmp_path / "base", "bert-mean")
    chosen = config(tmp_path, model)
    texts = read_texts(chosen.texts)
    rows = np.random.default_rng(0).permutation(len(texts))[:40]
    expected = encoders.load(str(model)).encode(texts.take(rows))
    np.testing.assert_allclose(FineTuneBackend(chosen, texts).encode(rows), expected, atol=1e-5)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no folder"):
        adapt_encoder(config(tmp_path, tmp_path / "none"), silent)
