"""Cleaning, language tags and hashes."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.text.text import canonical_language, clean_text, embedded_text, text_hash


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("<p>Hello</p><p>W&ouml;rld</p> <script>x()</script>", "Hello Wörld"),
        ("I <3 you", "I <3 you"),
        ("a < b & c", "a < b & c"),
        ("a<b", "a<b"),
        ("5 > 3<br/>ok", "5 > 3 ok"),
        ("AT&T rocks", "AT&T rocks"),
        ("x<b>y</b>z", "xyz"),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
        ("<img alt='a<b'>seen", "seen"),
        ('<a href="torn>seen', "seen"),
        ("</3 it's <b class=x>fine</b>", "</3 it's fine"),
        ("<style>p{}</style><!-- no -->yes", "yes"),
        ("<textarea>&lt;b&gt;x</textarea>", "x"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("&amp;lt;i&amp;gt;twice&amp;lt;/i&amp;gt;", "twice"),
        ("line\tone<br>two\n\nthree", "line one two three"),
        ("\u202eabc\u200b\ufeff", "abc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("ab\u200dc", "abc"),
        ("soft\u00adware", "software"),
        ("e\u200d\u0301", "é"),
        ("\ud83d broken", "broken"),
        ("ｶﾒﾗ　①", "カメラ 1"),
        (None, ""),
        ("  \x00 ", ""),
    ],
)
def test_a_text_is_what_a_person_reads(raw: str | None, cleaned: str) -> None:
    assert clean_text(raw, 100) == cleaned


def test_a_long_text_is_cut_at_a_word_or_where_there_is_none_at_the_limit() -> None:
    assert clean_text("eins zwei dreivier", 11) == "eins zwei"
    assert clean_text("eins zwei", 9) == "eins zwei"
    assert clean_text("eins zwei", 4) == "eins"
    assert clean_text("क" * 9 + "कि", 10) == "क" * 9  # never between a letter and its vowel sign
    assert clean_text("aaaaaaaa bb cc", 10) == "aaaaaaaa"
    assert clean_text("x" * 50, 10) == "x" * 10


#: Pieces that make mark-up, entities and joins likely.
PIECES = st.one_of(
    st.sampled_from("<>&;/=! 'bp\"éकि👨＜＆ﷺ\u3000\u202e\u200d\u200c\u0301"),
    st.sampled_from(
        ["script", "lt", "<b>", "</p>", "<!--", "-->", '<a t="', "&lt;", "&amp;", "&#60;", "&#x26", "&copy", "مر"]
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=25).map("".join)), st.integers(1, 60))
def test_cleaning_again_changes_nothing_and_leaves_no_markup_whatever_came(raw: str, limit: int) -> None:
    once = clean_text(raw, limit)
    assert len(once) <= limit
    assert clean_text(once, limit) == once
    assert once == " ".join(once.split())
    assert not re.search(r"<(/?[a-zA-Z]|[!?])[^<>]*>", once)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co") or c in "\u200b\u202e\ufeff" for c in once)


@given(st.text(st.characters(whitelist_categories=["Lu", "Ll"], max_codepoint=0x24F), min_size=1, max_size=40))
def test_plain_words_stay_as_they_are(word: str) -> None:
    assert clean_text(word, 500) == unicodedata.normalize("NFKC", word)


@pytest.mark.parametrize("piece", ["&amp;", "<", "<!--", "<a ", "amp;&", "<b>", "<<b>", '<a t="', "&l&lt;t;"])
@pytest.mark.timeout(120)  # minutes where the work grows with the square of the length, else under a second
def test_texts_made_to_be_slow_are_cleaned(piece: str) -> None:
    assert len(clean_text(piece * 50_000, 5000)) <= 5000


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en-US", "en"), ("pt-BR", "pt"), ("zh_CN", "zh"), ("zh-TW", "zh-Hant"), ("zh-Hant", "zh-Hant"), ("iw", "he"),
        ("cmn", "zh"), ("sr-Latn", "sr-Latn"), (" ja ", "ja"),
        ("english", None), ("xx", None), ("", None), (None, None),
        ("und", None), ("mul", None), ("x-private", None), ("no", "nb"), ("tl", "fil"), ("zh-HK", "zh-Hant"),
        ("pa-PK", "pa-Arab"), ("zh-Hans-CN", "zh"), ("sr-RS", "sr"), ("arb", "ar"), ("a" * 300, None), ("?!", None),
    ],
)  # fmt: skip
def test_a_tag_keeps_what_tells_languages_apart(tag: str | None, language: str | None) -> None:
    assert canonical_language(tag) == language


def test_the_hash_is_that_of_the_embedded_text() -> None:
    assert embedded_text("t", "") == "t"
    assert text_hash(embedded_text("t", "d")) == text_hash("t\nd") != text_hash("t d")
