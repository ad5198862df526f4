"""Why items are listed: the history items whose terms weigh most in the source that names them."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xlrec.index.items import ItemIndex
from xlrec.index.learnt import LearntModels, places_of
from xlrec.kernels.base.csr import entries_of
from xlrec.kernels.ranking.reasons import most_covisited, most_similar
from xlrec.stages.rank.users import Users

_BLOCK: Final = 64  # users whose vectors lie in memory at once
_Nums = NDArray[np.int32]
_Places = NDArray[np.int64]
#: Places among a history of the items that add most, from (rows of the history, its bounds, item_nums, their bounds).
_Best = Callable[[_Places, _Places, _Nums, _Places], _Places]


class Reasons:
    """Reasons on one index; `n_because` history items at most are named."""

    def __init__(self, index: ItemIndex, models: LearntModels | None, n_because: int) -> None:
        self.index, self.models, self.n_because = index, models, n_because

    def similar_items(self, users: Users, owners: _Places, nums: _Nums) -> _Places:
        """(n, n_because) int64 history's item_nums with the largest terms in each item's `similar`, filled up with -1.

        `owners` are (n,) int64 rows of the items' users, ascending; `nums` are (n,) int32 item_nums.
        """
        places = places_of(self.models, users.markets)

        def best(place: int) -> _Best:
            return lambda own, visits, items, bounds: most_similar(
                self._vectors(users.history[own], place, history=True), users.attention[own], visits,
                self._vectors(items, place, history=False), bounds, self.n_because,
            )  # fmt: skip

        because = np.full((len(nums), self.n_because), -1, dtype=np.int64)
        for start in range(0, len(places), _BLOCK):
            block = np.arange(start, min(start + _BLOCK, len(places)))
            for place in np.unique(places[block]):
                self._name(because, users, owners, nums, block[places[block] == place], best(place))
        return because

    def covisited_items(self, users: Users, owners: _Places, nums: _Nums) -> _Places:
        """(n, n_because) int64 item_nums as of `similar_items`, by the terms in `covisited`.

        `owners` are (n,) int64 rows of the items' users, ascending; `nums` are (n,) int32 item_nums, distinct within
        each user.
        """
        markets = np.array([*map(self.index.market_num, users.markets)])

        def best(market: int) -> _Best:
            near = self.index.neighbours(self.index.markets[market])
            return lambda own, visits, items, bounds: most_covisited(
                users.history[own], users.history_weights[own], visits, items, bounds, near, self.n_because
            )

        because = np.full((len(nums), self.n_because), -1, dtype=np.int64)
        for market in np.unique(markets):
            self._name(because, users, owners, nums, np.flatnonzero(markets == market), best(market))
        return because

    def _vectors(self, nums: _Nums, place: int, *, history: bool) -> NDArray[np.float32]:
        if self.models is None:
            return self.index.gather_vectors(nums)
        return self.models.each[place].gather(nums, history=history)

    def _name(self, because: _Places, users: Users, owners: _Places, nums: _Nums, chosen: _Places, best: _Best) -> None:
        """Writes the rows of `because` that are items of some users, ascending."""
        rows, bounds = entries_of(np.searchsorted(owners, np.arange(len(users.markets) + 1)), chosen)[::-1]
        own, visits = entries_of(users.history_indptr, chosen)[::-1]
        because[rows] = np.append(users.history[own], -1)[best(own, visits, nums[rows], bounds)]  # the last for -1
