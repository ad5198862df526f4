"""The encoder that comes with the package: a bag of words and pieces, its rows kept as product-quantised codes.

It needs no network, no torch and 22 MB of memory. `xlrec.training.encoder` trained it; the card beside the weights
lists the training texts and their licences.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.config.models import EmbedConfig
from xlrec.encoders.folder import CARD, TOKENIZER, WEIGHTS, read_coded, write_static
from xlrec.errors import EncoderError
from xlrec.kernels.text.quantise import coded_means, restored_table
from xlrec.runtime.scratch import package_folder

NAME = "default"
FOLDER = Path(__file__).parent / "default"
#: Raise it whenever a change of the code changes a vector.
_VERSION = 1
_SLAB = 8192


@lru_cache(maxsize=1)
def _digest() -> str:
    """SHA-256 over weights and tokenizer.

    Raises:
        EncoderError: the package is not whole.
    """
    total = hashlib.sha256()
    for name in (WEIGHTS, TOKENIZER):
        try:
            total.update((package_folder(FOLDER) / name).read_bytes())
        except OSError as error:
            raise EncoderError(f"embed.encoder: {FOLDER / name} is missing: install the package again") from error
    return total.hexdigest()


def fingerprint(config: EmbedConfig) -> str:
    """Identity of the vectors: weights, tokenizer, dim and limit of tokens.

    Raises:
        EncoderError: the package is not whole.
    """
    return f"{NAME}-v{_VERSION}-{_digest()[:24]}-{config.dim or 'full'}d-{config.max_tokens}t"


def shipped_table() -> tuple[Any, npt.NDArray[np.float32]]:
    """Tokenizer, and (n_tokens, dim) float32 rows of its tokens.

    Raises:
        EncoderError: the package is not whole.
    """
    _digest()
    tokenizer, coded = read_coded(package_folder(FOLDER))
    return tokenizer, restored_table(coded)


def export_folder(folder: str | Path) -> None:
    """Writes the encoder, with its card, as a folder that sentence-transformers loads without code of ours."""
    write_static(Path(folder), *shipped_table())
    (Path(folder) / CARD).write_text((package_folder(FOLDER) / CARD).read_text(encoding="utf-8"), encoding="utf-8")


class ShippedEncoder:
    """The mean of the rows of a text's tokens, at unit norm."""

    def __init__(self, config: EmbedConfig) -> None:
        """Takes `dim` and `max_tokens`.

        Raises:
            EncoderError: the config has a prompt, a revision or too large a `dim`, or the package is not whole.
        """
        for key in ("prompt", "revision"):
            if getattr(config, key):
                raise EncoderError(f"embed.{key} is set, but the encoder `{NAME}` has none: remove it, or name a model")
        self.fingerprint = fingerprint(config)
        self._tokenizer, self._coded = read_coded(package_folder(FOLDER))
        own = self._coded.every.books[:, 0].size
        if config.dim and config.dim > own:
            raise EncoderError(f"embed.dim: {config.dim} is more than the {own} numbers of `{NAME}`: lower it")
        self.dim, self._longest = config.dim or own, config.max_tokens

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, dim) float32, unit norm, the same bits in every batch; a text without a token is the first axis."""
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), _SLAB):
            means = self._means([_sound(text) for text in texts[start : start + _SLAB]])
            vectors[start : start + _SLAB] = means[:, : self.dim]
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        vectors[norms[:, 0] == 0] = np.eye(1, self.dim, dtype=np.float32)
        norms[norms == 0] = 1.0
        return np.asarray(vectors / norms, dtype=np.float32)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text, bytes of unknown characters as `<0x..>`."""
        encodings = self._tokenizer.encode_batch_fast([_sound(text) for text in texts], add_special_tokens=False)
        return [list(encoding.tokens) for encoding in encodings]

    def _means(self, texts: list[str]) -> npt.NDArray[np.float32]:
        ids = [one.ids[: self._longest] for one in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        offsets = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(one) for one in ids], out=offsets[1:])
        numbers = np.fromiter((number for one in ids for number in one), dtype=np.int32, count=int(offsets[-1]))
        return np.asarray(coded_means(self._coded, numbers, offsets))


def _sound(text: str) -> str:
    """The text without lone surrogates, which UTF-8 and so the tokenizer cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
