"""Checks of a chat model's answer: JSON with the one key, a text of fitting length, in the pivot language."""

import json
import re
import unicodedata
from typing import Any, Final, Literal

from xlrec.kernels.base.names import UNKNOWN_LANGUAGE
from xlrec.kernels.text.detection import detect_language, language_differs
from xlrec.kernels.text.text import clean_text, script_of_language
from xlrec.translators import base
from xlrec.translators.base import Translation

_FENCE: Final = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)
#: Characters of an answer against UTF-8 bytes of its text: at most this many times, and a few; a translation has at
#: least this share.
_MOST, _FEW, _LEAST = 2, 200, 0.1
#: One language of each of the larger scripts: an answer in another script than the pivot's is seen, however short.
_OF_SCRIPTS: Final = frozenset({"ar", "el", "en", "he", "hi", "ja", "ko", "ru", "th", "zh"})
#: Languages with Chinese characters: few of them do not tell which one it is.
_HAN: Final = frozenset({"Hans", "Hant", "Jpan"})


def check_answer(
    answer: str, text: str, language: str, pivot: str, style: Literal["translation", "description"]
) -> Translation:
    """The text that an answer holds, cleaned as the catalogue's texts are, or the reason why it is not valid."""
    found, reason = _text_of(answer)
    if reason:
        return Translation("", reason)
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\r\t" for character in found):
        return Translation("", base.CONTROL_CHARACTERS)
    n_bytes = len(text.encode())
    longest = _MOST * n_bytes + _FEW
    if len(found) > longest:
        return Translation("", base.TOO_LONG)
    lines = (clean_text(line, longest) for line in found.splitlines())
    written = "\n".join(line for line in lines if line)
    if not written or (style == "translation" and len(written) < _LEAST * n_bytes):
        return Translation("", base.TOO_SHORT if written else base.NOTHING_WRITTEN)
    if language != pivot and written.casefold() == text.casefold():
        return Translation("", base.UNCHANGED)
    if _is_foreign(written, language, pivot):
        return Translation("", base.WRONG_LANGUAGE)
    return Translation(written)


def _text_of(answer: str) -> tuple[str, str]:
    """The value of the one key, or the reason why there is none."""
    fenced = _FENCE.fullmatch(answer)
    try:
        value: Any = json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return "", base.NOT_JSON
    if not isinstance(value, dict):
        return "", base.NOT_JSON
    if set(value) != {"text"} or not isinstance(value["text"], str):
        return "", base.WRONG_KEYS
    return value["text"], ""


def _is_foreign(written: str, language: str, pivot: str) -> bool:
    """True where the text surely is not in the pivot language; False where nobody can be sure."""
    script = script_of_language(pivot)
    others = _OF_SCRIPTS - {"ja", "zh"} if script in _HAN else _OF_SCRIPTS
    candidates = tuple(sorted({pivot, language, *others} - {UNKNOWN_LANGUAGE}))
    theirs = (
        script_of_language(found) if (found := detect_language(written, candidates)) != UNKNOWN_LANGUAGE else script
    )
    return (theirs != script and not {theirs, script} <= _HAN) or language_differs(written, pivot, candidates)
