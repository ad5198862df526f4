"""ItemIndex: the items of one run as memory-mapped arrays that are row-aligned by item_num.

Spark tasks on one machine share the pages; nothing item-sized passes through the JVM or is copied per process.
`xlrec.index.writer` makes the folder; `meta.json` is its last file, so a folder without it is unfinished.
"""

import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.kernels.base.gather import gather
from xlrec.kernels.base.names import UNKNOWN_MARKET
from xlrec.runtime.arrays import load

#: Layout of the folder; a folder of another layout does not open.
LAYOUT: Final = 2
META: Final = "meta.json"
#: Names the model whose vectors lie beside; see `xlrec.index.learnt`.
LEARNT: Final = "learnt.json"
#: Weights of the sources in each market, and what they were found on; see `xlrec.training.recommender.fusion_weights`.
FUSION: Final = "fusion.json"


class ItemIndex:
    """Vectors, ids, eligibility, popularity, neighbours, languages and categories of all items; read-only.

    Every property is loaded on first use and kept. Do not write to what it returns.
    """

    def __init__(self, folder: str) -> None:
        """Use `ItemIndex.open`, which keeps one object a process."""
        self.folder = Path(folder)
        meta = _meta(self.folder)
        self.n_items: int = meta["n_items"]
        self.dim: int = meta["dim"]
        self.shard_rows: int = meta["shard_rows"]
        self.languages: tuple[str, ...] = tuple(meta["languages"])
        self.categories: tuple[str, ...] = tuple(meta["categories"])
        self.markets: tuple[str, ...] = tuple(meta["markets"])
        self._market_nums = {market: num for num, market in enumerate(self.markets)}
        self._by_market: dict[str, NDArray[Any]] = {}

    @staticmethod
    def open(folder: str) -> "ItemIndex":
        """The index in a folder; the same object for all callers in this process until the folder is written anew.

        Raises:
            LakeError: The folder is missing, unfinished or of another layout; run `train` again.
        """
        return _open(folder, tuple(_changed(Path(folder) / name) for name in (META, LEARNT, FUSION)))

    @cached_property
    def item_ids(self) -> pa.StringArray:
        """item_id of each item_num, memory-mapped."""
        source = pa.ipc.open_file(pa.memory_map(str(self.folder / "item_ids.arrow")))
        chunks = source.read_all().column(0).chunks
        return cast(pa.StringArray, chunks[0] if chunks else pa.array([], pa.string()))

    @cached_property
    def shards(self) -> list[tuple[int, NDArray[np.float32]]]:
        """(first item_num, (rows, dim) float32) of each shard, ascending; rows have unit norm or are zero (no text)."""
        return self.sharded("vectors")

    def sharded(self, name: str) -> list[tuple[int, NDArray[Any]]]:
        """(first item_num, rows) of each shard of an array that lies in a file per shard."""
        firsts = range(0, self.n_items, self.shard_rows)
        return [(first, load(self.folder / f"{name}-{num:05d}.npy")) for num, first in enumerate(firsts)]

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """(n_items,) float64 Euclidean norm of each vector; 0 where the item has no text."""
        return load(self.folder / "norms.npy")

    def gather(
        self, item_nums: NDArray[np.integer[Any]], room: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of some items.

        Args:
            item_nums: (n,) item_nums in any order, repeats allowed.
            room: (at least n, dim) where they are written; None: in new memory.

        Returns:
            (n, dim) float32, a copy.
        """
        return gather(self.shards, item_nums, self.dim, room)

    def market_num(self, market: str | None) -> int:
        """Row of a market in `markets`; that of ZZ where the index does not know it."""
        num = self._market_nums.get(market or UNKNOWN_MARKET)
        return self._market_nums[UNKNOWN_MARKET] if num is None else num

    def eligible(self, market: str | None) -> NDArray[np.bool_]:
        """(n_items,) bool: sold in the market and available on run_date; an unknown market is ZZ."""
        row: NDArray[np.bool_] = self.eligible_rows[self.market_num(market)]
        return row

    @cached_property
    def eligible_rows(self) -> NDArray[np.bool_]:
        """(n_markets, n_items) bool: `eligible` of every market; row `market_num`."""
        return load(self.folder / "eligible.npy")

    def popularity(self, market: str | None) -> NDArray[np.float64]:
        """(n_items,) float64: popularity in the market, 0 where there is none; an unknown market is ZZ."""
        return self._of_market("popularity", market)

    def popular_order(self, market: str | None) -> NDArray[np.int32]:
        """(n_eligible,) int32: all eligible items, popularity desc, item_num asc; an unknown market is ZZ."""
        return self._of_market("order", market)

    def neighbours(self, market: str | None) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """Co-visitation in the market as CSR, per item best first: indptr (n_items + 1,), nums, scores; else as ZZ."""
        parts = ("indptr", "nums", "scores")
        indptr, nums, scores = (self._of_market("neighbours", market, f"-{part}") for part in parts)
        return indptr, nums, scores

    @cached_property
    def fusion(self) -> dict[str, Any] | None:
        """joint: weights in the order of `SOURCES`; markets: those of single ones; figures. None: none were found."""
        path = self.folder / FUSION
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    @cached_property
    def language_bits(self) -> NDArray[np.uint64]:
        """(n_items, n_words) uint64: bit l % 64 of word l // 64 says that the item has a text in `languages[l]`."""
        return load(self.folder / "languages.npy")

    @cached_property
    def category_csr(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Categories of each item as CSR: indptr (n_items + 1,), rows of `categories`."""
        return load(self.folder / "categories-indptr.npy"), load(self.folder / "categories-codes.npy")

    def language_words(self, languages: "list[str] | tuple[str, ...]") -> NDArray[np.uint64]:
        """(n_words,) uint64: the bits of some languages, as in `language_bits`; unknown ones have none."""
        return bits_of([self._language_nums[name] for name in languages if name in self._language_nums], self.n_words)

    @property
    def n_words(self) -> int:
        """Words of 64 languages each."""
        return words_for(len(self.languages))

    @cached_property
    def _language_nums(self) -> dict[str, int]:
        return {name: num for num, name in enumerate(self.languages)}

    def _of_market(self, kind: str, market: str | None, part: str = "") -> NDArray[Any]:
        name = f"{kind}-{self.market_num(market):05d}{part}.npy"
        if name not in self._by_market:
            self._by_market[name] = load(self.folder / name)
        return self._by_market[name]


def words_for(n_languages: int) -> int:
    """How many 64-bit words hold that many languages; at least 1."""
    return max(1, -(-n_languages // 64))


def bits_of(nums: list[int], n_words: int) -> NDArray[np.uint64]:
    """(n_words,) uint64 with the bits `nums` set."""
    words = np.zeros(n_words, dtype=np.uint64)
    for num in nums:
        words[num // 64] |= np.uint64(1) << np.uint64(num % 64)
    return words


def language_matrix(bits: NDArray[np.uint64], n_languages: int) -> NDArray[np.float32]:
    """(n_items, n_languages) float32: 1 where the bit of `ItemIndex.language_bits` is set, else 0."""
    codes = np.arange(n_languages)
    found = (bits[:, codes // 64] >> (codes % 64).astype(np.uint64)) & np.uint64(1)
    return found.astype(np.float32)


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / META
    try:
        meta: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LakeError(
            f"no finished item index in {folder} ({error}): build it with the train or nightly job"
        ) from error
    if meta.get("layout") != LAYOUT:
        raise LakeError(
            f"item index {folder} has layout {meta.get('layout')!r}, this version reads {LAYOUT}: build it again"
        )
    return meta


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _open(folder: str, changed: tuple[int, ...]) -> ItemIndex:  # noqa: ARG001  # changed: a rewritten folder is opened anew
    return ItemIndex(folder)
