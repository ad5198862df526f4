"""A teacher on a world whose right answers are known, and what is kept of its vectors."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds.parallel_texts import invented_words, settings, write_world

from xlrec import encoders
from xlrec.errors import InputError
from xlrec.training.encoder import AdaptConfig, adapt_encoder, teacher
from xlrec.training.encoder.config import TeacherConfig, TextsConfig
from xlrec.training.encoder.static import unit_rows
from xlrec.training.encoder.texts import Texts, read_texts, read_word_lists

N_WORDS = 120
LISTS = {"source": "planted", "licence": "MIT"}


class WordSums:
    """An encoder that adds a vector for each meaning of its words, and counts the texts that it was given."""

    fingerprint, dim = "word-sums", 48

    def __init__(self, *vocabularies: list[str]) -> None:
        vectors = np.random.default_rng(5).standard_normal((N_WORDS, self.dim)).astype(np.float32)
        self.vectors = {word: vectors[meaning] for words in vocabularies for meaning, word in enumerate(words)}
        self.n_encoded = 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.n_encoded += len(texts)
        return unit_rows(np.stack([sum(self.vectors[word] for word in text.split()) for text in texts]))


def vocabularies() -> tuple[list[str], list[str], list[str]]:
    """Words of `en` and `xx` as `write_world` draws them, and of a language `yy` that has no translations."""
    rng = np.random.default_rng(0)
    left, right = invented_words(N_WORDS, "abdeilmno", rng), invented_words(N_WORDS, "бгджзклмну", rng)
    return left, right, invented_words(N_WORDS, "αβγδεζηθικ", np.random.default_rng(1))


def taught_settings(folder: Path, **changes: object) -> AdaptConfig:
    lists = {"path": str(folder / "lists.parquet"), **LISTS}
    base = settings(
        folder, teacher={"encoder": "planted", "licence": "MIT", "languages": ["en", "yy"], "words": 120, "weight": 4}
    )
    texts = {"path": str(folder / "texts"), "dev_share": 0.1, "word_lists": lists}
    vocabulary = {"words": 800, "pieces": 100, "running_pieces": 10, "min_count": 1}
    return AdaptConfig.model_validate(base | {"texts": texts, "vocabulary": vocabulary} | changes)


def write_lists(folder: Path, words: list[str]) -> None:
    table = {"language": ["yy"] * len(words), "text": words, "count": [5] * len(words)}
    pq.write_table(pa.table(table), folder / "lists.parquet")


def test_a_language_of_word_lists_alone_is_understood_and_without_a_teacher_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right, listed = vocabularies()
    write_world(tmp_path / "texts")
    pairs = {"concept_id": ["y0", "y0"], "language": ["en", "yy"], "text": [left[0], listed[0]],
             "source": ["even", "even"], "licence": ["MIT", "MIT"]}  # fmt: skip
    pq.write_table(pa.table(pairs), tmp_path / "texts" / "yy.parquet")  # the vocabulary counts known languages only
    write_lists(tmp_path, listed)
    monkeypatch.setattr(encoders, "load", lambda _: WordSums(left, right, listed))
    meant = np.random.default_rng(9).integers(0, N_WORDS, size=(200, 3))
    shares = []
    for named in ({}, {"teacher": None, "steps": 20}):
        adapt_encoder(taught_settings(tmp_path, **named), lambda _: None)
        monkeypatch.undo()
        model = encoders.load(str(tmp_path / "model"))
        monkeypatch.setattr(encoders, "load", lambda _: WordSums(left, right, listed))
        sides = [model.encode([" ".join(words[one] for one in row) for row in meant]) for words in (left, listed)]
        shares.append(float(((sides[1] @ sides[0].T).argmax(axis=1) == np.arange(200)).mean()))
    assert shares[0] > 0.8
    assert shares[1] < 0.1
    card = (tmp_path / "model" / "README.md").read_text()
    assert "planted (MIT)" in card
    assert str(tmp_path) not in card


def texts_of(rows: list[tuple[str, str, str, str]]) -> Callable[[Path], Texts]:
    def read(folder: Path) -> Texts:
        columns = dict(
            zip(("concept_id", "language", "text", "split"), map(list, zip(*rows, strict=True)), strict=True)
        )
        pq.write_table(pa.table(columns), folder / "texts.parquet")
        return read_texts(TextsConfig(path=str(folder / "texts.parquet")))

    return read


def test_the_pivot_and_few_other_languages_of_training_texts_are_read(tmp_path: Path) -> None:
    names = ["fr", "de", "en", "es", "xx"]
    rows = [(concept, name, f"{name} of {concept}", "dev" if concept == "c3" else "train")
            for concept in ("c0", "c1", "c2", "c3") for name in names if (concept, name) != ("c2", "en")]  # fmt: skip
    rows.append(("c0", "en", "another en of c0", "train"))
    texts = texts_of(rows)(tmp_path)
    config = TeacherConfig(encoder="any", licence="MIT", languages=("en", "fr", "de", "es"), texts_per_concept=2)
    found, concepts = teacher.taught_texts(texts, config, "en")
    read = texts.take(found)
    assert np.bincount(concepts).tolist() == [2, 2, 2]
    assert read[0] in {"en of c0", "another en of c0"}
    assert read[2] == "en of c1"
    assert not any(text.startswith("xx") or text.endswith("c3") for text in read)
    assert len({text.split()[0] for text in read[4:]}) == 2


def test_vectors_are_computed_once_and_a_broken_part_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right, _ = vocabularies()
    encoder = WordSums(left, right)
    monkeypatch.setattr(encoders, "load", lambda _: encoder)
    config = TeacherConfig(encoder="any", licence="MIT", languages=("en",))
    first = teacher.teacher_vectors([left[0], left[1], left[0]], config, tmp_path, lambda _: None)
    assert encoder.n_encoded == 2
    again = teacher.teacher_vectors([left[1], left[2], left[0]], config, tmp_path, lambda _: None)
    assert encoder.n_encoded == 3
    np.testing.assert_array_equal(again[[2, 0]], first[:2])
    np.testing.assert_allclose(again.astype(np.float32), encoder.encode([left[1], left[2], left[0]]), atol=1e-3)
    next(tmp_path.glob("*/keys-000001.npy")).unlink()  # killed between the two files of a part
    encoder.n_encoded = 0
    repaired = teacher.teacher_vectors([left[1], left[2], left[0]], config, tmp_path, lambda _: None)
    assert encoder.n_encoded == 1
    np.testing.assert_array_equal(repaired, again)


def test_targets_are_means_of_a_concepts_texts_and_pairs_without_one_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right, _ = vocabularies()
    rows = [
        *(("c0", "en", left[0], "train"), ("c0", "xx", right[0], "train")),
        *(("c1", "en", left[1], "train"), ("c1", "zz", "unknown", "train")),
        *(("c2", "zz", "alone", "train"), ("c2", "qq", "alone", "train")),
    ]
    texts = texts_of(rows)(tmp_path)
    monkeypatch.setattr(encoders, "load", lambda _: WordSums(left, right))
    config = taught_settings(tmp_path, teacher={"encoder": "any", "licence": "MIT", "languages": ["en", "xx"]})
    found = teacher.read_targets(config, texts, {}, 32, lambda _: None)
    assert np.linalg.norm(found.concepts, axis=1).round(3).tolist() == [1, 1, 0]
    assert found.words.shape == (0, 32)
    a = np.array([0, 2, 4, 0])
    pairs = teacher.Pairs(a, a + 1, np.array([0, 1, 2, 3, 4]))
    strange = taught_settings(tmp_path, teacher={"encoder": "any", "licence": "MIT", "languages": ["EN"]})
    with pytest.raises(InputError, match="no text to train on is in EN"):
        teacher.read_targets(strange, texts, {}, 32, lambda _: None)
    known = np.linalg.norm(found.of_pairs(pairs, texts.concept), axis=1)
    assert known.round(3).tolist() == [1, 1, 0, 1]
    joined = teacher.Pairs(a, a + 1, np.array([0, 2, 4]))
    both = found.of_pairs(joined, texts.concept)
    np.testing.assert_allclose(both[0], unit_rows(found.concepts[:1] + found.concepts[1:2])[0], atol=1e-6)
    assert not both[1].any()  # one of the two has no target


def test_word_lists_without_a_count_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"language": ["de"], "text": ["Haus"]}), tmp_path / "lists.parquet")
    lists = {"path": str(tmp_path / "lists.parquet"), **LISTS}
    with pytest.raises(InputError, match="no column count"):
        read_word_lists(TextsConfig.model_validate({"path": "any", "word_lists": lists}))
    assert read_word_lists(TextsConfig(path="any")) == {}
