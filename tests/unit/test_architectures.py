"""Every architecture that a preset names: our vectors are sentence-transformers' own, whatever the batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds.tiny_models import ARCHITECTURES, HIDDEN, TEXTS, build_encoder, build_static

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets
from xlrec.errors import EncoderError

ALL = [*ARCHITECTURES, "static"]


@pytest.fixture(scope="module", params=ALL)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    return build_static(folder) if request.param == "static" else build_encoder(folder, request.param)


def unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)


@pytest.mark.parametrize("prompt", [None, "title: none | text: "])
def test_vectors_are_those_of_sentence_transformers_itself(model: Path, prompt: str | None) -> None:
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(str(model), device="cpu", local_files_only=True)
    ours = encoders.load(EmbedConfig(encoder=str(model), prompt=prompt)).encode(TEXTS)
    np.testing.assert_allclose(ours, unit(own.encode(list(TEXTS), prompt=prompt)), atol=1e-5)
    assert np.linalg.norm(ours[1] - ours[2]) > 0.05  # random, but not collapsed


def test_a_vector_does_not_hang_on_the_batch(model: Path) -> None:
    config = EmbedConfig(encoder=str(model))
    whole = encoders.load(config).encode(TEXTS)
    for batch_tokens in (1, 200):
        small = encoders.load(config.model_copy(update={"batch_tokens": batch_tokens}))
        np.testing.assert_allclose(small.encode(TEXTS), whole, atol=1e-5)
    alone = np.concatenate([encoders.load(config).encode([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, whole, atol=1e-5)
    np.testing.assert_allclose(encoders.load(config).encode(TEXTS[::-1])[::-1], whole, atol=1e-5)


def test_texts_are_cut_at_max_tokens(model: Path) -> None:
    encoder = encoders.load(EmbedConfig(encoder=str(model), max_tokens=16))
    long, longer = encoder.encode(["helmet " * 30, "helmet " * 60])
    np.testing.assert_allclose(long, longer, atol=1e-6)


def test_files_that_pool_otherwise_than_the_preset_are_refused(tmp_path: Path) -> None:
    folder = build_encoder(tmp_path, "bert-mean")
    with pytest.raises(EncoderError, match="labse pools by cls, these files by mean"):
        encoders.load(EmbedConfig(encoder="labse", folder=str(folder)))


def test_a_folder_stands_in_for_the_hub_and_keeps_the_presets_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = [replace(preset, dim=HIDDEN) for preset in presets.load_presets() if preset.name == "multilingual-e5-small"]
    monkeypatch.setattr(presets, "load_presets", lambda: tuple(tiny))
    folder = str(build_encoder(tmp_path, "bert-mean"))
    preset = EmbedConfig(encoder="multilingual-e5-small", folder=folder)
    by_hand = encoders.load(EmbedConfig(encoder=folder, prompt="passage: ")).encode(TEXTS)
    np.testing.assert_array_equal(encoders.load(preset).encode(TEXTS), by_hand)
    without = encoders.load(preset.model_copy(update={"prompt": ""})).encode(TEXTS)
    assert not np.allclose(without, by_hand, atol=1e-3)
