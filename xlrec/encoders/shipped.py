"""The encoder that comes with the package: a bag of words and pieces, its rows kept as product-quantised codes.

It needs no network, no torch and 24 MB of memory. `xlrec.training.encoder` trained it; the card beside the weights
lists the training texts and their licences.
"""

import hashlib
import shutil
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.config.models import EmbedConfig
from xlrec.encoders.folder import CARD, TOKENIZER, WEIGHTS, read_coded, write_static
from xlrec.errors import EncoderError
from xlrec.kernels.base.csr import indptr_of
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
    try:
        files = [(package_folder(FOLDER) / name).read_bytes() for name in (WEIGHTS, TOKENIZER)]
    except OSError as error:
        raise EncoderError(f"embed.encoder: {error.filename} is missing: install the package again") from error
    return hashlib.sha256(b"".join(files)).hexdigest()


def fingerprint(config: EmbedConfig) -> str:
    """Identity of the vectors: weights, tokenizer, dim and limit of tokens.

    Raises:
        EncoderError: the package is not whole.
    """
    return f"{NAME}-v{_VERSION}-{_digest()[:24]}-{config.dim or 'full'}d-{config.max_tokens}t"


def export_folder(folder: str | Path) -> None:
    """Writes the encoder, with its card, as a folder that sentence-transformers loads without code of ours.

    Raises:
        EncoderError: the package is not whole.
    """
    _digest()
    tokenizer, coded = read_coded(package_folder(FOLDER))
    write_static(Path(folder), tokenizer, restored_table(coded))
    shutil.copyfile(package_folder(FOLDER) / CARD, Path(folder) / CARD)


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
            vectors[start : start + _SLAB] = self._means(texts[start : start + _SLAB])[:, : self.dim]
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        vectors[norms[:, 0] == 0] = np.eye(1, self.dim, dtype=np.float32)
        norms[norms == 0] = 1.0
        return np.asarray(vectors / norms, dtype=np.float32)

    def truncated_texts(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n_texts,) bool, true where the text has as many tokens as the encoder takes, or more."""
        return np.array([len(encoding.ids) >= self._longest for encoding in self._encodings(texts)], dtype=np.bool_)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text, bytes of unknown characters as `<0x..>`."""
        return [list(encoding.tokens) for encoding in self._encodings(texts)]

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        return list(self._tokenizer.encode_batch_fast([_sound(text) for text in texts], add_special_tokens=False))

    def _means(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        ids = [encoding.ids[: self._longest] for encoding in self._encodings(texts)]
        offsets = indptr_of(np.array([len(one) for one in ids], dtype=np.int64))
        numbers = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(offsets[-1]))
        return coded_means(self._coded, numbers, offsets)


def _sound(text: str) -> str:
    """The text without lone surrogates, which UTF-8 and so the tokenizer cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
