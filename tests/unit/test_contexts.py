"""The hand-written suite of words that mean different things: its shape, so that its score says what it claims."""

import csv
import unicodedata
from collections import Counter
from pathlib import Path

from xlrec.kernels.text.text import canonical_language

PATH = Path(__file__).resolve().parents[1] / "bench" / "contexts.tsv"
COLUMNS = ["kind", "word", "query_language", "query", "right_language", "right", "wrong_language", "wrong"]


def cases() -> list[dict[str, str]]:
    with PATH.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def plain(text: str) -> str:
    """The text as a person sees it at a glance: no case, no accents."""
    parts = unicodedata.normalize("NFD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def test_every_case_has_every_column_filled_with_clean_text() -> None:
    for case in cases():
        assert list(case) == COLUMNS
        for text in case.values():
            assert text
            assert text == text.strip() == unicodedata.normalize("NFC", text)


def test_there_are_enough_cases_languages_and_both_kinds() -> None:
    kinds, languages = Counter(c["kind"] for c in cases()), Counter(c["query_language"] for c in cases())
    assert kinds.total() >= 150
    assert set(kinds) == {"homonym", "false friend"}
    assert min(kinds.values()) >= 50
    assert sum(n >= 10 for n in languages.values()) >= 8


def test_no_case_occurs_twice_and_no_text_stands_on_both_sides() -> None:
    asked = [(c["query"], c["right"], c["wrong"]) for c in cases()]
    assert len(set(asked)) == len(asked)
    assert len({c["query"] for c in cases()}) == len(asked)
    assert all(len(set(texts)) == 3 for texts in asked)


def test_query_and_wrong_share_the_word_and_right_does_not() -> None:
    for case in cases():
        word = plain(case["word"])
        assert word in plain(case["query"]), case
        assert word in plain(case["wrong"]), case
        assert word not in plain(case["right"]), case


def test_the_right_text_is_in_another_language_and_only_false_friends_cross_it_with_the_wrong_one() -> None:
    for case in cases():
        assert case["right_language"] != case["query_language"], case
        assert (case["wrong_language"] == case["query_language"]) == (case["kind"] == "homonym"), case


def test_languages_are_canonical_tags() -> None:
    tags = {case[f"{side}_language"] for case in cases() for side in ("query", "right", "wrong")}
    assert tags == {canonical_language(tag) for tag in tags}
