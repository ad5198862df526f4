"""Tokenised texts on disk, so that a run that goes on, or another one with the same vocabulary, starts at once."""

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
    """Tokens of n texts: those of text i are `numbers[offsets[i]:offsets[i + 1]]`."""

    numbers: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


def tokenise(tokenizer: Any, texts: list[str]) -> Bags:
    """The bags of these texts."""
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ids = [encoding.ids for encoding in encodings]
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in ids], out=offsets[1:])
    numbers = np.fromiter((number for one in ids for number in one), dtype=np.int32, count=int(offsets[-1]))
    return Bags(numbers, offsets)


def _joined(parts: list[Bags]) -> Bags:
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Bags(np.concatenate([part.numbers for part in parts]), np.concatenate([[0], np.cumsum(lengths)]))


def _key(texts: Texts, config: AdaptConfig) -> str:
    """Names what the vocabulary and the tokens depend on."""
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


def prepare(texts: Texts, config: AdaptConfig, say: Callable[[str], None]) -> tuple[Any, frozenset[str], Bags]:
    """(tokenizer, its whole words, bags of all texts), from the work folder where they are there already."""
    from tokenizers import Tokenizer

    folder = Path(config.work) / f"tokens-{_key(texts, config)}"
    if not (folder / "offsets.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer, words = vocabulary.build(texts, config.vocabulary, config.texts, say)
        tokenizer.save(str(folder / "tokenizer.json"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))  # that which was built is far slower
        (folder / "words.json").write_text(json.dumps(sorted(words)), encoding="utf-8")
        parts = []
        for start in range(0, len(texts), _SLAB):
            rows = np.arange(start, min(start + _SLAB, len(texts)))
            parts.append(tokenise(tokenizer, texts.take(rows)))
        say(f"tokens: {len(tokenizer.get_vocab()):,} kinds in {len(texts):,} texts")
        bags = _joined(parts)
        np.save(folder / "numbers.npy", bags.numbers)
        np.save(folder / "offsets.npy", bags.offsets)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = frozenset(json.loads((folder / "words.json").read_text(encoding="utf-8")))
    return tokenizer, words, Bags(np.load(folder / "numbers.npy"), np.load(folder / "offsets.npy"))
