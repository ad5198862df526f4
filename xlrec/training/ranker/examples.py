"""Shortlists with what was chosen, as arrays: what `stages.rank.examples` wrote to Parquet."""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xlrec.errors import InputError
from xlrec.kernels import metrics
from xlrec.kernels.csr import indptr_of
from xlrec.kernels.ranking import NAMES

#: The k of NDCG@k, by which settings are chosen and rankers are compared.
K: Final = 10
#: With fewer users of whom a choice is in the shortlist, nothing is learnt.
MIN_USERS: Final = 30


class Examples(NamedTuple):
    """Users in the order of their ids; of each the candidates, best fused first."""

    hashes: NDArray[np.int64]
    """(n_users,) hash of each user_id: it draws the folds and the bootstrap's weights."""
    features: NDArray[np.float64]
    """(n_rows, n_features)."""
    hits: NDArray[np.bool_]
    """(n_rows,) whether the user later chose the candidate."""
    indptr: NDArray[np.int64]
    """(n_users + 1,) bounds of each user's rows."""
    n_relevant: NDArray[np.int64]
    """(n_users,) all that the user later chose, found or not."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(n_users,) candidates."""
        return np.diff(self.indptr)

    @property
    def users(self) -> NDArray[np.int64]:
        """(n_rows,) row of the user of each candidate."""
        return np.repeat(np.arange(len(self.hashes)), self.sizes)

    @property
    def n_taught(self) -> int:
        """Users of whom a choice is in the shortlist; the others teach nothing."""
        return len(np.unique(self.users[self.hits]))

    def ndcg(self, scores: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """(n_users,) NDCG@K of the candidates by score, ties in the fusion's order; None: the fusion's order itself."""
        order = np.lexsort((self.users,)) if scores is None else np.lexsort((-scores, self.users))
        width = int(self.sizes.max(initial=0))
        listed = metrics.pad(self.hits[order], self.sizes, width, 0.0)
        return metrics.ndcg(listed, self.n_relevant, K)


def read(folder: str) -> Examples:
    """The examples in a folder, whatever its files.

    Raises:
        InputError: too few users chose what their shortlists hold.
    """
    return of_table(pq.read_table(folder).sort_by("user_id"))


def of_table(table: pa.Table) -> Examples:
    """The same from a table in the order of user_id.

    Raises:
        InputError: too few users chose what their shortlists hold.
    """
    columns: tuple[Any, Any] = (table["hits"].combine_chunks(), table["features"].combine_chunks())
    hits, features = columns
    sizes = np.diff(hits.offsets.to_numpy()) if len(table) else np.zeros(0, dtype=np.int64)
    flat = features.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(NAMES))
    found = Examples(
        table["user_hash"].to_numpy(), flat, hits.flatten().to_numpy(zero_copy_only=False).astype(np.bool_),
        indptr_of(sizes), table["n_relevant"].to_numpy().astype(np.int64),
    )  # fmt: skip
    if found.n_taught < MIN_USERS:
        raise InputError(
            f"{found.n_taught} of {len(table)} users of the inner split later chose one of their candidates: a ranker "
            f"needs {MIN_USERS}; bring more logs or a larger evaluate.holdout_share, or keep the fusion"
        )
    return found
