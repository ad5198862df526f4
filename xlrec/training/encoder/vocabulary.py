"""Tokenizer of an encoder that is trained from scratch: whole words where known, else pieces, characters, bytes.

It is a Unigram model whose scores make it take the fewest tokens, and among as many the most frequent ones. So a known
word is one token, and a text in a script without spaces falls into long known pieces. Unknown characters become bytes.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import regex

from xlrec.training.encoder.config import TextsConfig, VocabularyConfig
from xlrec.training.encoder.texts import Texts, WordLists

PAD = "[PAD]"
UNKNOWN = "[UNK]"
_RUNNING = r"\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
#: A run of a script without spaces, a word, a number, or one sign.
PATTERN = rf"[{_RUNNING}]+|[[\p{{L}}\p{{M}}]&&[^{_RUNNING}]]+|\p{{N}}+|[^\s\p{{L}}\p{{M}}\p{{N}}]"
#: The dot of a lower-cased İ, tatweel, and the vowel points of Arabic and Hebrew, which most texts leave out.
_POINTS = "[\u0307\u0640\u064b-\u065f\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u200b-\u200f\u00ad]"
#: Languages written without spaces, and their share of the running pieces.
RUNNING_SHARES = {"zh": 0.32, "zh-TW": 0.13, "yue": 0.05, "ja": 0.28, "th": 0.14, "km": 0.03, "lo": 0.02, "my": 0.03}
_YEARS = [str(year) for year in range(1000)] + [str(year) for year in range(1700, 2040)]
#: Words of a language, the most frequent first, from which stems and endings are learnt.
_PIECED = 20_000
_LONGEST_PIECE = 10
#: Runs of a language without spaces, the most frequent first, from which pieces are learnt; of small ones an eighth.
_RUNS = 60_000
_LARGE = ("zh", "zh-TW", "ja", "th")


def untrained_tokenizer() -> Any:
    """Tokenizer that normalises and cuts into words, without a vocabulary."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(_POINTS), "")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True)
    return tokenizer


def frequent_words(texts: Texts, language: int, listed: dict[str, int]) -> tuple[Counter[str], Counter[str]]:
    """Counts of (runs without spaces, other words) in the distinct training texts of a language and in `listed` ones.

    `listed` holds texts and how often each is met.
    """
    running = _RUNNING.replace(r"\x{30FC}", "\u30fc")  # the tokenizer's own pattern, for `regex`
    run = regex.compile(f"[{running}]+", regex.V1)
    other = regex.compile(rf"[[\p{{L}}\p{{M}}]--[{running}]]+|[\p{{N}}--[{running}]]+", regex.V1)
    points = regex.compile(_POINTS)
    runs: Counter[str] = Counter()
    words: Counter[str] = Counter()
    rows = np.flatnonzero((texts.language == language) & ~texts.is_dev)
    for text, count in [*dict.fromkeys(texts.take(rows), 1).items(), *listed.items()]:
        plain = text.lower() if text.isascii() else points.sub("", unicodedata.normalize("NFKC", text).lower())
        for found, counts in ((run.findall(plain), runs), (other.findall(plain), words)):
            for word in found:
                counts[word] += count
    return runs, words


def _signs() -> list[str]:
    """Punctuation and symbols, emoji too, as they are after NFKC: tokens whether they are met or not."""
    codes = [*range(0x21, 0x3100), *range(0xFE00, 0xFE70), *range(0x1F000, 0x1FB00)]
    signs = [chr(code) for code in codes if unicodedata.category(chr(code))[0] in "PS"]
    return [sign for sign in signs if unicodedata.normalize("NFKC", sign) == sign]


def _ranked(counts: Counter[str], min_count: int) -> list[str]:
    """Words with at least min_count, the most frequent first; ties in alphabetical order."""
    frequent = (word for word, count in counts.items() if count >= min_count)
    return sorted(frequent, key=lambda word: (-counts[word], word))


def stems_and_endings(lists: list[list[str]], size: int) -> list[str]:
    """Beginnings and ends of each language's distinct words, those first that spell the most letters of them.

    Much faster than pieces by likelihood, which take many minutes for a million words.
    """
    counts: Counter[str] = Counter()
    for words in lists:
        for word in words:
            longest = min(len(word) - 1, _LONGEST_PIECE)
            counts.update({word[:n] for n in range(2, longest + 1)} | {word[-n:] for n in range(2, longest + 1)})
    best = ((-count * (len(piece) - 1), piece) for piece, count in counts.items() if count > 2)
    return [piece for _, piece in sorted(best)[:size]]


def frequent_pieces(batches: Iterator[list[str]], size: int, longest: int) -> list[str]:
    """Pieces of a Unigram model (Kudo 2018), the likeliest first."""
    from tokenizers import models, trainers

    tokenizer = untrained_tokenizer()
    tokenizer.model = models.Unigram()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, max_piece_length=longest, unk_token=UNKNOWN, special_tokens=[UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(batches, trainer)
    scores = json.loads(tokenizer.to_str())["model"]["vocab"]
    return [piece for piece, _ in sorted(scores, key=lambda scored: (-scored[1], scored[0])) if piece != UNKNOWN]


def _share_out(lists: dict[str, list[str]], config: VocabularyConfig, weights: dict[str, float]) -> list[str]:
    """`config.words` words of all languages, shared out by weight and size of each language's list."""
    sizes = {
        name: weights.get(name, 1.0) * max(len(words), 1) ** config.language_exponent for name, words in lists.items()
    }
    total = sum(sizes.values())
    places = sorted(
        ((rank + 1) * total / sizes[name], name, word)
        for name, words in lists.items()
        for rank, word in enumerate(words)
    )
    return list(dict.fromkeys(word for _, _, word in places))[: config.words]


def build_tokenizer(
    texts: Texts, listed: WordLists, config: VocabularyConfig, chosen: TextsConfig, log: Callable[[str], None]
) -> tuple[Any, frozenset[str]]:
    """(tokenizer, its tokens that are whole words) from the training texts and listed words.

    `chosen` weighs the languages.
    """
    lists, spaceless, letters = {}, [], Counter(map(str, range(10)))
    for num, name in enumerate(texts.languages):
        runs, words = frequent_words(texts, num, listed.get(name, {}))
        for counts in (runs, words):
            letters.update(letter for word in counts for letter in set(word))
        lists[name] = _ranked(words, config.min_count)
        if name in RUNNING_SHARES and runs:
            best = _ranked(runs, 1)[: _RUNS if name in _LARGE else _RUNS // 8]
            size = int(config.running_pieces * RUNNING_SHARES[name]) + len(set("".join(best)))
            spaceless.append(frequent_pieces(iter([best]), size, 8))
            log(f"vocabulary: {len(spaceless[-1]):,} pieces of {len(best):,} runs in {name}")
    log(f"vocabulary: {sum(map(len, lists.values())):,} words in {len(lists)} languages")
    chosen_words = _share_out(lists, config, config.language_weights or chosen.language_weights)
    pieces = stems_and_endings([words[:_PIECED] for _, words in sorted(lists.items())], config.pieces)
    running = [piece for part in spaceless for piece in part]
    characters = [*_ranked(letters, config.min_count), *_signs()]
    return _unigram([[*chosen_words, *_YEARS], [*running, *pieces], characters]), frozenset(chosen_words)


def _unigram(ranked: list[list[str]]) -> Any:
    """Tokenizer that takes the fewest tokens; earlier lists, and in them earlier tokens, win among as many."""
    scores: dict[str, float] = {PAD: -40.0, UNKNOWN: -40.0, **{f"<0x{byte:02X}>": -40.0 for byte in range(256)}}
    for level, tokens in enumerate(ranked):
        for rank, token in enumerate(tokens):
            scores.setdefault(token, -10.0 - 0.3 * (level + rank / len(tokens)))
    return _with_scores(list(scores.items()))


def without_words(tokenizer: Any, words: frozenset[str]) -> Any:
    """Tokenizer with the same token numbers that takes a whole word only where it has no few pieces for it."""
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    scores = [(token, -60.0 if token in words and len(token) > 1 else score) for token, score in vocabulary]
    return _with_scores(scores)


def _with_scores(scores: list[tuple[str, float]]) -> Any:
    from tokenizers import models

    tokenizer = untrained_tokenizer()
    tokenizer.model = models.Unigram(scores, unk_id=1, byte_fallback=True)
    return tokenizer
