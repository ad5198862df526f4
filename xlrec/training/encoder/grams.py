"""Character n-grams of tokens, by which words share what they learn: inflections, compounds, names in other scripts.

Source: Bojanowski et al. 2017, "Enriching word vectors with subword information". Here letters of every alphabet also
give n-grams of a rough Latin spelling, so that Клинтон, クリントン and Clinton have some in common.
"""

import unicodedata
import zlib
from functools import lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt

_CYRILLIC = (
    "а a б b в v г g д d е e ж zh з z и i й i к k л l м m н n о o п p р r с s т t у u ф f х h ц ts ч ch ш sh щ sh "
    "ы i э e ю iu я ia є e і i ї i ґ g ў u ј i љ l њ n ћ ch ђ d џ dz ѓ g ќ k ѕ z ә a ғ g қ k ң n ө o ұ u ү u һ h"
)
_GREEK = "α a β v γ g δ d ε e ζ z η i θ th ι i κ k λ l μ m ν n ξ ks ο o π p ρ r σ s ς s τ t υ i φ f χ h ψ ps ω o"
_ARABIC = (
    "ا a ب b ت t ث th ج j ح h خ h د d ذ d ر r ز z س s ش sh ص s ض d ط t ظ z ع a غ g ف f ق k ك k ل l م m ن n ه h و u "
    "ي i ى a ة a پ p چ ch ژ zh گ g ک k ی i ں n ہ h ھ h ے e ٹ t ڈ d ڑ r"
)
_HEBREW = (
    "א a ב b ג g ד d ה h ו u ז z ח h ט t י i כ k ך k ל l מ m ם m נ n ן n ס s ע a פ p ף p צ ts ץ ts ק k ר r ש sh ת t"
)
_LETTERS = " ".join((_CYRILLIC, _GREEK, _ARABIC, _HEBREW)).split()
_TABLE = dict(zip(_LETTERS[::2], _LETTERS[1::2], strict=True))
#: Hangul's initial consonants, vowels and final consonants, in Unicode's order; - is silent.
_INITIALS, _VOWELS, _FINALS = (sounds.split() for sounds in (
    "k kk n t tt l m p pp s ss - ch ch ch k t p h",
    "a e ia ie o e io ie o ua ue oe io u uo ue ui iu - ui i",
    "- k k k n n n t l k m p l t p l m p p t t ng t t k t p h",
))  # fmt: skip
#: Spellings of about the same sound, of which one is kept.
_SOUNDS = (("ph", "f"), ("ck", "k"), ("c", "k"), ("q", "k"), ("x", "ks"), ("w", "v"), ("y", "i"))
_HANGUL = (0xAC00, 0xD7A3)


@lru_cache(maxsize=65536)
def _latin(letter: str) -> str:
    """Rough Latin spelling of one letter; '' where there is none (Han, signs)."""
    if letter.isascii():
        return letter
    base = unicodedata.normalize("NFD", letter)[0]
    if base.isascii() or base in _TABLE:
        return _TABLE.get(base, base)
    code = ord(letter)
    if _HANGUL[0] <= code <= _HANGUL[1]:
        initial, rest = divmod(code - _HANGUL[0], 588)
        return (_INITIALS[initial] + _VOWELS[rest // 28] + _FINALS[rest % 28]).replace("-", "")
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
    """N-grams of a token, each with a letter for its kind; none for what has no letters or digits.

    Args:
        token: as in the vocabulary.
        is_word: its ends are those of a word, and are marked.
    """
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
    """(bucket numbers, offsets (n_tokens + 1,)): the hashed n-grams of every token, ascending and distinct.

    Args:
        tokens: the vocabulary.
        words: those that are whole words.
        buckets: rows of the table of vectors.
        most: n-grams of a token; of more, those with the smallest hash are kept, which like words have in common.
    """
    numbers, offsets = [], np.zeros(len(tokens) + 1, dtype=np.int64)
    for row, token in enumerate(tokens):
        hashes = sorted(
            {zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in token_grams(token, token in words)}
        )
        rows = sorted({gram % buckets for gram in hashes[:most]})
        numbers += rows
        offsets[row + 1] = len(numbers)
    return np.array(numbers, dtype=np.int32), offsets
