"""Texts that an encoder truncates."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.encoders.base import Encoder

#: No model takes fewer tokens, and no token is shorter than a byte: shorter texts are never truncated.
_MIN_BYTES: Final = 32
#: Appended to a text; a vector that it leaves unchanged did not see the text's end.
_MORE: Final = " 42 zebra."


def truncated_texts(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.bool_]:
    """(n_texts,) bool, true where the text is as long as the encoder's limit, or longer.

    An encoder with a method `cut` counts its own tokens. Any other encodes the longer texts twice: as they are, and
    with more text at their end.
    """
    truncated = np.zeros(len(texts), dtype=bool)
    long = [row for row, text in enumerate(texts) if len(text.encode("utf-8", "replace")) >= _MIN_BYTES]
    candidates = [texts[row] for row in long]
    if candidates and hasattr(encoder, "cut"):
        truncated[long] = encoder.cut(candidates)
    elif candidates:
        longer = encoder.encode([text + _MORE for text in candidates])
        truncated[long] = (encoder.encode(candidates) == longer).all(axis=1)
    return truncated
