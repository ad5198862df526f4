"""Models that the training loop can drive: the static bag of tokens; `finetune` has the sentence-transformers one."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from xlrec.encoders.folder import rounded_to_half, write_coded, write_static
from xlrec.kernels.text import bags
from xlrec.kernels.text.bags import Floats, Ints, Longs
from xlrec.kernels.text.quantise import CodedTable, quantise_twice, restored_table
from xlrec.training.encoder import losses
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.sampler import Pairs
from xlrec.training.encoder.static import StaticModel, encode_bags
from xlrec.training.encoder.teacher import Targets
from xlrec.training.encoder.texts import Texts
from xlrec.training.encoder.tokens import Bags, token_bags
from xlrec.training.encoder.vocabulary import without_words

#: Share of the whole words that a batch meets as pieces, so that pieces learn too.
_SPLIT = 0.1


class Backend(Protocol):
    """Model that learns from pairs of texts."""

    def train_step(self, pairs: Pairs, left: float, rng: np.random.Generator) -> float:
        """Loss of a batch before the optimiser's step; `left` is the share of the run that is left, in [0, 1]."""

    def encode(self, rows: Longs) -> Floats:
        """(n, dim) float32 unit vectors of (n,) int64 rows of the texts."""

    def checkpoint_state(self) -> dict[str, Floats]:
        """Arrays of a checkpoint by name, float32 of the model's own shapes.

        A table is (n_rows, dim), a state of the optimiser as large or (n_rows,). Each model names its own.
        """

    def restore_state(self, state: dict[str, Floats]) -> None:
        """Takes the arrays of `checkpoint_state`: (n_rows, dim) float32 tables and what else it names."""

    def finish_model(self) -> None:
        """Brings the model into its final form, which is measured and written; by default there is nothing to do."""
        return

    def write_model(self, folder: Path) -> None:
        """Writes the sentence-transformers folder."""

    def unknown_shares(self) -> dict[str, float]:
        """Share of each language's tokens that are single bytes; by default it is not known."""
        return {}


def bag_hashes(numbers: Ints, offsets: Longs) -> Longs:
    """(n_bags,) int64 hash of each bag's tokens, in any order.

    Args:
        numbers: (n_tokens,) int32 tokens, bag after bag.
        offsets: (n_bags + 1,) int64 bounds of each bag in `numbers`.
    """
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    sums = np.concatenate([[np.uint64(0)], np.cumsum(mixed * np.uint64(0xBF58476D1CE4E5B9))])
    return np.asarray((sums[offsets[1:]] - sums[offsets[:-1]]).view(np.int64))


class StaticBackend(StaticModel, Backend):
    """The bag of tokens, on the CPU, with the compiled kernels."""

    def __init__(
        self, config: AdaptConfig, texts: Texts, prepared: tuple[Any, frozenset[str], Bags], targets: Targets | None
    ) -> None:
        self._config, self._texts, self._targets = config, texts, targets
        self._tokenizer, words, self._bags = prepared
        self._coded: CodedTable | None = None
        vocabulary = self._tokenizer.get_vocab()
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        super().__init__(tokens, words, config.static, config.seed)
        pieces = without_words(self._tokenizer, words)  # of every whole word, none of the other tokens
        self._parts = token_bags(pieces, [token if token in words else "" for token in tokens])
        self._words = token_bags(self._tokenizer, targets.spelled if targets is not None else [])

    def _sides(self, pairs: Pairs, words: Longs, rng: np.random.Generator) -> tuple[Ints, Longs, Longs]:
        """(tokens, offsets, hash of each text as it stands) of both sides of all pairs, side a first, then of words."""
        rows, starts = np.concatenate([pairs.a, pairs.b]), np.append(pairs.starts, len(pairs.a) + pairs.starts[1:])
        longest = self._config.batch.max_tokens
        flat, bounds = bags.join_bags(self._bags.numbers, self._bags.offsets, rows, starts, longest)
        hashes = bag_hashes(flat, bounds)
        every = np.arange(len(words) + 1)
        alone, ends = bags.join_bags(self._words.numbers, self._words.offsets, words, every, longest)
        flat, bounds = np.concatenate([flat, alone]), np.append(bounds, bounds[-1] + ends[1:])
        split = rng.random(len(self.own)) < _SPLIT
        return *bags.expand_tokens(flat, bounds, self._parts.numbers, self._parts.offsets, split), hashes

    def train_step(self, pairs: Pairs, left: float, rng: np.random.Generator) -> float:
        """Loss of one step; see `Backend.train_step`."""
        import torch

        n_known = len(self._words.offsets) - 1
        n_words = min(n_known, self._config.teacher.words) if self._config.teacher else 0
        words = rng.choice(n_known, size=n_words, replace=False) if n_words else np.empty(0, dtype=np.int64)
        numbers, offsets, spelling = self._sides(pairs, words, rng)
        vectors = torch.from_numpy(self.mean_vectors(numbers, offsets)).requires_grad_()
        same = losses.same_pairs(pairs, self._texts.concept, spelling)
        loss = losses.batch_loss(vectors[: 2 * len(pairs)], same, self._config.loss, rng)
        if self._targets is not None and self._config.teacher is not None:
            loss = loss + self._config.teacher.weight * self._taught(vectors, pairs, words)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        assert vectors.grad is not None  # noqa: S101  # for the type checker
        self.descend(vectors.grad.numpy(), self._config.static.learning_rate * left)
        return float(loss.detach())

    def _taught(self, vectors: Any, pairs: Pairs, words: Longs) -> Any:
        """Mean loss of both sides of the pairs and of the words against their targets."""
        import torch

        assert self._targets is not None  # noqa: S101  # for the type checker
        n, temperature = len(pairs), self._config.loss.temperature
        of_pairs = torch.from_numpy(self._targets.of_pairs(pairs, self._texts.concept))
        loss = losses.relation_loss([vectors[:n], vectors[n : 2 * n]], of_pairs, temperature)
        if not len(words):
            return loss
        of_words = torch.from_numpy(self._targets.words[words])
        return (2 * loss + losses.relation_loss([vectors[2 * n :]], of_words, temperature)) / 3

    def encode(self, rows: Longs) -> Floats:
        """(n, dim) float32 unit vectors of (n,) int64 rows, as `Backend.encode`."""
        table = self.folded_table() if self._coded is None else restored_table(self._coded)
        return encode_bags(table, self._bags, rows, 10**6)

    def finish_model(self) -> None:
        """Quantised rows of the table, where errors of frequent tokens weigh more; see `Backend.finish_model`.

        A second code goes to the tokens whose rows training pulled at most.
        """
        compress = self._config.compress
        if compress is None:
            return
        weights = np.sqrt(1 + np.bincount(self._bags.numbers, minlength=len(self.own))).astype(np.float32)
        pulled = np.argsort(-self.own_squares, kind="stable")[: compress.finer_tokens]
        table, n_bytes = self.folded_table(), compress.bytes_per_token
        coded = quantise_twice(table, weights, n_bytes, np.sort(pulled), self._config.seed)
        self._coded = rounded_to_half(coded)

    def write_model(self, folder: Path) -> None:
        """Folder of the trained model, and beside it that of the small form; see `Backend.write_model`."""
        if self._coded is None or self._config.compress is None:
            write_static(folder, self._tokenizer, self.folded_table())
            return
        write_static(folder, self._tokenizer, restored_table(self._coded))
        write_coded(Path(self._config.compress.output), self._tokenizer, self._coded)

    def unknown_shares(self) -> dict[str, float]:
        """As `Backend.unknown_shares`."""
        vocabulary = self._tokenizer.get_vocab()
        is_byte = np.zeros(len(vocabulary), dtype=np.int64)
        is_byte[[vocabulary[f"<0x{byte:02X}>"] for byte in range(256)]] = 1
        language, n_languages = np.repeat(self._texts.language, np.diff(self._bags.offsets)), len(self._texts.languages)
        unknown = np.bincount(language, weights=is_byte[self._bags.numbers], minlength=n_languages)
        every = np.bincount(language, minlength=n_languages)
        return dict(zip(self._texts.languages, (unknown / np.maximum(every, 1)).tolist(), strict=True))
