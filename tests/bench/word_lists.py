"""Word lists of a teacher, from the package wordfreq: `texts.word_lists.path` of conf/training/encoder.yaml.

    pip install 'xlrec[train]'; python tests/bench/word_lists.py .cache/word_lists.parquet

Each language's most frequent words, with their number in a million words of running text: about what the parallel
texts have of a language. Words without a letter are left out.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh", "id")
LONGEST, RUNNING_WORDS = 30, 1_000_000


def listed_words(frequencies: dict[str, float], n_words: int) -> Iterator[tuple[str, int]]:
    """(word, count) of the most frequent words; those as frequent in the order of the dictionary."""
    ranked = sorted(frequencies.items(), key=lambda word: -word[1])
    kept = (word for word in ranked if len(word[0]) <= LONGEST and any(letter.isalpha() for letter in word[0]))
    for _, (word, frequency) in zip(range(n_words), kept, strict=False):
        yield word, max(1, round(frequency * RUNNING_WORDS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the Parquet file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--words", type=int, default=40_000, help="of each language")
    options = parser.parse_args(arguments)
    from wordfreq import get_frequency_dict

    rows = [
        (name, *word) for name in LANGUAGES for word in listed_words(get_frequency_dict(name, "best"), options.words)
    ]
    options.target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(zip(("language", "text", "count"), map(list, zip(*rows, strict=True)), strict=True))),
                   options.target)  # fmt: skip
    print(f"{len(rows):,} words of {len(LANGUAGES)} languages in {options.target}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
