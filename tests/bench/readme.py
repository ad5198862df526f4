"""Writes the tables of `make bench-quality` into tests/bench/README.md, from the figures that it left.

    python tests/bench/readme.py .cache/bench-quality-*.json

Each file holds tables: a title and rows, of `judging.table_of`, `list_costs.py` or `quality.py`.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).with_name("README.md")
END: Final = "<!-- to here -->"


def put(page: Path, target: str, text: str) -> None:
    """Replaces what stands in a page between the markers of a make target."""
    begin = f"<!-- make {target} writes from here -->"
    before, rest = page.read_text("utf-8").split(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


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


def markdown(table: dict[str, Any]) -> str:
    """A table under its title."""
    kinds = {"on": held, "setting": settings, "system": compared, "shop": by_titles}
    head, *cells = next(kind for name, kind in kinds.items() if name in table["rows"][0])(table["rows"])
    lines = [head, ["---"] * len(head), *cells]
    title = str(table["title"])
    return "\n".join([f"{title[:1].upper()}{title[1:]}:", "", *(f"| {' | '.join(line)} |" for line in lines)])


def main(files: list[str]) -> None:
    """Replaces what stands between the markers."""
    found = [json.loads(Path(file).read_text("utf-8")) for file in files]
    tables = [table for one in found for table in (one if isinstance(one, list) else [one]) if table["rows"]]
    put(PAGE, "bench-quality", "\n\n".join(map(markdown, tables)))


if __name__ == "__main__":
    main(sys.argv[1:])
