"""The language of a text among a catalogue's own languages: its script first, lingua where several share the script."""

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any, Final

from xlrec.kernels.base.names import UNKNOWN_LANGUAGE
from xlrec.kernels.text.text import canonical_language, script_of_language

#: First word of a letter's Unicode name to the ISO 15924 code of its script.
_SCRIPTS: Final = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "ARMENIAN": "Armn", "GEORGIAN": "Geor", "HEBREW": "Hebr",
    "ARABIC": "Arab", "SYRIAC": "Syrc", "THAANA": "Thaa", "NKO": "Nkoo", "DEVANAGARI": "Deva", "BENGALI": "Beng",
    "GURMUKHI": "Guru", "GUJARATI": "Gujr", "ORIYA": "Orya", "TAMIL": "Taml", "TELUGU": "Telu", "KANNADA": "Knda",
    "MALAYALAM": "Mlym", "SINHALA": "Sinh", "THAI": "Thai", "LAO": "Laoo", "TIBETAN": "Tibt", "MYANMAR": "Mymr",
    "KHMER": "Khmr", "MONGOLIAN": "Mong", "ETHIOPIC": "Ethi", "CHEROKEE": "Cher", "HANGUL": "Kore", "CJK": "Hani",
    "HIRAGANA": "Kana", "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana", "BOPOMOFO": "Hani",
}  # fmt: skip
#: Legacy character sets that tell who writes a Chinese character: mainland China, Taiwan, Japan.
_CHARSETS: Final = {"Hans": "gb2312", "Hant": "big5", "Jpan": "shift_jis"}
#: A Latin letter counts this much of another: titles in every language carry Latin brand names.
_LATIN_WEIGHT: Final = 1 / 3
#: Share of kana from which a text is Japanese; Chinese borrows a single の.
_MIN_KANA: Final = 0.1
#: So many Chinese characters without any kana are not Japanese.
_MAX_HAN_ONLY: Final = 8
#: Less sure than this, and the language is unknown. Short titles of brand names stay below.
_MIN_CONFIDENCE: Final = 0.5
#: So sure must be who says that a text is in another language than stated, and of so many letters.
_SURE: Final = 0.95
_MIN_LETTERS: Final = 20
#: From here on lingua's trigrams alone: its full models of 49 languages take 1 GB in every worker, these 80 MB.
_MANY: Final = 20
#: Letters of a text that are looked at.
_MAX_CHARS: Final = 600


def language_differs(text: str, stated: str, languages: tuple[str, ...]) -> bool:
    """True where the text surely is in another one of the languages than stated; False where nobody can be sure.

    Nobody is where the text has few letters, or where lingua does not know the stated language but others of its
    script, to which it would then give the text.
    """
    if sum(c.isalpha() for c in text[:_MAX_CHARS]) < _MIN_LETTERS:
        return False
    found = detect_language(text, languages, _SURE)
    if found in (UNKNOWN_LANGUAGE, stated):
        return False
    script = script_of_language(found)
    if script != script_of_language(stated) or script in _CHARSETS:
        return True
    return stated in _detector(_written_in(script, languages))[1].values()


def detect_language(text: str, languages: tuple[str, ...], min_confidence: float = _MIN_CONFIDENCE) -> str:
    """The text's language, one of these canonical tags; `und` where none is likely or the text has no letters.

    Only languages of the text's script come in question: a single one is the answer. Of several, lingua chooses among
    those that it knows. Chinese, traditional Chinese and Japanese are told apart by kana and by whose character sets
    hold the characters. A catalogue that states no language at all may be in any that lingua knows.
    """
    languages = languages or tuple(sorted(filter(None, map(canonical_language, _lingua_codes()))))
    letters = [c for c in text[:_MAX_CHARS] if c.isalpha()]
    counts = Counter(filter(None, map(_script, letters)))
    n_kana = counts.pop("Kana", 0)
    counts["Hani"] += n_kana
    script = max(sorted(counts), key=lambda s: counts[s] * (_LATIN_WEIGHT if s == "Latn" else 1.0))
    if not counts[script]:
        return UNKNOWN_LANGUAGE
    if script == "Hani":
        return _east_asian([c for c in letters if _script(c) == "Hani"], n_kana, languages)
    fitting = _written_in(script, languages)
    if len(fitting) < 2:
        return fitting[0] if fitting else UNKNOWN_LANGUAGE
    detector, tags = _detector(fitting)
    if detector is None:
        return UNKNOWN_LANGUAGE
    best = detector.compute_language_confidence_values(text[:_MAX_CHARS])[0]
    sure = round(best.value, 6) >= min_confidence
    return tags[best.language.iso_code_639_1.name.lower()] if sure else UNKNOWN_LANGUAGE


def _written_in(script: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(tag for tag in languages if script_of_language(tag) == script))


@lru_cache(maxsize=8192)
def _script(letter: str) -> str | None:
    return _SCRIPTS.get(unicodedata.name(letter, "").split(" ")[0])


def _east_asian(characters: list[str], n_kana: int, languages: tuple[str, ...]) -> str:
    """Of the languages written with Chinese characters; zh before zh-Hant where the characters suit both."""
    by_script = {script_of_language(tag): tag for tag in sorted(languages, reverse=True)}
    if n_kana >= _MIN_KANA * (n_kana + len(characters)):
        return by_script.get("Jpan", UNKNOWN_LANGUAGE)
    known = [script for script in _CHARSETS if script in by_script]
    if len(known) < 2:
        return by_script[known[0]] if known else UNKNOWN_LANGUAGE
    fit = {script: sum(bool(c.encode(_CHARSETS[script], "ignore")) for c in characters) for script in known}
    best = [script for script in known if fit[script] == max(fit.values())]
    if "Jpan" in best and len(best) > 1 and len(characters) < _MAX_HAN_ONLY:
        return UNKNOWN_LANGUAGE  # 東京 is as good in each
    return by_script[best[0]]


@lru_cache(maxsize=1)
def _lingua_codes() -> frozenset[str]:
    from lingua import Language

    return frozenset(language.iso_code_639_1.name.lower() for language in Language.all())


@lru_cache(maxsize=64)
def _detector(languages: tuple[str, ...]) -> tuple[Any, dict[str, str]]:
    """Lingua for these languages, once per process, and the tag of each of its codes; None if it knows under two."""
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    # A tag with a script (sr-Latn) is not the spelling that lingua has learnt.
    tags = {code: tag for tag in languages if (code := {"fil": "tl"}.get(tag, tag)) in _lingua_codes()}
    if len(tags) < 2:
        return None, tags
    codes = [getattr(IsoCode639_1, code.upper()) for code in sorted(tags)]
    builder = LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
    return (builder.with_low_accuracy_mode() if len(codes) > _MANY else builder).build(), tags
