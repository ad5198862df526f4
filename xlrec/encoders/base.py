"""The protocol of encoders: texts in, unit vectors out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Encoder(Protocol):
    """An encoder of texts of any language; the inner product of two vectors is their similarity."""

    @property
    def fingerprint(self) -> str:
        """Identity of all that a vector depends on besides its text: weights, revision, prompt, pooling, dim."""

    @property
    def dim(self) -> int:
        """Numbers in a vector."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, dim) float32, unit norm; no texts give (0, dim), and the empty text has a vector too.

        A row depends on its text alone, never on the other texts of the call.

        Raises:
            EncoderError: vectors are not finite; whoever chose the encoder names another.
        """

    def truncated_texts(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n_texts,) bool, true where the text has as many tokens as the encoder takes, or more."""
