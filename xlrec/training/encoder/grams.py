"""Character n-grams of tokens, by which words share what they learn: inflections, compounds, names in other scripts.

Source: Bojanowski et al. 2017, "Enriching word vectors with subword information". Here letters of every alphabet also
give n-grams of a rough Latin spelling, so that Клинтон, クリントン and Clinton have some in common.
"""

import json
import unicodedata
import zlib
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

#: Spellings of about the same sound, of which one is kept.
_SOUNDS = (("ph", "f"), ("ck", "k"), ("c", "k"), ("q", "k"), ("x", "ks"), ("w", "v"), ("y", "i"))
_HANGUL = (0xAC00, 0xD7A3)


@cache
def _sounds() -> dict[str, Any]:
    """Rough Latin spelling of letters, and of Hangul's consonants and vowels in Unicode's order, where - is silent."""
    return cast("dict[str, Any]", json.loads(Path(__file__).with_name("letters.json").read_text("utf-8")))


@lru_cache(maxsize=65536)
def _latin(letter: str) -> str:
    """Rough Latin spelling of one letter; '' where there is none (Han, signs)."""
    if letter.isascii():
        return letter
    base = unicodedata.normalize("NFD", letter)[0]
    if base.isascii() or base in _sounds()["letters"]:
        return str(_sounds()["letters"].get(base, base))
    code = ord(letter)
    if _HANGUL[0] <= code <= _HANGUL[1]:
        initial, rest = divmod(code - _HANGUL[0], 588)
        initials, vowels, finals = (_sounds()[kind].split() for kind in ("initials", "vowels", "finals"))
        return f"{initials[initial]}{vowels[rest // 28]}{finals[rest % 28]}".replace("-", "")
    return _by_name(letter, unicodedata.name(letter, ""))


def _by_name(letter: str, name: str) -> str:
    """Latin spelling from the Unicode name: KATAKANA LETTER KA is ka, DEVANAGARI LETTER KA is k."""
    words = name.split()
    if "KATAKANA" in words[:1] or "HIRAGANA" in words[:1]:
        sound = words[-1].lower() if "LETTER" in words and "SMALL" not in words[-2:-1] + words[-3:-2] else ""
        special = {"tu": "tsu", "ti": "chi", "hu": "fu", "si": "shi", "zi": "ji"}
        if "SMALL" in words:
            sound = words[-1].lower() if letter not in "っッ" else ""
        return special.get(sound, sound)
    if not {"LETTER", "CHARACTER", "SIGN", "SYLLABLE"} & set(words) or "IDEOGRAPH" in words:
        return ""
    sound = {"ANUSVARA": "n", "VIRAMA": "", "VISARGA": "", "NUKTA": ""}.get(words[-1], words[-1].lower())
    if words[0] == "THAI" and len(words) > 2:
        sound = "" if words[2] == "MAI" else words[-1 if words[2] == "SARA" else 2].lower()
        sound = "a" if words[-1] == "HAN-AKAT" else sound
    start = next((place for place, one in enumerate(sound) if one in "aeiou"), len(sound))
    return sound[:start] or sound[:1]


@lru_cache(maxsize=8192)
def latin_spelling(word: str) -> str:
    """The word by about its sound: no accents, no doubled letters, one spelling for like sounds; '' where unknown."""
    spelling = "".join(map(_latin, word))
    for seen, kept in _SOUNDS:
        spelling = spelling.replace(seen, kept)
    return "".join(letter for letter, _ in groupby(spelling) if letter.isalnum())


def _ngrams(marked: str, lengths: tuple[int, ...]) -> list[str]:
    return [marked[start : start + n] for n in lengths for start in range(len(marked) - n + 1)]


def token_grams(token: str, is_word: bool) -> list[str]:
    """N-grams of a token, each with a letter for its kind; a word's ends are marked; none without letters or digits."""
    if not any(part.isalnum() for part in token):
        return []
    left, right = ("<", ">") if is_word else ("", "")
    spelling = latin_spelling(token)
    spelled = ["s" + part for part in _ngrams(left + spelling + right, (3, 4, 5))] if spelling else []
    if token.isascii() or (spelling and unicodedata.name(token[0], "").startswith("LATIN")):
        return spelled or ["w" + token]
    if any(ord(part) >= 0x2E80 for part in token):  # Han, kana, Hangul: short n-grams, no ends
        return ["r" + part for part in _ngrams(token, (1, 2, 3))] + spelled
    return ["r" + part for part in _ngrams(left + token + right, (3, 5))] + spelled


def gram_table(
    tokens: list[str], words: frozenset[str], buckets: int, most: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Hashed n-grams of every token, ascending and distinct, as (n_grams,) int32 buckets and their bounds.

    The bounds are (n_tokens + 1,) int64, token after token. Of more than `most` n-grams those with the smallest hash
    are kept, which like words have in common.
    """
    numbers, offsets = [], np.zeros(len(tokens) + 1, dtype=np.int64)
    for row, token in enumerate(tokens):
        grams = token_grams(token, token in words)
        hashes = sorted({zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in grams})
        rows = sorted({gram % buckets for gram in hashes[:most]})
        numbers += rows
        offsets[row + 1] = len(numbers)
    return np.array(numbers, dtype=np.int32), offsets
