"""Why items are listed: the history items whose terms weigh most in the source that names them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.index.items import ItemIndex
from xlrec.index.learnt import LearntModels, places_of
from xlrec.kernels.base.csr import owners_of
from xlrec.kernels.ranking.reasons import most_covisited, most_similar
from xlrec.stages.rank.users import Users

_BLOCK: Final = 64  # users whose vectors lie in memory at once
_Nums = NDArray[np.int32]
_Places = NDArray[np.int64]


class Reasons:
    """Reasons on one index."""

    def __init__(self, index: ItemIndex, models: LearntModels | None, n_because: int) -> None:
        """`n_because`: most history items named."""
        self.index, self.models, self.n_because = index, models, n_because

    def similar_items(self, users: Users, owners: _Places, nums: _Nums) -> _Places:
        """(n, n_because) history's item_nums whose terms in each item's `similar` are largest, filled up with -1.

        Args:
            users: Of whom `owners` are rows.
            owners: (n,) user of each item, ascending.
            nums: (n,) item_nums.
        """
        because = np.full((len(nums), self.n_because), -1, dtype=np.int64)
        places, visitors = places_of(self.models, users.markets), owners_of(users.history_indptr)
        for start in range(0, len(places), _BLOCK):
            block = np.arange(start, min(start + _BLOCK, len(places)) + 1)
            items, visits = np.searchsorted(owners, block), np.searchsorted(visitors, block)
            for place in np.unique(places[block[:-1]]):
                rows = items[0] + np.flatnonzero(places[owners[items[0] : items[-1]]] == place)
                own = visits[0] + np.flatnonzero(places[visitors[visits[0] : visits[-1]]] == place)
                history = users.history[own]
                best = most_similar(
                    self._vectors(history, place, history=True), users.attention[own],
                    np.searchsorted(visitors[own], block),
                    self._vectors(nums[rows], place, history=False), np.searchsorted(owners[rows], block),
                    self.n_because,
                )  # fmt: skip
                because[rows] = _named(history, best)
        return because

    def _vectors(self, nums: _Nums, place: int, *, history: bool) -> NDArray[np.float32]:
        return (
            self.index.gather_vectors(nums)
            if self.models is None
            else self.models.each[place].gather(nums, history=history)
        )

    def covisited_items(self, users: Users, owners: _Places, nums: _Nums) -> _Places:
        """The same for `covisited`, whose items are distinct within each user."""
        because = np.full((len(nums), self.n_because), -1, dtype=np.int64)
        markets, visitors = np.array([*map(self.index.market_num, users.markets)]), owners_of(users.history_indptr)
        for market in np.unique(markets):
            rows, own = np.flatnonzero(markets[owners] == market), np.flatnonzero(markets[visitors] == market)
            chosen, history = np.flatnonzero(markets == market), users.history[own]
            near = self.index.neighbours(self.index.markets[market])
            best = most_covisited(
                history, users.history_weights[own], _bounds(visitors[own], chosen),
                nums[rows], _bounds(owners[rows], chosen), near, self.n_because,
            )  # fmt: skip
            because[rows] = _named(history, best)
        return because


def _bounds(owners: _Places, users: _Places) -> _Places:
    """Bounds of the runs of some users, ascending, of whom `owners` has no others."""
    return np.append(np.searchsorted(owners, users), len(owners))


def _named(history: _Nums, places: _Places) -> _Places:
    """The history's items at some places; -1 stays."""
    named = np.full(places.shape, -1, dtype=np.int64)
    named[places >= 0] = history[places[places >= 0]]
    return named
