"""Languages of texts: tags given, else detected, and their bits for the mask of a search."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.errors import ConfigError
from xlrec.index.catalogue import bits_of, words_for
from xlrec.kernels.base.names import UNKNOWN_LANGUAGE
from xlrec.kernels.text.detection import detect_language
from xlrec.kernels.text.text import canonical_language, clean_text

Texts = Sequence[str | None] | NDArray[Any]
MAX_CHARS: Final = 5000  # longer texts are cut at a word
#: Languages to detect among by default. Among all that lingua knows, short texts are mistaken and its models load long.
COMMON_LANGUAGES: Final = (
    "ar", "bn", "de", "el", "en", "es", "fr", "he", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "ta",
    "te", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip


def detected_languages(texts: Texts, among: Sequence[str] = COMMON_LANGUAGES, min_confidence: float = 0.5) -> list[str]:
    """The BCP 47 language of each text among some; `und` where none is likely or the text is empty."""
    tags = tuple(sorted(filter(None, map(canonical_language, among))))
    return [detect_language(text, tags, min_confidence) for text in cleaned_texts(texts)]


def cleaned_texts(texts: Texts) -> list[str]:
    """Texts without mark-up, cut at a word; empty where there is none."""
    return [clean_text("" if text is None else str(text), MAX_CHARS) for text in texts]


def language_tags(texts: Texts, given: Sequence[str | None] | None) -> list[str]:
    """Language of each text: as given, else detected among the given ones, or the common ones.

    Raises:
        ConfigError: there are more or fewer languages than texts.
    """
    if given is None:
        return detected_languages(texts)
    if len(given) != len(texts):
        raise ConfigError(f"{len(given)} languages are given for {len(texts)} texts: give one each, None to detect it")
    known = [canonical_language(tag) for tag in given]
    among = tuple(sorted({tag for tag in known if tag})) or COMMON_LANGUAGES
    missing = iter(detected_languages([t for t, tag in zip(texts, known, strict=True) if not tag], among))
    return [tag or next(missing) for tag in known]


def language_words(tags: Sequence[str], names: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Languages of n tags: (n, n_words) uint64 the bit of each among names, if any; (n,) bool whether it is known."""
    nums = {name: num for num, name in enumerate(names)}
    n_words = words_for(len(names))
    bits = {tag: bits_of([nums[tag]] if tag in nums else [], n_words) for tag in set(tags)}
    words = np.array([bits[tag] for tag in tags], dtype=np.uint64).reshape(len(tags), n_words)
    return words, np.array([tag != UNKNOWN_LANGUAGE for tag in tags], dtype=np.bool_)
