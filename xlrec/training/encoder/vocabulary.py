"""The tokenizer of an encoder that is trained from scratch: whole words where known, else pieces, characters, bytes.

It is a Unigram model whose scores make it take the fewest tokens, and among as many the most frequent ones; so a known
word is one token, and a text in a script without spaces falls into long known pieces. What is unknown becomes bytes.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from xlrec.training.encoder.config import TextsConfig, VocabularyConfig
from xlrec.training.encoder.texts import Texts

PAD = "[PAD]"
UNKNOWN = "[UNK]"
_RUNNING = r"\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
#: A run of a script without spaces, a word, a number, or one sign.
PATTERN = rf"[{_RUNNING}]+|[[\p{{L}}\p{{M}}]&&[^{_RUNNING}]]+|\p{{N}}+|[^\s\p{{L}}\p{{M}}\p{{N}}]"
#: The dot of a lower-cased İ, tatweel, and the vowel points of Arabic and Hebrew, which most texts leave out.
_POINTS = "[\u0307\u0640\u064b-\u065f\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u200b-\u200f\u00ad]"
#: Languages written without spaces, and their share of the running pieces.
RUNNING_SHARES = {"zh": 0.32, "zh-TW": 0.13, "yue": 0.05, "ja": 0.28, "th": 0.14, "km": 0.03, "lo": 0.02, "my": 0.03}
#: The same scripts as code points: Thai and Lao, Burmese, Khmer, kana, Han.
_RUNNING_RANGES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_YEARS = [str(year) for year in range(1000)] + [str(year) for year in range(1700, 2040)]


#: Words of a language, the most frequent first, from which stems and endings are learnt.
_PIECED = 20_000
_LONGEST_PIECE = 10
#: Runs of a language without spaces, the most frequent first, from which pieces are learnt; of small ones an eighth.
_RUNS = 60_000
_LARGE = ("zh", "zh-TW", "ja", "th")


def blank() -> Any:
    """A tokenizer that normalises and cuts into words, without a vocabulary."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(_POINTS), "")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True)
    return tokenizer


def _class(kinds: str, codes: Iterable[int]) -> str:
    """The code points of these general categories (first letters), as ranges of a regular expression."""
    ranges: list[list[int]] = []
    for code in codes:
        if unicodedata.category(chr(code))[0] in kinds:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


@lru_cache(maxsize=1)
def _words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(runs of scripts without spaces, other words and numbers): what the tokenizer's own pattern finds, but faster."""
    runs = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _RUNNING_RANGES)
    others = [code for code in range(0x110000) if not any(first <= code <= last for first, last in _RUNNING_RANGES)]
    return re.compile(f"[{runs}]+"), re.compile(f"[{_class('LM', others)}]+|[{_class('N', others)}]+")


def frequent_words(texts: Texts, language: int) -> tuple[Counter[str], Counter[str]]:
    """(runs without spaces, other words) of the texts of a language that are trained on, each distinct text once."""
    run, other = _words()
    points = re.compile(_POINTS)
    runs: Counter[str] = Counter()
    words: Counter[str] = Counter()
    rows = np.flatnonzero((texts.language == language) & ~texts.is_dev)
    for text in dict.fromkeys(texts.take(rows)):
        plain = text.lower() if text.isascii() else points.sub("", unicodedata.normalize("NFKC", text).lower())
        if not plain.isascii():
            runs.update(run.findall(plain))
        words.update(other.findall(plain))
    return runs, words


def _signs() -> list[str]:
    """Punctuation and symbols, emoji too, as they are after NFKC: tokens whether they are met or not."""
    codes = [*range(0x21, 0x3100), *range(0xFE00, 0xFE70), *range(0x1F000, 0x1FB00)]
    signs = [chr(code) for code in codes if unicodedata.category(chr(code))[0] in "PS"]
    return [sign for sign in signs if unicodedata.normalize("NFKC", sign) == sign]


def _ranked(counts: Counter[str], min_count: int) -> list[str]:
    """Those with at least min_count, the most frequent first; ties in order of the alphabet."""
    return sorted((word for word, count in counts.items() if count >= min_count), key=lambda one: (-counts[one], one))


def stems_and_endings(lists: list[list[str]], size: int) -> list[str]:
    """Beginnings and ends of words, those first that spell the most letters of distinct words.

    Quick, where learning pieces by likelihood from a million words takes many minutes.

    Args:
        lists: distinct words of each language.
        size: pieces, at most.
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
    import json

    from tokenizers import models, trainers

    tokenizer = blank()
    tokenizer.model = models.Unigram()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, max_piece_length=longest, unk_token=UNKNOWN, special_tokens=[UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(batches, trainer)
    scores = json.loads(tokenizer.to_str())["model"]["vocab"]
    return [piece for piece, _ in sorted(scores, key=lambda one: (-one[1], one[0])) if piece != UNKNOWN]


def _share_out(lists: dict[str, list[str]], config: VocabularyConfig, weights: dict[str, float]) -> list[str]:
    """The words of all languages, as many as the config says, in the order in which their languages name them."""
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


def build(
    texts: Texts, config: VocabularyConfig, chosen: TextsConfig, say: Callable[[str], None]
) -> tuple[Any, frozenset[str]]:
    """The tokenizer, and those of its tokens that are whole words.

    Args:
        texts: only rows that are no dev rows are looked at.
        config: how many tokens of which kind.
        chosen: languages with more weight get more words.
        say: takes lines of progress.
    """
    lists, spaceless, letters = {}, [], Counter(map(str, range(10)))
    for num, name in enumerate(texts.languages):
        runs, words = frequent_words(texts, num)
        for counts in (runs, words):
            letters.update(one for word in counts for one in set(word))
        lists[name] = _ranked(words, config.min_count)
        if name in RUNNING_SHARES and runs:
            best = _ranked(runs, 1)[: _RUNS if name in _LARGE else _RUNS // 8]
            size = int(config.running_pieces * RUNNING_SHARES[name]) + len(set("".join(best)))
            spaceless.append(frequent_pieces(iter([best]), size, 8))
            say(f"vocabulary: {len(spaceless[-1]):,} pieces of {len(best):,} runs in {name}")
    say(f"vocabulary: {sum(map(len, lists.values())):,} words in {len(lists)} languages")
    chosen_words = _share_out(lists, config, config.language_weights or chosen.language_weights)
    pieces = stems_and_endings([words[:_PIECED] for _, words in sorted(lists.items())], config.pieces)
    running = [one for part in spaceless for one in part]
    ranked = [
        [*chosen_words, *_YEARS],
        [*running, *pieces],
        [*_ranked(letters, config.min_count), *_signs()],
    ]
    return _unigram(ranked), frozenset(chosen_words)


def _unigram(ranked: list[list[str]]) -> Any:
    """A tokenizer that takes the fewest tokens; earlier lists, and in them earlier tokens, win among as many."""
    from tokenizers import models

    scores: dict[str, float] = {PAD: -40.0, UNKNOWN: -40.0, **{f"<0x{byte:02X}>": -40.0 for byte in range(256)}}
    for level, tokens in enumerate(ranked):
        for rank, token in enumerate(tokens):
            scores.setdefault(token, -10.0 - 0.3 * (level + rank / len(tokens)))
    tokenizer = blank()
    tokenizer.model = models.Unigram(list(scores.items()), unk_id=1, byte_fallback=True)
    return tokenizer


def without_words(tokenizer: Any, words: frozenset[str]) -> Any:
    """A tokenizer with the same numbers that takes a whole word only where it has no few pieces for it."""
    import json

    from tokenizers import models

    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    scores = [(token, -60.0 if token in words and len(token) > 1 else score) for token, score in vocabulary]
    other = blank()
    other.model = models.Unigram(scores, unk_id=1, byte_fallback=True)
    return other
