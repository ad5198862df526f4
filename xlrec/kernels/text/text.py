"""Cleaning of texts, language tags and content hashes: strings in, strings out."""

import hashlib
import html
import re
import unicodedata
from functools import lru_cache
from typing import Final

import langcodes
import nh3

#: A tag, closing tag, declaration or instruction that is closed. `<3`, `a < b` and `a<b` without `>` are text.
_OPENING: Final = r"<(?:/?[a-zA-Z]|[!?])"
_MARKUP: Final = re.compile(_OPENING + r"[^<>]*>")
#: The same with quoted attributes, in which `<` and `>` are text.
_WHOLE: Final = re.compile(_OPENING + r"""(?>=\s*"[^"]{0,999}"|=\s*'[^']{0,999}'|=(?!\s*["'])|[^<>=])*+>""")
#: A tag with a quote that does not end, and a `<` that opens none: a parser would swallow the rest with them.
_TORN: Final = re.compile(rf"(?!{_WHOLE.pattern}){_MARKUP.pattern}")
_BARE: Final = re.compile(rf"<(?!{_WHOLE.pattern[1:]})")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
#: Elements that stand apart: `<li>a</li><li>b</li>` is two words, `<b>a</b>b` is one.
_BLOCK: Final = re.compile(
    r"<(?=/?(?:address|article|blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|option|p|pre|section|table|td|th|tr|ul)\b)",
    re.IGNORECASE,
)
#: `&amp;amp;amp;` in one go, so that nothing nests so deep that unescaping gets slow.
_NESTED: Final = re.compile(r"&(?:(?:amp|#0*38|#[xX]0*26);)+")
#: Control, bidi and other invisible characters, private use, surrogates and noncharacters: they hide or reorder text.
#: White space is not here, nor are variation selectors and the signs that Arabic and Mongolian write with.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U0010ffff]"
)
#: Zero-width (non-)joiners shape words after letters of Arabic, Syriac, N'Ko, Mongolian and the Indic scripts, and
#: join emoji; elsewhere they only make equal words differ.
_JOINED: Final = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1b00-\u1b7f\ua8e0-\ua8ff\ufb50-\ufdff\ufe0f"
_STRAY_JOINER: Final = re.compile(
    f"(?<![{_JOINED}\u2600-\u27bf\U0001f000-\U0001faff\U00011000-\U0001194f])[\u200c\u200d]+"
)
_DOUBLE_JOINER: Final = re.compile("([\u200c\u200d])[\u200c\u200d]+")
#: Raw text beyond this many times the limit (and a page of mark-up) is never looked at.
_RAW_FACTOR: Final = 20
_RAW_MIN: Final = 100_000
#: A cut goes to the last word's end if that keeps at least this share; Chinese, Japanese and Thai have no spaces.
_MIN_KEPT: Final = 0.8


def clean_text(text: str | None, max_chars: int) -> str:
    """The text as a person reads it: NFKC, no mark-up, no control or invisible characters, single spaces.

    NFKC and not NFC, as this is what gets compared, hashed and embedded: full-width Latin, half-width kana and
    ligatures are one spelling each. Entities are resolved however often they were escaped;
    contents of script and style go. Longer texts are cut at a word, or within one where there is none near, never
    between a letter and its marks. None and blank texts give ''. Idempotent.
    """
    if not text:
        return ""
    whole = _plain(text[: max(_RAW_FACTOR * max_chars, _RAW_MIN)])
    cut = _cut(whole, max_chars)
    return cut if cut == whole else _plain(cut)


def _plain(text: str) -> str:
    while (layer := _peeled(text)) != text:  # escaped mark-up shows only once its entities are resolved
        text = layer
    return text


def _peeled(text: str) -> str:
    """The text without its outermost layer of escapes and mark-up; itself where there is none left."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if "&" in text:
        text = unicodedata.normalize("NFKC", html.unescape(_NESTED.sub("&", text)))
    if "<" in text:
        text = _COMMENT.sub(" ", text)
        text = _TORN.sub(" ", text)
        if _WHOLE.search(text):
            spaced = _BLOCK.sub(" <", _BARE.sub("&lt;", text))
            text = html.unescape(nh3.clean(spaced, tags=set(), clean_content_tags={"script", "style"}))
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = _DOUBLE_JOINER.sub(r"\1", _STRAY_JOINER.sub("", text))
    return " ".join(text.split())


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    end = max_chars
    if text[end] != " ":
        space = text.rfind(" ", 0, end)
        if space >= _MIN_KEPT * end:
            end = space
    # A cut parts no mark from its letter, and no two letters that are joined.
    while end > 1 and (unicodedata.category(text[end]).startswith("M") or "\u200d" in text[end - 1 : end + 1]):
        end -= 1
    return (text[:end] if end > 1 else text[:max_chars]).rstrip()


@lru_cache(maxsize=4096)
def canonical_language(tag: str | None) -> str | None:
    """The BCP 47 tag without what leaves the language the same: en-US → en, iw → he, zh_TW → zh-Hant.

    The script stays only where it is not the language's usual one (zh-Hant, sr-Latn); a region that implies such a
    script becomes it (zh-HK → zh-Hant); other regions go, since a reader of pt-BR reads pt. `cmn` is zh, `no` is nb.
    None for what names no language (unknown, invalid, und, mul, zxx).
    """
    if not tag or not tag.strip():
        return None
    try:
        language = langcodes.Language.get(langcodes.standardize_tag(tag.strip().replace("_", "-"), macro=True))
    except (ValueError, LookupError):
        return None
    code = "nb" if language.language == "no" else language.language
    if not language.is_valid() or code in (None, "und", "mul", "mis", "zxx") or code.startswith("x-"):
        return None
    script = language.script or (language.maximize().script if language.territory else None)
    usual = langcodes.Language.make(language=code).maximize().script
    return str(langcodes.Language.make(language=code, script=script if script != usual else None))


@lru_cache(maxsize=4096)
def script_of_language(tag: str) -> str:
    """ISO 15924 code of the script that a canonical tag is written in: en → Latn, zh-Hant → Hant."""
    return str(langcodes.Language.get(tag).maximize().script)


def embedded_text(title: str, description: str) -> str:
    """What the encoder gets: the title, then the description on a line of its own."""
    return f"{title}\n{description}" if description else title


def text_hash(text: str) -> str:
    """SHA-256 of the UTF-8 text, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
