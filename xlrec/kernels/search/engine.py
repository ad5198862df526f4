"""The contract of all searches, and the exact search on the CPU."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.search.items import Items
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk import top_k

#: (n_users, dim), any scale.
Queries = NDArray[np.floating[Any]]
#: (n_users, k) int32 item numbers padded with -1, and (n_users, k) float64 scores padded with -inf.
TopK = tuple[NDArray[np.int32], NDArray[np.float64]]


class SearchEngine(Protocol):
    """Search for the best items of queries among items that are kept ready; not for several threads at once.

    Every engine gives float64 inner products in the order (score desc, item_num asc). A result never depends on the
    other queries of a call or on `user_block`. An approximate engine may miss items, but never shortens a list.
    """

    items: Items
    first_pass: str  # Name of the product that proposes candidates, for the run's figures

    def top_k(self, queries: Queries, k: int, mask: Mask, *, zero_vectors: bool = True, user_block: int = ...) -> TopK:
        """Item numbers and scores of each query's best k allowed items.

        `queries` are (n_users, dim) floating, of any scale; one that is not finite gets an empty list. Items whose
        vector is zero never rank without `zero_vectors`. `user_block` users are in one matrix product.

        Returns:
            (n_users, k) int32 padded with -1, and (n_users, k) float64 padded with -inf.

        Raises:
            ValueError: A norm is outside of what float32 and float64 hold without overflow.
        """
        ...


class ExactSearch:
    """The exact search on the CPU, by the first pass that the items were prepared for."""

    def __init__(self, items: Items) -> None:
        """Keeps the items."""
        self.items, self.first_pass = items, str(items.path.name)

    def top_k(self, queries: Queries, k: int, mask: Mask, *, zero_vectors: bool = True, user_block: int = 1024) -> TopK:
        """As `SearchEngine.top_k`: (n_users, k) int32 and (n_users, k) float64 of (n_users, dim) floating queries."""
        return top_k(queries, self.items, k, mask, zero_vectors=zero_vectors, user_block=user_block)
