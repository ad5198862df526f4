"""Cache of tokenised texts, for a run that is resumed or another one with the same vocabulary."""

import hashlib
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xlrec.kernels.base.csr import indptr_of
from xlrec.training.encoder import vocabulary
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.texts import Texts, read_word_lists

_SLAB = 131_072


class Bags(NamedTuple):
    """Tokens of texts: those of text i are `numbers[offsets[i]:offsets[i + 1]]`."""

    numbers: npt.NDArray[np.int32]  # (n_tokens,)
    offsets: npt.NDArray[np.int64]  # (n_texts + 1,)


def token_bags(tokenizer: Any, texts: list[str]) -> Bags:
    """Token bags of texts, without special tokens."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    offsets = indptr_of(np.array([len(bag) for bag in ids]))
    return Bags(np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(offsets[-1])), offsets)


def _key(texts: Texts, config: AdaptConfig) -> str:
    """Hash of all that the vocabulary and the tokens depend on."""
    weights = config.texts.language_weights
    facts: list[object] = [config.vocabulary.model_dump(), weights, texts.sources, texts.languages]
    if config.texts.word_lists is not None:
        facts.append([config.texts.word_lists.path, config.texts.word_lists.source])
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
        listed = read_word_lists(config.texts)
        tokenizer, words = vocabulary.build_tokenizer(texts, listed, config.vocabulary, config.texts, log)
        tokenizer.save(str(folder / "tokenizer.json"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))  # the built one is far slower
        (folder / "words.json").write_text(json.dumps(sorted(words)), encoding="utf-8")
        rows = np.arange(len(texts))
        parts = [token_bags(tokenizer, texts.take(rows[at : at + _SLAB])) for at in range(0, len(texts), _SLAB)]
        log(f"tokens: {len(tokenizer.get_vocab()):,} kinds in {len(texts):,} texts")
        np.save(folder / "numbers.npy", np.concatenate([part.numbers for part in parts]))
        np.save(folder / "offsets.npy", indptr_of(np.concatenate([np.diff(part.offsets) for part in parts])))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = frozenset(json.loads((folder / "words.json").read_text(encoding="utf-8")))
    return tokenizer, words, Bags(np.load(folder / "numbers.npy"), np.load(folder / "offsets.npy"))
