"""The tokenizer of sentencepiece files: pieces are those of sentencepiece itself, which trained them here."""

from itertools import groupby
from pathlib import Path

import pytest
from worlds.texts import ODD
from worlds.tiny_models import TEXTS

from xlrec.encoders.unigram import UNKNOWN, UnigramTokenizer


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install 'xlrec[translate]'")
    start = tmp_path_factory.mktemp("pieces") / "sp"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS[1:]), model_prefix=str(start), vocab_size=150, model_type="unigram",
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return start.with_suffix(".model")


def test_pieces_are_those_of_sentencepiece_and_each_unknown_character_is_one(file: Path) -> None:
    import sentencepiece

    own, ours = sentencepiece.SentencePieceProcessor(model_file=str(file)), UnigramTokenizer(file)
    texts = [text for text in (*TEXTS, *ODD) if text.strip(" \u200b\u2581") and "<" not in text]
    for text, ids in zip(texts, ours.ids(texts), strict=True):
        runs = [piece for known, run in groupby(ids, UNKNOWN.__ne__) for piece in (run if known else [UNKNOWN])]
        assert runs == own.encode(text), text
        assert ours.normalised(text).rstrip("\u2581") == f"\u2581{own.normalize(text).lstrip(chr(0x2581))}", text


def test_unknown_characters_are_counted_and_no_text_is_one(file: Path) -> None:
    tokenizer = UnigramTokenizer(file)
    [mark], *unknown = tokenizer.ids(["\u2581 a"])[:1], *tokenizer.ids(["𓀀𓀁𓀂", "𓀀<unk>𓀁"])
    assert [ids.count(UNKNOWN) for ids in unknown] == [3, 3]
    assert tokenizer.ids(["", "  ", "\u200b"]) == [[UNKNOWN]] * 3
    assert mark


def test_a_lone_surrogate_is_a_question_mark(file: Path) -> None:
    tokenizer = UnigramTokenizer(file)
    assert tokenizer.normalised("bike \ud800") == tokenizer.normalised("bike ?")
    assert tokenizer.normalised("e\u0301 \ud800") == tokenizer.normalised("e\u0301 ?")
