"""Which texts are longer than what an encoder sees of them."""

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from xlrec.encoders.base import Encoder

#: No model takes fewer tokens, and no token has less than a byte: shorter texts are seen whole.
_MIN_BYTES: Final = 32
#: Stands for more text; a vector that it does not change did not see the text's end.
_MORE: Final = " 42 zebra."


def cut(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.bool_]:
    """(n_texts,) true where the text is as long as what the encoder sees of a text, or longer.

    An encoder that has a method `cut` says so itself, from its tokens alone; any other is asked for the vectors of the
    longer texts with and without more text at their end.
    """
    found = np.zeros(len(texts), dtype=bool)
    long = [row for row, text in enumerate(texts) if len(text.encode("utf-8", "replace")) >= _MIN_BYTES]
    if not long:
        return found
    asked = [texts[row] for row in long]
    own = getattr(encoder, "cut", None)
    if own is not None:
        found[long] = cast("NDArray[np.bool_]", own(asked))
    else:
        found[long] = (encoder.encode(asked) == encoder.encode([text + _MORE for text in asked])).all(axis=1)
    return found
