"""A small index and its users, made of the catalogue's own texts, for trials of the code that serves."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.config.models import Config
from xlrec.index.files import Spec, finish, write_items, write_market, write_neighbours
from xlrec.index.items import ItemIndex
from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.base.names import UNKNOWN_MARKET
from xlrec.kernels.history.visits import visits
from xlrec.kernels.search.topk import Mask
from xlrec.planning.sizes import Sizes, neighbours_of
from xlrec.training.recommender.logs import Items, Logs

_DAY: Final = 86_400_000_000
#: Events that a training is timed on, at most.
_VISITS: Final = 50_000
_LOG: Final = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))


class Trial:
    """Items and users; drawn by a fixed seed."""

    def __init__(self, folder: Path, vectors: NDArray[np.float32], sizes: Sizes, config: Config, n_users: int) -> None:
        """Writes the index.

        Args:
            folder: Empty; gets the index.
            vectors: (n_items, dim) unit vectors of texts.
            sizes: Markets, languages, histories and neighbours are like these.
            config: Bounds the neighbours.
            n_users: Users, of whom as many have no event as in `sizes`.
        """
        self.rng = np.random.default_rng(0)
        self.vectors, self.n_items, self.n_users = vectors, len(vectors), n_users
        self.markets = tuple(f"M{place:02d}" for place in range(min(99, sizes.markets)))
        self.languages = tuple(f"l{place:02d}" for place in range(min(99, sizes.languages)))
        self.n_near = neighbours_of(config, sizes)
        self.lengths = self._lengths(sizes)
        self.n_visits = int(min(_VISITS, sizes.visits, sizes.visits * self.n_items / max(1, sizes.items)))
        self._write(folder)
        self.index = ItemIndex.open(str(folder))

    def _lengths(self, sizes: Sizes) -> NDArray[np.int64]:
        """(n_users,) events of each user."""
        if not sizes.histories:
            return np.zeros(self.n_users, dtype=np.int64)
        drawn = self.rng.choice(np.array(sizes.histories), self.n_users)
        there = self.rng.random(self.n_users) < sizes.active / max(1, sizes.users)
        return np.where(there, np.minimum(drawn, 1000), 0)

    def _write(self, folder: Path) -> None:
        n, rng = self.n_items, self.rng
        names = (*self.markets, UNKNOWN_MARKET)
        spec = Spec(str(folder), n, self.vectors.shape[1], max(1, n), self.languages, (), tuple(sorted(names)))
        sold = rng.random((n, len(self.markets))) < 0.7
        items: dict[str, Any] = {
            "item_id": pa.array([f"i{num:07d}" for num in range(n)]),
            "item_num": pa.array(range(n), pa.int32()),
            "languages": pa.array([[self.languages[num]] for num in rng.integers(0, len(self.languages), n)]),
            "categories": pa.array([[]] * n, pa.list_(pa.string())),
            "markets": pa.array([[name for name, one in zip(self.markets, row, strict=True) if one] for row in sold]),
            "available": pa.array([True] * n),
            "vector": pa.array([row.tobytes() for row in self.vectors], pa.binary()),
        }
        write_items(spec, 0, pa.table(items))
        total = n * self.n_near
        near: dict[str, Any] = {
            "item_num": np.repeat(np.arange(n), self.n_near), "neighbour_num": rng.integers(0, n, total),
            "score": rng.random(total),
        }  # fmt: skip
        for name in spec.markets:
            write_neighbours(spec, name, 0, pa.table(near))
            popular: dict[str, Any] = {"item_num": np.arange(n, dtype=np.int32), "score": rng.random(n) ** 4 / n}
            write_market(spec, name, pa.table(popular))
        finish(spec)

    def users(self) -> pa.Table:
        """As `stages.retrieve.Retriever.rows` takes them."""
        rng, n = self.rng, self.n_users
        total = int(self.lengths.sum())
        log = pa.StructArray.from_arrays(
            [
                pa.array(rng.integers(0, 60 * _DAY, total)),
                pa.array(rng.integers(0, self.n_items, total).astype(np.int32)),
                pa.array(np.ones(total)),
            ],
            fields=list(_LOG.value_type),
        )
        ends: Any = pa.array(indptr_of(self.lengths), pa.int32())
        return pa.table(
            {
                "user_id": pa.array([f"u{num:07d}" for num in range(n)]),
                "market": pa.array([self.markets[num] for num in rng.integers(0, len(self.markets), n)]),
                "languages": pa.array([[self.languages[num]] for num in rng.integers(0, len(self.languages), n)]),
                "language_weights": pa.array([[1.0]] * n),
                "log": pa.ListArray.from_arrays(ends, log),
            }
        )

    def queries(self, vectors: NDArray[np.float32], n: int) -> NDArray[np.float64]:
        """(n, dim) float64 unit means of some items' vectors, as profiles are."""
        chosen = self.rng.integers(0, len(vectors), (n, 5))
        found = vectors[chosen].astype(np.float64).mean(axis=1)
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))

    def mask(self, n_users: int, n_items: int, n_seen: int) -> Mask:
        """Sold as in the index, which more items than it has go through again; some seen by every user."""
        rng, nums = self.rng, np.arange(n_items) % self.index.n_items
        seen = np.sort(rng.integers(0, n_items, (n_users, n_seen)), axis=1).astype(np.int32)
        return Mask(
            np.ascontiguousarray(self.index.eligible_rows[:, nums]),
            rng.integers(0, len(self.index.markets), n_users).astype(np.int32),
            np.arange(n_users + 1, dtype=np.int64) * n_seen,
            seen.ravel(),
            np.asarray(self.index.language_bits)[nums],
            np.zeros((n_users, self.index.n_words), np.uint64),
            np.zeros(n_users, np.bool_),
        )

    def items(self) -> Items:
        """As training takes them."""
        languages = self.rng.random((self.n_items, len(self.languages))) < 1 / len(self.languages)
        unknown = np.full(self.n_items, np.nan)
        return Items(self.vectors, languages.astype(np.float32), np.asarray(self.index.eligible_rows), unknown)

    def logs(self, n_examples: int) -> Logs:
        """Users with histories as long as the inputs', of about so many examples in all."""
        rng = self.rng
        have = self.lengths[self.lengths > 0]
        lengths = rng.choice(have if len(have) else np.array([8]), max(1, int(n_examples / max(1.0, have.mean()))))
        total, n = int(lengths.sum()), len(lengths)
        nums = rng.integers(0, self.n_items, total).astype(np.int32)
        micros = rng.integers(0, 60 * _DAY, total)
        users = np.repeat(np.arange(n), lengths).astype(np.int32)
        markets = rng.integers(0, len(self.index.markets), n).astype(np.int32)
        reads = np.full((n, len(self.languages)), 1 / len(self.languages), dtype=np.float32)
        ones = np.ones(total)
        log = visits(indptr_of(lengths), micros, nums, ones)
        return Logs(log, markets, reads, users, nums, micros, ones, markets[users])
