"""Bag of tokens: a token's vector is its own plus those of its character n-grams; a text's is the mean of its tokens.

Words share n-grams in training; afterwards the sums are folded into one plain table of rows.
"""

import numpy as np
import numpy.typing as npt

from xlrec.kernels.text import bags
from xlrec.kernels.text.bags import Floats, Ints, Longs
from xlrec.training.encoder.config import StaticConfig
from xlrec.training.encoder.grams import gram_table
from xlrec.training.encoder.tokens import Bags

_SLAB = 16_384


class StaticModel:
    """Tables `own` (n_tokens, dim) and `shared` (buckets, dim), float32, and the state of their optimiser."""

    def __init__(self, tokens: list[str], words: frozenset[str], config: StaticConfig, seed: int) -> None:
        """Starts from hashed n-grams alone: cognates are near each other before the first step."""
        rng = np.random.default_rng([seed, 1])
        self.config = config
        self.grams, self.offsets = gram_table(tokens, words, config.buckets, config.max_grams)
        scale = np.float32(config.dim**-0.5)
        self.shared = rng.standard_normal((config.buckets, config.dim), dtype=np.float32) * scale
        self.own = rng.standard_normal((len(tokens), config.dim), dtype=np.float32) * scale * np.float32(0.1)
        self.own[np.diff(self.offsets) == 0] *= np.float32(5.0)
        self.own_squares = np.zeros(len(tokens), dtype=np.float32)
        self.shared_squares = np.zeros(config.buckets, dtype=np.float32)

    def mean_vectors(self, numbers: Ints, offsets: Longs) -> Floats:
        """(n_bags, dim) float32 means of the tokens' vectors; keeps the bags for `descend`.

        Args:
            numbers: (n,) int32 tokens, bag after bag.
            offsets: (n_bags + 1,) int64 bounds of each bag in `numbers`.
        """
        tokens, places = bags.distinct_numbers(numbers, len(self.own))
        rows = bags.composed_rows(self.own, self.shared, tokens, self.grams, self.offsets)
        self._met = (tokens, places, offsets)
        return bags.bag_means(rows, places, offsets)

    def descend(self, gradients: Floats, rate: float) -> None:
        """Moves the rows of the last `mean_vectors` against the (n_bags, dim) float32 gradients of its means."""
        tokens, places, offsets = self._met
        of_tokens = bags.bag_gradients(gradients, places, offsets, len(tokens))
        met, of_grams = bags.shared_gradients(of_tokens, tokens, self.grams, self.offsets, len(self.shared))
        bags.adagrad_step(self.own, self.own_squares, tokens, of_tokens, rate)
        bags.adagrad_step(self.shared, self.shared_squares, met, of_grams, rate)

    def folded_table(self) -> Floats:
        """(n_tokens, dim) float32 table that gives the same vectors without n-grams."""
        every = np.arange(len(self.own), dtype=np.int32)
        return bags.composed_rows(self.own, self.shared, every, self.grams, self.offsets)

    def checkpoint_state(self) -> dict[str, Floats]:
        """Tables and sums of squared gradients, by name, not copied.

        `own` is (n_tokens, dim) float32, `shared` (buckets, dim) float32. `own_squares` is (n_tokens,) float32,
        `shared_squares` (buckets,) float32.
        """
        return {name: getattr(self, name) for name in ("own", "shared", "own_squares", "shared_squares")}

    def restore_state(self, state: dict[str, Floats]) -> None:
        """Takes the arrays of `checkpoint_state`, by name.

        `own` is (n_tokens, dim) float32, `shared` (buckets, dim) float32. `own_squares` is (n_tokens,) float32,
        `shared_squares` (buckets,) float32.
        """
        for name, table in self.checkpoint_state().items():
            table[:] = state[name]


def unit_rows(vectors: npt.NDArray[np.floating]) -> Floats:
    """(n, dim) float32 rows at unit norm; zero stays zero."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def encode_bags(table: Floats, texts: Bags, rows: Longs, longest: int) -> Floats:
    """(n_rows, dim) float32 unit vectors of texts from a folded table; zero where a text has no token.

    `table` is (n_tokens, dim) float32, `rows` (n_rows,) int64; at most `longest` tokens of a text count.
    """
    parts = []
    for start in range(0, len(rows), _SLAB):
        some = rows[start : start + _SLAB]
        starts = np.arange(len(some) + 1)
        means = bags.bag_means(table, *bags.join_bags(texts.numbers, texts.offsets, some, starts, longest))
        parts.append(unit_rows(means))
    return np.concatenate(parts) if parts else np.empty((0, table.shape[1]), dtype=np.float32)
