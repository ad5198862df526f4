"""The catalogue of an index: eligibility, languages and categories of items, popularity and neighbours by market."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.base.names import UNKNOWN_MARKET
from xlrec.runtime.arrays import load_array


class Catalogue:
    """Facts of all items, row-aligned by item_num; arrays load on first use. Do not write to them."""

    def __init__(self, folder: Path, meta: dict[str, Any]) -> None:
        """Takes the vocabularies of `meta.json` in the folder of a finished index."""
        self.folder = folder
        self.languages: tuple[str, ...] = tuple(meta["languages"])
        self.categories: tuple[str, ...] = tuple(meta["categories"])
        self.markets: tuple[str, ...] = tuple(meta["markets"])
        self._market_nums = {market: num for num, market in enumerate(self.markets)}
        self._language_nums = {language: num for num, language in enumerate(self.languages)}
        self._by_market: dict[str, NDArray[Any]] = {}

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
        return load_array(self.folder / "eligible.npy")

    def popularity(self, market: str | None) -> NDArray[np.float64]:
        """(n_items,) float64: popularity in the market, 0 where there is none; an unknown market is ZZ."""
        return self._of_market("popularity", market)

    def popular_order(self, market: str | None) -> NDArray[np.int32]:
        """(n_eligible,) int32: all eligible items, popularity desc, item_num asc; an unknown market is ZZ."""
        return self._of_market("order", market)

    def neighbours(self, market: str | None) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """Co-visitation in the market as CSR, per item best first; an unknown market is ZZ.

        Returns:
            indptr (n_items + 1,) int64, nums (n,) int32 and scores (n,) float64.
        """
        parts = ("indptr", "nums", "scores")
        indptr, nums, scores = (self._of_market("neighbours", market, f"-{part}") for part in parts)
        return indptr, nums, scores

    @cached_property
    def language_bits(self) -> NDArray[np.uint64]:
        """(n_items, n_words) uint64: bit l % 64 of word l // 64 is set where the item has a text in `languages[l]`."""
        return load_array(self.folder / "languages.npy")

    @cached_property
    def category_csr(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Categories of each item as CSR: indptr (n_items + 1,) int64, rows of `categories` (n,) int32."""
        return load_array(self.folder / "categories-indptr.npy"), load_array(self.folder / "categories-codes.npy")

    def language_words(self, languages: Sequence[str]) -> NDArray[np.uint64]:
        """(n_words,) uint64: the bits of some languages, as in `language_bits`; unknown ones have none."""
        return bits_of([self._language_nums[name] for name in languages if name in self._language_nums], self.n_words)

    @property
    def n_words(self) -> int:
        """Words of 64 languages each."""
        return words_for(len(self.languages))

    def _of_market(self, kind: str, market: str | None, part: str = "") -> NDArray[Any]:
        name = f"{kind}-{self.market_num(market):05d}{part}.npy"
        if name not in self._by_market:
            self._by_market[name] = load_array(self.folder / name)
        return self._by_market[name]


def words_for(n_languages: int) -> int:
    """How many 64-bit words hold that many languages; at least 1."""
    return max(1, -(-n_languages // 64))


def bits_of(nums: Sequence[int], n_words: int) -> NDArray[np.uint64]:
    """(n_words,) uint64 with the bits `nums` set."""
    words = np.zeros(n_words, dtype=np.uint64)
    for num in nums:
        words[num // 64] |= np.uint64(1) << np.uint64(num % 64)
    return words


def language_matrix(bits: NDArray[np.uint64], n_languages: int) -> NDArray[np.float32]:
    """(n_items, n_languages) float32: 1 where the bit of the language is set, else 0.

    `bits` are (n_items, n_words) uint64 of `Catalogue.language_bits`.
    """
    codes = np.arange(n_languages)
    set_bits = (bits[:, codes // 64] >> (codes % 64).astype(np.uint64)) & np.uint64(1)
    return set_bits.astype(np.float32)
