"""A night's lists in worlds whose truth is known, beside reference lists: NDCG@10, paired intervals, bars.

    python tests/bench/world_lists.py DIR [DIR ...] [--json FILE]

DIR/input is in xlrec's layout. DIR/truth holds meta.json (targets: markets without logs; as_of), holdout (user_id,
item_id), users (user_id, market, reads), items (item_id, languages), and reference_lists.json: {name: {user: items}},
where names with "content", "floor" or "true" tell what each is. Each night runs on the default config.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from judging import Bar, Truth, lists_of, ndcg, night, show, table_of, truth_of
from rich.table import Table

#: References that know what no recommender can.
_CEILINGS = ("true", "oracle", "random")
TARGETS = "the two markets"
#: Of the best reference, to be reached where these markets have no logs.
_FACTORS = {TARGETS: 1.1, "other markets": 1.05}


def slices(folder: Path) -> dict[str, Truth]:
    """The truth by kind of user, or cut to a kind of item."""
    meta = json.loads((folder / "truth/meta.json").read_text())
    users, items = (pd.read_parquet(folder / "truth" / name) for name in ("users", "items"))
    log, truth = pd.read_parquet(folder / "input/interactions"), truth_of(pd.read_parquet(folder / "truth/holdout"))
    markets = dict(zip(users.user_id, users.market, strict=True))
    reads = {user: set(some) for user, some in zip(users.user_id, users.reads, strict=True)}
    spoken = {item: set(some) for item, some in zip(items.item_id, items.languages, strict=True)}
    known, seen = set(log.item_id), log.groupby("user_id").item_id.unique()

    def foreign(user: str, item: str) -> bool:
        """No text in the language of most of her history, and she can read it."""
        heard = Counter(tongue for one in seen.get(user, ()) for tongue in sorted(spoken[one]))
        main = min(heard, key=lambda tongue: (-heard[tongue], tongue), default=None)
        return main not in spoken[item] and bool(spoken[item] & reads[user])

    def cut(kept: Any) -> Truth:
        parts = {user: {item for item in some if kept(user, item)} for user, some in truth.items()}
        return {user: some for user, some in parts.items() if some}

    return {
        TARGETS: cut(lambda user, _: markets[user] in meta["targets"]),
        "other markets": cut(lambda user, _: markets[user] not in meta["targets"]),
        "cold items": cut(lambda _, item: item not in known),
        "cross-lingual, readable": cut(foreign),
    }


def bars(folder: Path, lake: Path) -> list[Bar]:
    """A bar a slice."""
    lists = lists_of(lake)
    references = json.loads((folder / "truth/reference_lists.json").read_text())
    fair = {name: some for name, some in references.items() if not any(word in name for word in _CEILINGS)}
    alone = json.loads((folder / "truth/meta.json").read_text())["scenario"] == "zero-shot"
    found = []
    for name, truth in slices(folder).items():
        cold = name == "cold items"
        others = {
            other: ndcg(some, truth)
            for other, some in fair.items()
            if not cold or "content" in other or "transfer:" in other
        }
        factor = 0.9 if cold else _FACTORS.get(name, 1.0) if alone else 1.0
        floors = {other: others.pop(other) for other in [*others] if other.startswith("floor")}
        ours = ndcg(lists, truth)
        found.append(Bar(name, ours, others, factor, alone and name == TARGETS))
        if floors and name in _FACTORS:
            found.append(Bar(f"{name}, the floor", ours, floors, 1.0, ahead=False))
    return found


def measured(folder: Path, *, kept: bool) -> tuple[Table, list[dict[str, Any]]]:
    """The table of a world, after a night; `kept`: of the lake that an earlier one left."""
    meta = json.loads((folder / "truth/meta.json").read_text())
    lake, config = folder / "lake", folder / "bench.yaml"
    inputs = {name: str(folder / "input" / name) for name in ("catalog", "interactions", "users")}
    config.write_text(json.dumps({"lake": str(lake), "inputs": inputs, "run_date": meta["as_of"][:10], "k": 10}))
    if not kept:
        night(config, lake)
    share = f" {meta['fraction']:.0%}" if meta["scenario"] == "few-shot" else ""
    title = f"{meta['size']} world, seed {meta['seed']}, {meta['scenario']}{share}, {meta['interactions']:,} events"
    return table_of(title, bars(folder, lake))


def main() -> None:
    """Prints a table a world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="+", type=Path)
    parser.add_argument("--kept", action="store_true", help="run no night: score the lists that lie in DIR/lake")
    parser.add_argument("--json")
    options = parser.parse_args()
    show([measured(folder.resolve(), kept=options.kept) for folder in options.worlds], options.json)


if __name__ == "__main__":
    main()
