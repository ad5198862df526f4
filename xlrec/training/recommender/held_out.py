"""Choices that are held out of the logs, and where sources and texts place them among all that might be listed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # has no types of its own

from xlrec.config.models import Config
from xlrec.kernels.evaluation.places import LAST, LISTED, NEVER, places
from xlrec.kernels.history.profiles import Histories, profiles
from xlrec.training.recommender import learn, preferences_of
from xlrec.training.recommender.item_neighbours import neighbours_of
from xlrec.training.recommender.logs import Items, Logs, chosen, first_meetings
from xlrec.training.recommender.scores import history_of, popularity_at, queries, readable_by, served

if TYPE_CHECKING:
    import pyarrow as pa

_Floats = NDArray[np.float64]
#: What scores an item, in the order of the weights: the sources, and nearness of the texts.
PARTS: Final = ("similar", "covisited", "popular", "texts")
#: Scores of a block of users by each part, at most.
_MOST_SCORES: Final = 2_000_000


class HeldOut(NamedTuple):
    """Users whose newest choice is held out, and what is known without it."""

    known: Logs
    items: Items
    """`first_micros` as the known logs tell it."""
    users: NDArray[np.int64]
    """(n,) rows of the users, ascending."""
    nums: NDArray[np.int32]
    """(n,) what each chose."""

    @property
    def new(self) -> NDArray[np.bool_]:
        """(n,) nobody is known to have chosen it."""
        taught = np.bincount(self.known.event_nums, minlength=len(self.items.texts))
        return np.asarray(taught[self.nums] == 0)


def hold_out(logs: Logs, items: Items, most: int, seed: int) -> HeldOut:
    """The newest item that some users met, and that is sold to them; what they did from then on is not known.

    Args:
        logs: All.
        items: All.
        most: Users of each market, drawn where there are more; only such as have a history before.
        seed: Of the draw.
    """
    log, owner, rows = logs.visits, logs.visits.owners, first_meetings(logs.visits)
    newest = rows[np.flatnonzero(np.diff(owner[rows], append=-1))]
    first = np.zeros(logs.n_users)
    some = np.diff(log.indptr) > 0
    first[some] = log.micros[log.indptr[:-1][some]]
    users, nums = owner[newest], log.nums[newest]
    able = (first[users] < log.micros[newest]) & items.eligible[logs.markets[users], nums]
    newest = newest[able]
    order = np.random.default_rng([seed, 41]).permutation(len(newest))
    markets = logs.markets[owner[newest[order]]]
    drawn = [order[markets == market][:most] for market in range(len(items.eligible))]
    kept = newest[np.sort(np.concatenate(drawn))]
    cuts = np.full(logs.n_users, np.inf)
    cuts[owner[kept]] = log.micros[kept]
    known = chosen(logs, log.micros < cuts[owner], logs.event_micros < cuts[logs.event_users])
    told = items._replace(first_micros=_first_micros(items.first_micros, logs, known))
    return HeldOut(known, told, owner[kept], log.nums[kept])


def _first_micros(first: _Floats, logs: Logs, known: Logs) -> _Floats:
    """First moments, as fewer logs tell them where it was the logs that told them."""
    before, after = (np.full(len(first), np.inf) for _ in range(2))
    np.minimum.at(before, logs.event_nums, logs.event_micros.astype(np.float64))
    np.minimum.at(after, known.event_nums, known.event_micros.astype(np.float64))
    return np.where(first == before, np.where(np.isfinite(after), after, np.nan), first)


class Placing:
    """Places of the held-out choices by any weights of `PARTS`: what a night would have learnt, without its boost."""

    def __init__(self, held: HeldOut, config: Config, markets: tuple[str, ...], item_ids: "pa.Array[Any]") -> None:
        """Learns.

        Args:
            held: What is known, and what is not.
            config: `train`, `retrieve` and `seed` are used.
            markets: Names, row-aligned with the items' `eligible`.
            item_ids: Of the items.
        """
        train, known, items, self.held, self.config = config.train, held.known, held.items, held, config.retrieve
        # Held-out choices hold fewer new items than what comes will: weights would take back what the boost gives.
        plain = train.factors.model_copy(update={"boost": 1.0})
        model = learn(known, items, plain, markets=markets, item_ids=item_ids, facts={}, seed=config.seed)
        self.served, self.own = served(model, item_ids, items), preferences_of(known)
        self.neighbours = neighbours_of(known, items.eligible, train.covisitation)
        moment = float(known.event_micros.max(initial=0)) + 1
        self.popular = popularity_at(known, len(markets), len(items.texts), moment, train.popularity)

    def of(self, market: int, weights: _Floats, half_life_items: float, most: int | None = None) -> NDArray[np.int64]:
        """(n_weights, n) items that come before each choice of the market's users, in the order of the users.

        Args:
            market: Row of the market.
            weights: (n_weights, len(PARTS)).
            half_life_items: Of the model's queries.
            most: Users that are asked, of those in the market; None: all.
        """
        rows = np.flatnonzero(self.held.known.markets[self.held.users] == market)[:most]
        sold = np.flatnonzero(self.held.items.eligible[market])
        size = max(1, _MOST_SCORES // max(1, len(sold)))
        starts = range(0, len(rows), size)
        blocks = [self._block(market, sold, rows[at : at + size], weights, half_life_items) for at in starts]
        return np.concatenate([np.zeros((len(weights), 0), dtype=np.int64), *blocks], axis=1)

    def _block(
        self,
        market: int,
        sold: NDArray[np.int64],
        rows: NDArray[np.int64],
        weights: _Floats,
        half_life_items: float,
    ) -> NDArray[np.int64]:
        users, known, items = self.held.users[rows], self.held.known, self.held.items
        history = history_of(known, users, self.config)
        states = np.where(readable_by(items, known, users)[:, sold], LISTED, LAST).astype(np.uint8)
        met = csr_matrix(
            (np.ones(len(history.seen_nums)), history.seen_nums, history.seen_indptr), (len(users), len(items.texts))
        )
        states[met[:, sold].nonzero()] = NEVER
        recent = csr_matrix((history.weights, history.nums, history.indptr), met.shape)
        parts: dict[str, Callable[[], _Floats]] = {
            "similar": lambda: self._preferences(users, history, sold, half_life_items),
            "covisited": lambda: (recent @ self.neighbours[market][:, sold]).toarray(),
            "popular": lambda: np.broadcast_to(self.popular[market, sold], states.shape),
            "texts": lambda: self._nearness(history, sold),
        }
        used = [place for place, part in enumerate(PARTS) if weights[:, place].any()]
        scores = np.stack([parts[PARTS[place]]() for place in used])
        return places(scores, states, np.searchsorted(sold, self.held.nums[rows]), weights[:, used])

    def _preferences(
        self, users: NDArray[np.int64], history: Histories, sold: NDArray[np.int64], half_life_items: float
    ) -> _Floats:
        asked = queries(self.served, self.own, users, history, half_life_items)
        return np.asarray(asked @ self.served.outputs[sold].T.astype(np.float64))

    def _nearness(self, history: Histories, sold: NDArray[np.int64]) -> _Floats:
        texts = self.held.items.texts
        found = np.nan_to_num(profiles(history, [(0, texts)], texts.shape[1]))
        return np.asarray(found @ texts[sold].T.astype(np.float64))
