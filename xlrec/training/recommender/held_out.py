"""Newest choices of some users, held out of the logs, and their ranks by any weights of sources and texts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # has no types of its own

from xlrec.config.models import Config
from xlrec.kernels.evaluation.places import LAST, LISTED, NEVER, wanted_places
from xlrec.kernels.history.profiles import profile_vectors
from xlrec.training.recommender import fit_factor_model, user_preferences
from xlrec.training.recommender.item_neighbours import item_neighbours
from xlrec.training.recommender.logs import Items, Logs, first_events, first_meetings, select_events
from xlrec.training.recommender.scores import (
    popularity_at,
    readable_items,
    served_vectors,
    user_histories,
    user_queries,
)  # fmt: skip

if TYPE_CHECKING:
    import pyarrow as pa

_Floats = NDArray[np.float64]
#: Parts of a score, in the order of their weights: the sources, and nearness of the texts.
PARTS: Final = ("similar", "covisited", "popular", "texts")
#: Scores of a block of users by each part, at most.
_MOST_SCORES: Final = 2_000_000


class HeldOut(NamedTuple):
    """Users whose newest choice is held out, and the logs without it."""

    known: Logs
    items: Items
    """All, with `first_micros` of the catalogue and the known logs."""
    users: NDArray[np.int64]
    """(n,) int64 rows of the users, ascending."""
    nums: NDArray[np.int32]
    """(n,) int32 item_num of each user's choice."""

    @property
    def new(self) -> NDArray[np.bool_]:
        """(n,) bool choices of items that nobody is known to have chosen."""
        n_choices = np.bincount(self.known.event_nums, minlength=len(self.items.texts))
        return np.asarray(n_choices[self.nums] == 0)


def hold_out_newest(logs: Logs, items: Items, most: int, seed: int) -> HeldOut:
    """Newest first meeting of some users with an item sold to them; their logs end before it.

    At most `most` users of each market, drawn by the seed from those with an earlier history.
    """
    visits, owners, rows = logs.visits, logs.visits.owners, first_meetings(logs.visits)
    newest = rows[np.flatnonzero(np.diff(owners[rows], append=-1))]
    first = np.zeros(logs.n_users)
    some = np.diff(visits.indptr) > 0
    first[some] = visits.micros[visits.indptr[:-1][some]]
    users, nums = owners[newest], visits.nums[newest]
    newest = newest[(first[users] < visits.micros[newest]) & items.eligible[logs.markets[users], nums]]
    order = np.random.default_rng([seed, 41]).permutation(len(newest))
    markets = logs.markets[owners[newest[order]]]
    drawn = [order[markets == market][:most] for market in range(len(items.eligible))]
    kept = newest[np.sort(np.concatenate(drawn))]
    cuts = np.full(logs.n_users, np.inf)
    cuts[owners[kept]] = visits.micros[kept]
    known = select_events(logs, visits.micros < cuts[owners], logs.event_micros < cuts[logs.event_users])
    first, n_items = items.first_micros, len(items.first_micros)
    from_logs = first == first_events(logs, n_items)  # other moments are the catalogue's
    first = np.where(from_logs, first_events(known, n_items), first)
    return HeldOut(known, items._replace(first_micros=first), owners[kept], visits.nums[kept])


class HeldOutRanks:
    """Ranks of the held-out choices by any weights of `PARTS`, with what a night would learn from the known logs."""

    def __init__(self, held: HeldOut, config: Config, markets: tuple[str, ...], item_ids: "pa.Array[Any]") -> None:
        """Fits the model, the neighbours and popularity on the known logs; `markets` names the rows of `eligible`."""
        train, known, items = config.train, held.known, held.items
        self.held, self.config = held, config.retrieve
        # Held-out choices have fewer new items than the coming ones: weights would take back what the boost gives.
        plain = train.factors.model_copy(update={"boost": 1.0})
        model = fit_factor_model(known, items, plain, markets=markets, item_ids=item_ids, facts={}, seed=config.seed)
        self.vectors, self.preferences = served_vectors(model, item_ids, items), user_preferences(known)
        self.neighbours = item_neighbours(known, items.eligible, train.covisitation)
        moment = float(known.event_micros.max(initial=0)) + 1
        self.popularity = popularity_at(known, len(markets), len(items.texts), moment, train.popularity)

    def market_ranks(
        self, market: int, weights: _Floats, half_life_items: float, most: int | None = None
    ) -> NDArray[np.int64]:
        """(n_weights, n_users) int64 items listed before each choice of the market's users, of `most` users at most.

        Weights are (n_weights, n_parts) float64 in the order of `PARTS`; `half_life_items` is that of the model's
        queries.
        """
        rows = np.flatnonzero(self.held.known.markets[self.held.users] == market)[:most]
        sold = np.flatnonzero(self.held.items.eligible[market])
        size = max(1, _MOST_SCORES // max(1, len(sold)))
        blocks = [
            self._block_ranks(market, sold, rows[at : at + size], weights, half_life_items)
            for at in range(0, len(rows), size)
        ]
        return np.concatenate([np.zeros((len(weights), 0), dtype=np.int64), *blocks], axis=1)

    def _block_ranks(
        self,
        market: int,
        sold: NDArray[np.int64],
        rows: NDArray[np.int64],
        weights: _Floats,
        half_life_items: float,
    ) -> NDArray[np.int64]:
        users, known, items = self.held.users[rows], self.held.known, self.held.items
        history = user_histories(known, users, self.config)
        states = np.where(readable_items(items, known, users)[:, sold], LISTED, LAST).astype(np.uint8)
        ones = np.ones(len(history.seen_nums))
        met = csr_matrix((ones, history.seen_nums, history.seen_indptr), (len(users), len(items.texts)))
        states[met[:, sold].nonzero()] = NEVER
        recent = csr_matrix((history.weights, history.nums, history.indptr), met.shape)

        def model() -> _Floats:
            """(n_users, n_sold) float64 scores of the learnt model."""
            queries = user_queries(self.vectors, self.preferences, users, history, half_life_items)
            return np.asarray(queries @ self.vectors.outputs[sold].T.astype(np.float64))

        def texts() -> _Floats:
            """(n_users, n_sold) float64 cosines with the history's mean text."""
            mean = profile_vectors(history, [(0, items.texts)], items.texts.shape[1])
            mean = np.where(np.isfinite(mean), mean, 0.0)  # without a history or without its texts
            return np.asarray(mean @ items.texts[sold].T.astype(np.float64))

        parts: dict[str, Callable[[], _Floats]] = {
            "similar": model,
            "covisited": lambda: (recent @ self.neighbours[market][:, sold]).toarray(),
            "popular": lambda: np.broadcast_to(self.popularity[market, sold], states.shape),
            "texts": texts,
        }
        used = [column for column in range(len(PARTS)) if weights[:, column].any()]
        scores = np.stack([parts[PARTS[column]]() for column in used])
        return wanted_places(scores, states, np.searchsorted(sold, self.held.nums[rows]), weights[:, used])
