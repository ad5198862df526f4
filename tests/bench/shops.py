"""A night's lists in real shops that share items, beside the field's recommenders: NDCG@10, paired intervals, bars.

    python tests/bench/shops.py FILE [--shares 0.01 0.05 0.2] [--json FILE]

FILE is Parquet: user_id, item_id, date, line, market; a row is a purchase. Of users with three items or more the newest
is held out; candidates are the items of her shop without her own. Every peer learns from the shop's own logs and from
all shops', and chooses its settings on the purchase before. The blend adds .5, .3 and .2 of the standardised scores of
EASE, pooled and own sequential co-visitation. xlrec runs a night on its default config, with the ids as titles; `texts`
also runs it with titles all alike and with half of them alike. `--shares` cuts the logs of one shop after another.
"""

import argparse
import json
import zlib
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from judging import Bar, Floats, Lists, Truth, interval, lists_of, ndcg, night, show, table_of, truth_of
from numpy.typing import NDArray
from peers import DAY, PEERS, Log, Peer
from rich.console import Console
from rich.table import Table

_CACHE: Final = Path(".cache/bench/shops")
_EASE: Final = Peer(PEERS["EASE"].scores, {"penalty": [1, 10, 50, 200]})
_TRIED: Final = {name: PEERS[name] for name in ("popular, decayed", "ItemKNN", "iALS", "sequential")} | {"EASE": _EASE}
_DISCOUNTS: Final = 1 / np.log2(np.arange(2, 12))


class Split(NamedTuple):
    """Purchases that are known, and those that are asked for, one a user."""

    known: pd.DataFrame
    asked: pd.DataFrame


def read(file: Path) -> pd.DataFrame:
    """Purchases in order, each user's item once: user and item as numbers too."""
    log = pd.read_parquet(file).sort_values(["date", "line"], kind="stable").drop_duplicates(["user_id", "item_id"])
    log["user"], log["item"] = pd.factorize(log.user_id)[0], pd.factorize(log.item_id)[0]
    log["micros"] = pd.to_datetime(log.date).astype("datetime64[us]").astype(np.int64) + np.arange(len(log))
    return log


def split(log: pd.DataFrame) -> Split:
    """Each user's newest purchase apart, where she has three."""
    newest = ~log.user.duplicated(keep="last") & (log.groupby("user").user.transform("size") >= 3)
    return Split(log[~newest], log[newest])


class Shop:
    """One shop's users, on one split."""

    def __init__(self, cut: Split, market: str, shape: tuple[int, int]) -> None:
        """`shape`: all users and items."""
        mine = cut.known[cut.known.market == market]
        self.asked = cut.asked[cut.asked.market == market].sort_values("user_id")
        self.sold = np.unique(np.r_[mine.item, self.asked.item])
        self.own, self.shape = mine, shape
        seen = cut.known[cut.known.user.isin(self.asked.user)]
        place = pd.Series(np.arange(len(self.asked)), index=self.asked.user.to_numpy())
        self.seen = np.zeros((len(self.asked), shape[1]), dtype=bool)
        self.seen[place[seen.user].to_numpy(), seen.item.to_numpy()] = True

    def gains(self, scores: Floats) -> Floats:
        """(n_asked,) NDCG@10 of (n_asked, n_items) scores; ties by item."""
        allowed = np.where(self.seen, -np.inf, scores)[:, self.sold]
        right = np.searchsorted(self.sold, self.asked.item)
        own = allowed[np.arange(len(right)), right][:, None]
        before = (allowed > own).sum(1) + ((allowed == own) & (np.arange(len(self.sold)) < right[:, None])).sum(1)
        return np.where(before < 10, _DISCOUNTS[np.minimum(before, 9)], 0.0)

    def standard(self, scores: Floats) -> Floats:
        """Scores of each user at mean 0 and deviation 1 over what is sold."""
        some = scores[:, self.sold]
        return np.asarray((scores - some.mean(1, keepdims=True)) / np.maximum(some.std(1, keepdims=True), 1e-12))


def log_of(rows: pd.DataFrame, shape: tuple[int, int]) -> Log:
    """As peers take it."""
    rows = rows.sort_values(["user", "micros"])
    return Log(rows.user.to_numpy(), rows.item.to_numpy(), rows.micros.to_numpy(), *shape)


def scored(peer: Peer, rows: pd.DataFrame, shops: list[Shop], setting: dict[str, Any]) -> list[Floats]:
    """(n_asked, n_items) of each shop's users, by what some purchases teach."""
    whole = peer.scores(log_of(rows, shops[0].shape), **setting)
    return [np.asarray(whole[shop.asked.user.to_numpy()], dtype=np.float64) for shop in shops]


def peers_of(
    outer: Split, inner: Split, markets: list[str], shape: tuple[int, int], say: Any
) -> list[dict[str, Floats]]:
    """Gains of every peer in each shop, own logs and pooled, and of the blend."""
    found: list[dict[str, Floats]] = [{} for _ in markets]
    kept: list[dict[str, Floats]] = [{} for _ in markets]
    for (name, peer), pooled in ((one, pooled) for one in _TRIED.items() for pooled in (False, True)):
        tuned, final = ([Shop(cut, market, shape) for market in markets] for cut in (inner, outer))
        groups = [list(range(len(markets)))] if pooled else [[place] for place in range(len(markets))]
        for group in groups:
            learnt = [inner.known if pooled else tuned[group[0]].own, outer.known if pooled else final[group[0]].own]
            some = [tuned[place] for place in group]
            tried = [
                (
                    setting,
                    [
                        shop.gains(one).mean()
                        for shop, one in zip(some, scored(peer, learnt[0], some, setting), strict=True)
                    ],
                )
                for setting in peer.settings()
            ]
            for at, place in enumerate(group):
                setting = max(tried, key=lambda one, at=at: one[1][at])[0]
                scores = scored(peer, learnt[1], [final[place]], setting)[0]
                label = f"{name}, {'pooled' if pooled else 'own'}"
                found[place][label] = final[place].gains(scores)
                if name in ("EASE", "sequential"):
                    kept[place][label] = final[place].standard(scores)
                say(f"{markets[place]} {label}: {found[place][label].mean():.4f} with {setting}")
    for place, market in enumerate(markets):
        some = kept[place]
        blend = 0.5 * some["EASE, own"] + 0.3 * some["sequential, pooled"] + 0.2 * some["sequential, own"]
        found[place]["blend"] = Shop(outer, market, shape).gains(blend)
    return found


def written(folder: Path, log: pd.DataFrame, known: pd.DataFrame, titles: str) -> Path:
    """xlrec's input and a config; the path of the config."""
    sold = log.groupby("item_id").market.agg(lambda some: sorted(set(some))).reset_index()
    alike = {"ids": lambda _: False, "alike": lambda _: True, "half alike": lambda one: zlib.crc32(one.encode()) % 2}
    names = ["product" if alike[titles](one) else one for one in sold.item_id]
    tables = {
        "catalog": pd.DataFrame({
            "item_id": sold.item_id, "title": names, "description": pd.Series([None] * len(sold), dtype="string"),
            "language": "en", "markets": sold.market,
        }),
        "interactions": pd.DataFrame({
            "user_id": known.user_id, "item_id": known.item_id, "event": "purchase", "market": known.market,
            "timestamp": pd.to_datetime(known.micros, unit="us", utc=True), "value": np.nan,
        }),
    }  # fmt: skip
    for name, table in tables.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / name / "part.parquet", index=False)
    inputs = {name: str(folder / name) for name in tables}
    config = folder / "bench.yaml"
    config.write_text(json.dumps({"lake": str(folder / "lake"), "inputs": inputs, "k": 10}))
    return config


def listed(folder: Path, log: pd.DataFrame, known: pd.DataFrame, titles: str = "ids") -> dict[str, list[str]]:
    """The lists of a night."""
    config = written(folder.resolve(), log, known, titles)
    night(config, folder.resolve() / "lake")
    return lists_of(folder.resolve() / "lake")


def cut_to(cut: Split, market: str, share: float) -> Split:
    """A shop's users cut to a share, by hash; of the others of this shop nothing is known and nobody asks."""

    def kept(rows: pd.DataFrame) -> NDArray[np.bool_]:
        drawn = rows.user_id.map(lambda user: zlib.crc32(user.encode()) % 10_000 < share * 10_000)
        return np.asarray(drawn | (rows.market != market))

    return Split(cut.known[kept(cut.known)], cut.asked[kept(cut.asked) & (cut.asked.market == market)])


def by_titles(lists: dict[str, Lists], truths: dict[str, Truth]) -> tuple[Table, list[dict[str, Any]]]:
    """NDCG@10 of each shop by what the titles are."""
    table, rows = Table(title="titles that say nothing: NDCG@10"), []
    for name in ("shop", *lists):
        table.add_column(name, justify="right")
    for market, truth in truths.items():
        means = {name: interval(ndcg(some, truth))[0] for name, some in lists.items()}
        table.add_row(market, *(f"{mean:.4f}" for mean in means.values()))
        rows.append({"shop": market, **means})
    return table, rows


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--shares", type=float, nargs="*", default=[])
    parser.add_argument("--json")
    options = parser.parse_args()
    say, log = Console(stderr=True, width=160).print, read(options.file)
    shape, markets = (log.user.max() + 1, log.item.max() + 1), sorted(log.market.unique())
    outer = split(log)
    lists = {titles: listed(_CACHE / titles, log, outer.known, titles) for titles in ("ids", "alike", "half alike")}
    truths = {market: truth_of(outer.asked[outer.asked.market == market]) for market in markets}
    found = peers_of(outer, split(outer.known), markets, shape, say)
    days = (log.micros.max() - log.micros.min()) / DAY
    bars = []
    for market, others in zip(markets, found, strict=True):
        ours, blend = ndcg(lists["ids"], truths[market]), {"blend": others.pop("blend")}
        bars += [Bar(market, ours, others, 1.0, ahead=True), Bar(f"{market}, the blend", ours, blend, 1.0, ahead=False)]
    tables = [table_of(f"shops, {len(outer.known):,} purchases, {days:,.0f} days", bars)]
    tables.append(by_titles(lists, truths))
    cuts = []
    for share, market in ((share, market) for share in options.shares for market in markets):
        part = cut_to(outer, market, share)
        some = listed(_CACHE / "cut", log, part.known)
        others = peers_of(part, split(part.known), [market], shape, say)[0]
        cuts.append(
            Bar(f"{market}, {share:.0%} of its users", ndcg(some, truth_of(part.asked)), others, 1.0, ahead=False)
        )
    if cuts:
        tables.append(table_of("one shop's logs cut, the others whole", cuts))
    show(tables, options.json)


if __name__ == "__main__":
    main()
