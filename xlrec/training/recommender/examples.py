"""Training examples: the first time that a user meets an item, told from the visits before, moment by moment.

Every market's examples weigh one on average: one that logs purchases alone teaches as much as one that logs views.

Moments are cut into spans of as many examples each. A batch is of one span, so that popularity and freshness are what
was known when the span began: nothing is learnt from what came later.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.kernels.attention import Visits, age_buckets, place_buckets
from xlrec.recommenders.hybrid import freshness, log_popularity
from xlrec.training.recommender.logs import Items, Logs, first_meetings

_DAY: Final = 86_400_000_000.0
#: Most numbers of all spans' popularity together; fewer spans where markets and items are many.
_MAX_SNAPSHOT: Final = 200_000_000
#: Visits stronger than this weigh as much.
_STRONGEST: Final = 4.0


class Past(NamedTuple):
    """Histories of a batch, padded: newest visit first."""

    items: NDArray[np.int64]
    """(n, length) item_num; 0 where `held` is False."""
    held: NDArray[np.bool_]
    places: NDArray[np.int64]
    ages: NDArray[np.int64]
    log_weights: NDArray[np.float32]
    n_visits: NDArray[np.int64]
    """(n,) visits that count."""


def some_of(past: Past, rows: NDArray[np.int64]) -> Past:
    """The histories of some examples."""
    return Past(
        past.items[rows], past.held[rows], past.places[rows], past.ages[rows], past.log_weights[rows],
        past.n_visits[rows],
    )  # fmt: skip


class Span(NamedTuple):
    """What was known when a span began."""

    popularity: NDArray[np.float32]
    """(n_markets, n_items) of `log_popularity`."""
    fresh: NDArray[np.float32]
    """(n_items,)."""


class Batch(NamedTuple):
    """Examples of one span."""

    users: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    past: Past
    span: Span


def past_of(log: Visits, users: NDArray[np.int64], ends: NDArray[np.int64], longest: int) -> Past:
    """The newest `longest` visits of each user before row `ends` (exclusive) of the visits."""
    counts = np.minimum(ends - log.indptr[users], longest)
    width = max(1, int(counts.max(initial=0)))
    held = np.arange(width) < counts[:, None]
    rows = np.where(held, ends[:, None] - 1 - np.arange(width), 0)
    if not len(log.nums):
        empty = np.zeros(rows.shape, dtype=np.int64)
        return Past(empty, held, empty, empty, empty.astype(np.float32), counts)
    micros = log.micros[rows]
    ages = np.where(held, np.maximum(micros[:, :1] - micros, 0), 0)
    return Past(
        np.where(held, log.nums[rows], 0).astype(np.int64),
        held,
        np.broadcast_to(place_buckets(width), rows.shape),
        age_buckets(ages),
        np.where(held, np.log(log.weights[rows]), 0.0).astype(np.float32),
        counts,
    )


def popularity_at(
    logs: Logs, n_markets: int, n_items: int, moment: float, config: PopularityConfig
) -> NDArray[np.float64]:
    """(n_markets, n_items) as `recommenders.popularity.fit` has it, from the events before the moment."""
    known = logs.event_micros < moment
    nums, markets = logs.event_nums[known], logs.event_markets[known]
    weights = logs.event_weights[known] * 0.5 ** ((moment - logs.event_micros[known]) / (_DAY * config.half_life_days))
    everywhere = np.bincount(nums, weights=weights, minlength=n_items)
    shares = everywhere / max(everywhere.sum(), 1e-300)
    cells = markets.astype(np.int64) * n_items + nums
    here = np.bincount(cells, weights=weights, minlength=n_markets * n_items).reshape(n_markets, n_items)
    total = here.sum(axis=1, keepdims=True) + config.prior_strength
    found: NDArray[np.float64] = (here + config.prior_strength * shares) / np.where(total > 0, total, 1.0)
    return found


def _even(weights: NDArray[np.float64], markets: NDArray[np.int32]) -> NDArray[np.float32]:
    """(n,) the weights over their mean in the market of each; above 0, as visits of weight 0 are none."""
    sums, sizes = np.bincount(markets, weights=weights), np.bincount(markets)
    return (weights / (sums / np.maximum(sizes, 1))[markets]).astype(np.float32)


class Examples:
    """All examples of some logs, cut into spans."""

    def __init__(self, logs: Logs, items: Items, config: HybridConfig, popularity: PopularityConfig) -> None:
        """Finds the examples and what was known in each span."""
        self.logs, self.config = logs, config
        log, n_items = logs.visits, len(items.texts)
        self.owner = log.owners
        self.rows = first_meetings(log)
        n_spans = max(1, min(config.spans, _MAX_SNAPSHOT // max(1, items.eligible.size), len(self.rows) // 256))
        moments = log.micros[self.rows]
        cuts = np.unique(np.quantile(moments, np.linspace(0, 1, n_spans + 1)[:-1])) if len(moments) else np.zeros(0)
        self.span_of = np.searchsorted(cuts, moments, side="right") - 1
        n_markets = len(items.eligible)
        self.spans = [
            Span(
                log_popularity(popularity_at(logs, n_markets, n_items, cut, popularity), n_items),
                freshness(items.first_micros, cut),
            )
            for cut in cuts
        ]
        self.counts = np.bincount(log.nums[self.rows], minlength=n_items)
        strength = np.sqrt(np.minimum(log.weights[self.rows], _STRONGEST))
        self.weights = _even(strength, logs.markets[self.owner[self.rows]])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_batches(self) -> int:
        """Batches of one epoch."""
        return sum(-(-int(n) // self.config.batch) for n in np.bincount(self.span_of, minlength=1))

    def epoch(self, number: int, seed: int) -> Iterator[Batch]:
        """All examples once, in an order that hangs on seed and epoch alone; markets and languages are mixed."""
        rng = np.random.default_rng([seed, 11, number])
        parts = []
        for span in range(len(self.spans)):
            rows = rng.permutation(np.flatnonzero(self.span_of == span))
            parts += [(span, rows[at : at + self.config.batch]) for at in range(0, len(rows), self.config.batch)]
        log = self.logs.visits
        for place in rng.permutation(len(parts)):
            span, chosen = parts[place]
            rows = self.rows[chosen]
            users = self.owner[rows]
            yield Batch(
                users,
                log.nums[rows].astype(np.int64),
                self.weights[chosen],
                past_of(log, users, rows, self.config.max_history),
                self.spans[span],
            )
