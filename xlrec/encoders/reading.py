"""Texts tokenised in parts of like sizes: transformers hands padding over number by number, so little of it pays."""

from collections.abc import Callable
from typing import Any, Final

#: Texts of a part.
_PART: Final = 128


def tokenised(read: Callable[[list[str]], dict[str, Any]], texts: list[str]) -> dict[str, Any]:
    """What `read` finds in the texts, in their order, padded on the right with 0; all but tokens is the first part's.

    Args:
        read: tokenises texts; pads ids and mask on the right.
        texts: one at least.
    """
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    chosen = [order[start : start + _PART] for start in range(0, len(order), _PART)]
    parts = [read([texts[place] for place in places]) for places in chosen]
    longest = max(part["input_ids"].shape[1] for part in parts)
    whole = dict(parts[0])
    for name in ("input_ids", "attention_mask"):
        whole[name] = parts[0][name].new_zeros((len(texts), longest))
        for places, part in zip(chosen, parts, strict=True):
            whole[name][places, : part[name].shape[1]] = part[name]
    return whole
