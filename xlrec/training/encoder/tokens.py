"""Cache of tokenised texts, for a run that is resumed or another one with the same vocabulary."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.training.encoder import vocabulary
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.texts import Texts

_SLAB = 131_072


@dataclass(frozen=True)
class Bags:
    """Tokens of texts: those of text i are `numbers[offsets[i]:offsets[i + 1]]`."""

    numbers: npt.NDArray[np.int32]
    """(n_tokens,) int32."""
    offsets: npt.NDArray[np.int64]
    """(n_texts + 1,) int64."""


def token_bags(tokenizer: Any, texts: list[str]) -> Bags:
    """Token bags of texts, without special tokens."""
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ids = [encoding.ids for encoding in encodings]
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum([len(bag) for bag in ids], out=offsets[1:])
    numbers = np.fromiter((number for bag in ids for number in bag), dtype=np.int32, count=int(offsets[-1]))
    return Bags(numbers, offsets)


def _joined(parts: list[Bags]) -> Bags:
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Bags(np.concatenate([part.numbers for part in parts]), np.concatenate([[0], np.cumsum(lengths)]))


def _key(texts: Texts, config: AdaptConfig) -> str:
    """Hash of all that the vocabulary and the tokens depend on."""
    facts: list[object] = [
        config.vocabulary.model_dump(),
        config.texts.language_weights,
        texts.sources,
        texts.languages,
    ]
    if config.texts.lake is not None:
        facts.append(config.texts.lake.copied)  # names the state of the lake, whose texts may change
    rows = hashlib.sha256(texts.concept.tobytes() + texts.is_dev.tobytes()).hexdigest()
    return hashlib.sha256(json.dumps([facts, rows], sort_keys=True).encode()).hexdigest()[:16]


def tokenised_texts(texts: Texts, config: AdaptConfig, log: Callable[[str], None]) -> tuple[Any, frozenset[str], Bags]:
    """(tokenizer, its whole words, bags of all texts), from the work folder where it has them."""
    from tokenizers import Tokenizer

    folder = Path(config.work) / f"tokens-{_key(texts, config)}"
    if not (folder / "offsets.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer, words = vocabulary.build_tokenizer(texts, config.vocabulary, config.texts, log)
        tokenizer.save(str(folder / "tokenizer.json"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))  # the built one is far slower
        (folder / "words.json").write_text(json.dumps(sorted(words)), encoding="utf-8")
        parts = []
        for start in range(0, len(texts), _SLAB):
            rows = np.arange(start, min(start + _SLAB, len(texts)))
            parts.append(token_bags(tokenizer, texts.take(rows)))
        log(f"tokens: {len(tokenizer.get_vocab()):,} kinds in {len(texts):,} texts")
        bags = _joined(parts)
        np.save(folder / "numbers.npy", bags.numbers)
        np.save(folder / "offsets.npy", bags.offsets)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = frozenset(json.loads((folder / "words.json").read_text(encoding="utf-8")))
    return tokenizer, words, Bags(np.load(folder / "numbers.npy"), np.load(folder / "offsets.npy"))
