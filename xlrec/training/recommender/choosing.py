"""How a way to learn is chosen on few users, and how small logs are learnt from."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.config import HybridConfig

#: Steps of one epoch that small logs are cut into, at least, and the least batch.
_STEPS: Final = 16
_LEAST_BATCH: Final = 32
#: Rates of what all items share, times this where a trained model goes on: a few steps must not undo what many taught.
_GENTLE: Final = 0.1


def gentle(config: HybridConfig, n_visits: int, *, started: bool) -> HybridConfig:
    """The config for small logs: smaller batches, so that they still make steps; slower where a model goes on.

    Args:
        config: For logs of any size.
        n_visits: Visits that are learnt from.
        started: A trained model goes on.
    """
    batch = min(config.batch, max(_LEAST_BATCH, n_visits // _STEPS))
    rates = ("adapter_rate", "attention_rate") if started else ()
    return config.model_copy(update={"batch": batch, **{name: getattr(config, name) * _GENTLE for name in rates}})


def simplest(course: Sequence[NDArray[np.float64]], *, sure: bool) -> int:
    """The place of the best mean; where that is not sure, of the first no more than a standard error behind it.

    Source: Breiman et al. 1984, the one-standard-error rule.

    Args:
        course: (n_users,) values of each, from what changes least to what changes most; no users have mean 0.
        sure: There are users enough.
    """
    best = int(np.argmax([values.mean() if len(values) else 0.0 for values in course]))
    if sure or len(course[best]) < 2:  # a standard error takes two
        return best
    behind = [course[best] - values for values in course]
    near = [each.mean() <= each.std(ddof=1) / len(each) ** 0.5 for each in behind]
    return near.index(True)
