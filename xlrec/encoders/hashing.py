"""The encoder without weights: hashed character n-grams. It works offline, and finds same-script cognates only."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from xlrec.config.models import EmbedConfig
from xlrec.errors import EncoderError
from xlrec.kernels.text.ngrams import BREAK, CLASS_SHIFT, DROP, LETTER, RUNNING, SIGN, NgramShape, ngram_vectors

NAME = "hashing"
DEFAULT_DIM = 512
#: Raise it whenever a vector changes.
_VERSION = 1
#: Chosen on product texts of 12 languages: the same product in another language of its script among the first ten, and
#: neighbours of the same kind within a language. 1-grams and 2-grams of words tell only the language.
_SHAPE = NgramShape(letters_min=3, letters_max=4, running_max=2, n_slots=2, max_words=0)
_WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0])
#: Blocks of scripts that put no spaces between words: Thai, Lao, Myanmar, Khmer, Kana, Bopomofo, Han.
_RUNNING_BLOCKS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x312F), (0x31A0, 0x31BF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_ACCENTS = (0x0300, 0x036F)


def fingerprint(config: EmbedConfig) -> str:
    """Names version and parameters; Unicode's version too, as it says what a letter is."""
    unicode = unicodedata.unidata_version
    return f"{NAME}-v{_VERSION}-{config.dim or DEFAULT_DIM}d-{config.max_tokens}w-unicode{unicode}"


def _without_accents(code: int) -> int:
    """The bare letter of a Latin, Greek or Cyrillic one (é is e, й is и): cognates often differ in accents only."""
    if chr(code) == "ı":
        return ord("i")
    parts = [ord(part) for part in unicodedata.normalize("NFD", chr(code))]
    return parts[0] if all(_ACCENTS[0] <= mark <= _ACCENTS[1] for mark in parts[1:]) else code


def _symbol(code: int) -> int:
    """Class << CLASS_SHIFT | code point of one code point."""
    category = unicodedata.category(chr(code))
    if category == "Cf" or _ACCENTS[0] <= code <= _ACCENTS[1]:
        return DROP << CLASS_SHIFT
    if category[0] == "S":
        return SIGN << CLASS_SHIFT | code
    if category[0] not in "LMN":
        return BREAK << CLASS_SHIFT
    if any(first <= code <= last for first, last in _RUNNING_BLOCKS):
        return RUNNING << CLASS_SHIFT | code
    return LETTER << CLASS_SHIFT | (_without_accents(code) if code < 0x2000 else code)


@lru_cache(maxsize=1)
def _alphabet() -> npt.NDArray[np.uint32]:
    """(0x110000,) symbol of every code point."""
    return np.fromiter((_symbol(code) for code in range(0x110000)), dtype=np.uint32, count=0x110000)


def _normalise(text: str) -> str:
    """The text without differences of case and presentation. Source: Unicode 3.13, toNFKC_Casefold."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFKC", folded)


class HashingEncoder:
    """Hashed character n-grams and words, casefolded and without accents, projected to dim numbers."""

    def __init__(self, config: EmbedConfig) -> None:
        """Takes `dim` and `max_tokens` (words here; a character of a script without spaces is one).

        Raises:
            EncoderError: the config has a prompt or a revision, which this encoder cannot use.
        """
        for key in ("prompt", "revision"):
            if getattr(config, key):
                raise EncoderError(f"embed.{key} is set, but the encoder `{NAME}` has none: remove it, or name a model")
        self.fingerprint = fingerprint(config)
        self.dim = config.dim or DEFAULT_DIM
        self._shape = _SHAPE._replace(max_words=config.max_tokens)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, dim) float32, unit norm; a text gives the same bits in every batch."""
        cleaned = [_normalise(text) for text in texts]
        offsets = np.zeros(len(cleaned) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in cleaned], out=offsets[1:])
        codes = np.frombuffer("".join(cleaned).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return np.asarray(ngram_vectors(_alphabet()[codes], offsets, _WEIGHTS, self._shape, self.dim))
