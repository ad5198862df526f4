"""Similarity in this process, and the searcher of the tables, against plain numpy."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.console import Console
from worlds.index_arrays import write_arrays

from xlrec.config.models import EmbedConfig
from xlrec.errors import ConfigError
from xlrec.index.items import ItemIndex
from xlrec.kernels.base.vectors import encode_vectors
from xlrec.reporting.console import matrix_table
from xlrec.similarity.api import detected_languages, most_similar, similarity_matrix
from xlrec.similarity.spark import PairSearch

DEFAULT = EmbedConfig()
DRESS = ["robe rouge d'été", "red summer dress", "drill bit set", "red summer dress", "  "]
LANGUAGES = ("de", "en", "fr", "und")


class Planted:
    """An encoder whose vectors the test gives: text `i` is row i."""

    fingerprint = "planted"

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors, self.dim = vectors, vectors.shape[1]

    def encode(self, texts: list[str]) -> np.ndarray:
        return self.vectors[[int(text) for text in texts]] if len(texts) else np.empty((0, self.dim), np.float32)


def unit(rng: np.random.Generator, n: int, dim: int = 6) -> np.ndarray:
    # Few directions, so that equal scores are common.
    vectors = rng.integers(-1, 2, (n, dim)).astype(np.float32) + np.float32(0.25)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def oracle(left: np.ndarray, right: np.ndarray, k: int, allowed: np.ndarray, least: float) -> list[list[int]]:
    scores = np.round(left.astype(np.float64) @ right.astype(np.float64).T, 12)
    rows = []
    for own, may in zip(scores, allowed, strict=True):
        order = sorted(np.flatnonzero(may), key=lambda num: (-own[num], num))[:k]
        rows.append([int(num) for num in order if own[num] >= least])
    return rows


def test_the_matrix_is_symmetric_with_ones_and_an_empty_text_is_like_none() -> None:
    scores = similarity_matrix(DRESS, encoder=DEFAULT)
    np.testing.assert_allclose(scores[:4, :4], scores[:4, :4].T, atol=1e-7)
    np.testing.assert_allclose(np.diag(scores)[:4], 1.0, atol=1e-6)
    assert scores[1, 3] == pytest.approx(1.0, abs=1e-6)
    assert np.isnan(scores[4]).all()
    assert np.isnan(scores[:, 4]).all()


def test_the_shipped_encoder_finds_the_dress_in_every_language_and_not_the_drill() -> None:
    scores = similarity_matrix(["红色连衣裙", "robe rouge d'été", "red summer dress", "drill bit set"])
    assert scores[:3, :3].min() > scores[:3, 3].max()


def test_a_text_never_finds_itself_and_equal_texts_come_in_order() -> None:
    rows, scores = most_similar(DRESS, k=2, encoder=DEFAULT)
    assert rows[1].tolist()[0] == 3
    assert rows[3].tolist()[0] == 1
    assert rows[4].tolist() == [-1, -1]
    assert np.isneginf(scores[4]).all()
    rows, _ = most_similar(["red summer dress"], DRESS, k=2, encoder=DEFAULT)
    assert rows.tolist() == [[1, 3]]


@given(
    seed=st.integers(0, 10**6), k=st.integers(1, 6), blocks=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    least=st.sampled_from([-1.0, 0.3]), others=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_pairs_are_those_of_looking_at_every_one_whatever_the_blocks(
    seed: int, k: int, blocks: tuple[int, int], least: float, others: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 17)
    gaps = np.diff(np.sort(vectors[:7].astype(np.float64) @ vectors[7:].astype(np.float64).T, axis=1), axis=1)
    assume(not ((gaps > 0) & (gaps < 1e-12)).any())  # such ties hang on the order of the sum
    own, theirs = (rng.choice(["de", "en", "fr"], n).tolist() for n in (7, 10))
    rows, scores = most_similar(
        [str(n) for n in range(7)], [str(n) for n in range(7, 17)], k, encoder=Planted(vectors), min_score=least,
        other_language_only=others, left_languages=own, right_languages=theirs,
        left_block=blocks[0], right_block=blocks[1],
    )  # fmt: skip
    allowed = np.array([[not others or a != b for b in theirs] for a in own])
    expected = oracle(vectors[:7], vectors[7:], k, allowed, least)
    assert [[num for num in row if num >= 0] for row in rows.tolist()] == expected
    assert np.isneginf(scores[rows < 0]).all()


@pytest.mark.parametrize("others", [False, True])
def test_the_searcher_of_tables_gives_the_same_pairs_as_looking_at_every_one(tmp_path, others: bool) -> None:
    rng = np.random.default_rng(3)
    left, right = unit(rng, 9), unit(rng, 30)
    own, theirs = rng.choice(LANGUAGES, 9).tolist(), rng.choice(LANGUAGES, 30).tolist()
    ids = [f"r{num:02d}" for num in range(30)]
    known = [[tag] if tag != "und" else [] for tag in theirs]
    write_arrays(
        tmp_path, item_ids=ids, vectors=right, languages=known, categories=[[tag] for tag in theirs], shard_rows=7
    )
    table = pa.table(
        {
            "id": [f"l{num}" for num in range(9)], "language": own, "vector": encode_vectors(left),
            "num": pa.array([None] * 9, pa.int32()),
        }
    )  # fmt: skip
    found = PairSearch(ItemIndex.open_folder(str(tmp_path)), 4, 0.1, others, 8).pairs_of(table).to_pylist()
    allowed = np.array([[not others or (a != b and "und" not in (a, b)) for b in theirs] for a in own])
    expected = oracle(left, right, 4, allowed, 0.1)
    seen: dict[str, list[str]] = {f"l{num}": [] for num in range(9)}
    for row in found:
        seen[row["left_id"]].append(row["right_id"])
        assert row["rank"] == len(seen[row["left_id"]])
        assert row["right_language"] == theirs[ids.index(row["right_id"])]
    assert list(seen.values()) == [[ids[num] for num in row] for row in expected]


def test_languages_are_detected_among_the_common_ones() -> None:
    texts = ["红色连衣裙", "Diese Lampe leuchtet sehr hell im Garten", "", "Платье летнее красное"]
    assert detected_languages(texts) == ["zh", "de", "und", "ru"]


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        most_similar(DRESS, k=0, encoder=DEFAULT)
    with pytest.raises(ConfigError, match="1 languages are given for 5 texts"):
        most_similar(DRESS, encoder=DEFAULT, other_language_only=True, left_languages=["fr"])


def test_the_table_marks_the_best_other_text_and_isolates_directions() -> None:
    console = Console(file=io.StringIO(), width=100)
    scores = np.array([[1.0, 0.8, np.nan], [0.8, 1.0, np.nan], [np.nan] * 3])
    console.print(matrix_table(["a dress", "فستان", ""], ["en", "ar", "und"], scores))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "0.80" in shown
    assert "–" in shown
    assert "\u2068فستان\u2069" in shown
