"""Writes the benches' figures into the pages, from the JSON that the benches left; then the README's short tables.

    python tests/bench/pages.py            # make pages: after any bench

A bench that was not run leaves its tables as they are. `quality-*.json` hold tables: a title and rows, of
`judging.table_of`, `list_costs.py` or `quality.py`. The benches of speed hold rows of `measure.Row`. The README's
tables are taken from the pages.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from xlrec.encoders.presets import find_preset

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = Path(__file__).with_name("README.md")
FIGURES: Final = ROOT / ".cache" / "bench"
END: Final = "<!-- to here -->"
#: The benches of `make bench`, in the page's order.
BENCHES: Final = ("kernel", "retrieval", "embedding")
#: Beside what the README shows them.
PEERS: Final = ("faiss", "implicit", "ALS", "torch.mm")
#: Longer ones, each by its target.
OTHERS: Final = {"night": "bench-night", "approximate": "bench-ann", "gpu": "bench-gpu"}
SPEED: Final = tuple(name.capitalize() for name in BENCHES)


class Pick(NamedTuple):
    """A row of a page that the README shows."""

    title: str
    """Start of its table's title."""
    cell: str
    """Its first cell, up to a comma; empty: a table of systems, the best first."""
    label: str
    """In the README."""


QUALITY: Final = (
    Pick("Medium world, seed 21, zero-shot", "the two markets", "planted world, two markets without logs"),
    Pick("Medium world, seed 21, zero-shot", "cold items", "planted world, new items"),
    Pick("Medium world, seed 21, zero-shot", "cross-lingual", "planted world, items in other languages"),
    Pick("Medium world, seed 21, zero-shot", "other markets", "planted world, markets with logs"),
    Pick("Shops", "CA", "shop in Canada"),
    Pick("Shops", "DE", "shop in Germany"),
    Pick("Shops", "FR", "shop in France"),
    Pick("Shops", "MX", "shop in Mexico"),
    Pick("Movielens", "", "MovieLens, the newest choice"),
    Pick("Demo-16000", "", "the demo with 16,000 users"),
)


def put(page: Path, target: str, text: str) -> None:
    """Replaces the text between the markers of a make target in a page."""
    begin = f"<!-- make {target} writes from here -->"
    before, rest = page.read_text("utf-8").split(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown of a table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def tables_of(page: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """Each table of a page: the line above it, and its rows without the head."""
    for title, rows in re.findall(r"^([^|\n]+):\n\n((?:\|.*\n)+)", page.read_text("utf-8"), re.MULTILINE):
        yield title, [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.strip().split("\n")[2:]]


def figure(value: float, sign: str = "") -> str:
    """0.1234, or with its sign."""
    return f"{value:{sign}.4f}".replace("-", "\u2212")


def span(values: list[float], sign: str = "") -> str:
    """Mean [low, high]."""
    mean, low, high = (figure(value, sign) for value in values)
    return f"{mean} [{low}, {high}]"


def held(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Bars: a row each."""
    head = ["on", "users", "xlrec", "best other", "xlrec minus it", "aim", "met"]
    cells = [
        [row["on"], f"{row['users']:,}", figure(row["xlrec"][0]), f"{row['best']} {figure(row['best_ndcg'])}",
         span(row["minus"], "+"), figure(row["aim"]), "yes" if row["met"] else "**no**"]
        for row in rows
    ]  # fmt: skip
    return [head, *cells]


def compared(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Systems: a row each, the best first."""
    head = ["system", "NDCG@10", "Recall@10", "xlrec minus it"]
    cells = [
        [row["system"], span(row["ndcg"]), figure(row["recall"][0]),
         "" if row["system"] == "xlrec" else span(row["xlrec_minus"], "+")]
        for row in rows
    ]  # fmt: skip
    return [head, *cells]


def settings(rows: list[dict[str, Any]]) -> list[list[str]]:
    """What lists cost and buy: a row a setting."""
    head = ["lists", "NDCG@10", "less the plain ones", "mean distance", "near another", "language mix error"]
    cells = [
        [row["setting"], figure(row["ndcg"]), span(row["minus"], "+"), f"{row['distance']:.3f}", f"{row['near']:.3f}",
         f"{row['languages']:.3f}"]
        for row in rows
    ]  # fmt: skip
    return [head, *cells]


def by_titles(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Shops: a row each, a column a kind of titles."""
    head = list(rows[0])
    return [head, *([row["shop"], *(figure(row[name]) for name in head[1:])] for row in rows)]


def quality(found: dict[str, Any]) -> str:
    """A table of lists under its title."""
    kinds = {"on": held, "setting": settings, "system": compared, "shop": by_titles}
    head, *cells = next(kind for name, kind in kinds.items() if name in found["rows"][0])(found["rows"])
    title = str(found["title"])
    return f"{title[:1].upper()}{title[1:]}:\n\n{table(head, cells)}"


def speed(name: str, found: dict[str, Any]) -> str:
    """A table of ratios, under the machine that they were measured on."""
    machine = found["machine"]
    cells = []
    for row in found["rows"]:
        missed = row["figure"] > row["aim"] if row["at_most"] else row["figure"] < row["aim"]
        aim = f"{'≤' if row['at_most'] else '≥'} {row['aim']:g} {row['unit']}" if row["aim"] else ""
        cells.append(
            [
                row["what"],
                row["against"],
                f"{row['figure']:.2f} {row['unit']}",
                f"{aim}{', missed' * (bool(aim) and missed)}",
            ]
        )
    title = (
        f"{name.capitalize()}, {machine['cores']} cores, {machine['processor']} ({', '.join(machine['instructions'])})"
    )
    return f"{title}:\n\n{table(['measured', 'beside', 'figure', 'aim'], cells)}"


def encoders(found: dict[str, Any]) -> str:
    """A row an encoder: means over languages, before and after the language part is taken out.

    Encoders of few languages, and the default beside them, have another row, of these languages alone.
    """
    sets = list(next(iter(found.values()))["sets"])
    head = ["encoder", "MB", "texts/s", "contexts", *sets, "own language", "mean rank"]

    def mean(sets_found: dict[str, Any], kind: str, metric: str) -> float:
        return float(np.mean([row[kind][metric] for row in sets_found.values()]))

    presets = [preset for preset in map(find_preset, found) if preset is not None and preset.trained_on]
    shown = dict(found)
    for preset in presets:
        for name in [one for one in ("default", preset.name) if one in found]:
            kept = {key: {tag: row for tag, row in by.items() if tag.split("-")[0] in preset.trained_on}
                    for key, by in found[name]["sets"].items()}  # fmt: skip
            shown[f"{name}, on the languages of {preset.name}"] = found[name] | {"sets": kept}
    rows = []
    for name, one in shown.items():
        both = {
            metric: [np.mean([mean(by, kind, metric) for by in one["sets"].values()]) for kind in ("as_is", "neutral")]
            for metric in ("own_language", "mean_rank")
        }
        rows.append([
            name, f"{one['megabytes']:.0f}", f"{one['texts_per_second']:,.0f}", f"{one['contexts']['all']:.2f}",
            *(f"{mean(by, 'neutral', 'retrieval@1'):.2f}" for by in one["sets"].values()),
            "{:.2f} → {:.2f}".format(*both["own_language"]), "{:.0f} → {:.0f}".format(*both["mean_rank"]),
        ])  # fmt: skip
    return table(head, rows)


def short_quality() -> str:
    """The README's table of lists, from the page of benches: of each pick the reference that it does worst against."""
    found = list(tables_of(PAGE))
    rows = []
    for pick in QUALITY:
        title, cells = next((title, rows) for title, rows in found if title.startswith(pick.title))
        if pick.cell:
            of_pick = [row for row in cells if row[0] == pick.cell or row[0].startswith(f"{pick.cell},")]
            rows.append([pick.label, *min(of_pick, key=lambda row: signed(row[4]))[1:5]])
        else:
            ours, best = cells[:2]
            users = re.search(r"([\d,]+) users", title)
            other = f"{best[0]} {best[1].split()[0]}"
            rows.append([pick.label, users[1] if users else "", ours[1].split()[0], other, best[3]])
    return table(["lists of", "users", "NDCG@10", "best of the others", "xlrec minus it"], rows)


def signed(cell: str) -> float:
    """The mean of a cell as `span` writes it."""
    return float(cell.split()[0].replace("\u2212", "-"))


def short_speed() -> str:
    """The README's table of speed, from the page of benches: the rows beside a library that people use."""
    found = [row for title, rows in tables_of(PAGE) if title.startswith(SPEED) for row in rows]
    rows = [row[:3] for row in found if row[1].startswith(PEERS) and not row[0].endswith((", float32", ", ids"))]
    rows += [row[:3] for row in found if row[1].startswith("sentence-transformers")]
    return table(["measured", "beside", "figure"], rows)


def main() -> None:
    """Writes every table whose figures are there."""
    read = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FIGURES.glob("*.json"))}
    lists = [
        one
        for name, found in read.items()
        if name.startswith("quality-")
        for one in (found if isinstance(found, list) else [found])
    ]
    if lists:
        put(PAGE, "bench-quality", "\n\n".join(quality(one) for one in lists if one["rows"]))
    if all(name in read for name in BENCHES):
        put(PAGE, "bench", "\n\n".join(speed(name, read[name]) for name in BENCHES))
    for name, target in OTHERS.items():
        if name in read:
            put(PAGE, target, speed(name, read[name]))
    if "encoders" in read:
        put(ROOT / "xlrec" / "encoders" / "README.md", "bench-encoders", encoders(read["encoders"]))
    put(ROOT / "README.md", "pages", short_quality())
    put(ROOT / "README.md", "bench", short_speed())


if __name__ == "__main__":
    main()
