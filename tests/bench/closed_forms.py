"""What `kernels.factorisation` and, of each market, `kernels.item_weights` find, without Spark: NDCG@10.

    python tests/bench/closed_forms.py world DIR    # DIR/input (input layout); DIR/truth: holdout, items, meta.json
    python tests/bench/closed_forms.py shops FILE   # Parquet: user_id, item_id, date, line, market

In a world every user of the holdout is asked for what is sold in her market and readable; a user's languages are those
stated, else those of her history. In the shops each user's newest item is held out, and candidates are the items of
her shop without her own; neighbours are those of the default config, as the night's tasks compute them.
"""

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from rich.console import Console
from rich.table import Table

from xlrec import encoders
from xlrec.config import CovisitationConfig, EmbedConfig, FactorsConfig, PrepareConfig
from xlrec.kernels import covisits
from xlrec.kernels.csr import indptr_of
from xlrec.kernels.factorisation import fold_in
from xlrec.kernels.item_weights import Counts, item_weights
from xlrec.kernels.visits import visits
from xlrec.recommenders.covisitation import mixture_of, rules_of
from xlrec.training.recommender import learn, preferences_of
from xlrec.training.recommender.logs import Items, Logs
from xlrec.training.recommender.scoring import served

K = 10
RECENT = 0.9  # weight of a history item beside the one after it
Array = np.ndarray[Any, Any]


def gains(ranks: Array) -> Array:
    return np.where(ranks < K, 1 / np.log2(ranks + 2.0), 0.0)


def world(folder: Path, table: Table) -> None:
    catalog, log, told = (pd.read_parquet(folder / "input" / name) for name in ("catalog", "interactions", "users"))
    meta, truth = json.loads((folder / "truth/meta.json").read_text()), pd.read_parquet(folder / "truth/holdout")
    items, users = np.unique(catalog.item_id), np.unique(log.user_id)
    rows, nums = np.searchsorted(users, log.user_id), np.searchsorted(items, log.item_id)
    now = pd.Timestamp(meta["as_of"])
    said = (catalog.title + ". " + catalog.description.fillna("")).str.removesuffix(". ")
    each = np.asarray(encoders.load(EmbedConfig()).encode(list(said)), dtype=np.float64)
    texts = np.zeros((len(items), each.shape[1]))
    np.add.at(texts, np.searchsorted(items, catalog.item_id), each)
    texts /= np.maximum(np.linalg.norm(texts, axis=1, keepdims=True), 1e-12)
    weights = log.event.map(PrepareConfig().event_weights).to_numpy()
    recent = sp.csr_matrix(
        (weights * 0.5 ** ((now - log.timestamp) / pd.Timedelta("30D")), (rows, nums)), (len(users), len(items))
    )
    first = catalog.drop_duplicates("item_id").set_index("item_id").loc[items]
    markets = tuple(np.unique(log.market))
    sold = np.stack([first.markets.map(lambda some, m=m: m in some).to_numpy() for m in markets])
    alive = first.available_until.isna() | (first.available_until > now)
    micros = log.timestamp.astype("int64").to_numpy() // 1000
    order = np.lexsort((micros, rows))
    events = [column[order] for column in (rows, nums, micros, weights, np.searchsorted(markets, log.market))]
    indptr = np.searchsorted(events[0], np.arange(len(users) + 1)).astype(np.int64)
    logs = Logs(
        visits(indptr, events[2], events[1].astype(np.int32), events[3]), events[4][indptr[:-1]].astype(np.int32),
        np.zeros((len(users), 0), np.float32), *events,
    )  # fmt: skip
    begun = first.available_from.astype("datetime64[us, UTC]").astype("int64").where(first.available_from.notna())
    met = pd.Series(micros).groupby(nums).min().reindex(range(len(items)))
    here = Items(
        texts.astype(np.float32), np.zeros((len(items), 0), np.float32), sold, np.fmin(begun.to_numpy(float), met)
    )
    began, ids = perf_counter(), pa.array(items.tolist())
    model = learn(logs, here, FactorsConfig(), markets=markets, item_ids=ids, facts={}, seed=0)
    seconds, what = perf_counter() - began, served(model, ids, here)
    own = preferences_of(logs)
    asked = fold_in(own, what.inputs[own.nums]).queries
    languages = [
        set(some) for some in pd.read_parquet(folder / "truth/items").set_index("item_id").languages.loc[items]
    ]
    stated = dict(zip(told.user_id, told.languages, strict=True))
    market_of = dict(zip(told.user_id, told.market, strict=True))
    cold = ~np.isin(items, log.item_id.unique())
    found: dict[str, list[list[float]]] = {"texts": [[], [], []], "factors": [[], [], []]}
    for user, wanted in truth.groupby("user_id").item_id:
        row = int(np.searchsorted(users, user))
        seen, market = own.nums[own.indptr[row] : own.indptr[row + 1]], market_of[user]
        reads = set().union(*(languages[i] for i in seen)) if stated[user] is None else set(stated[user])
        allowed = sold[markets.index(market)] & alive.to_numpy() & np.array([bool(one & reads) for one in languages])
        allowed[seen] = False
        chosen = np.searchsorted(items, wanted.unique())
        profile = (recent[row] @ texts).ravel()
        for name, scores in (("texts", texts @ profile), ("factors", what.outputs @ asked[row])):
            order = np.argsort(-np.where(allowed, scores, -np.inf), kind="stable")[:K]
            for at, right in enumerate((chosen, chosen, chosen[cold[chosen]])):
                if len(right) and (at == 2 or (at == 0) == (market in meta["targets"])):
                    ideal = gains(np.arange(min(K, len(right)))).sum()
                    found[name][at].append(gains(np.flatnonzero(np.isin(order, right))).sum() / ideal)
    table.add_row("seconds to learn", f"{seconds:.1f}")
    for name, parts in found.items():
        cells = [
            f"{label} {np.mean(part):.4f}" for label, part in zip(("targets", "others", "cold"), parts, strict=True)
        ]
        table.add_row(name, " · ".join(cells))


def logs_of(known: Any, markets: list[str]) -> covisits.Logs:
    known = known.sort_values("user", kind="stable")
    each = known.groupby("user")
    days = pd.to_datetime(known.date).to_numpy().astype("datetime64[us]").astype(np.int64)
    homes = np.searchsorted(markets, each.market.first()).astype(np.int32)
    return covisits.Logs(indptr_of(each.size().to_numpy()), known.item.to_numpy(np.int32), days, homes)


def shops(file: Path, table: Table) -> None:
    log = pd.read_parquet(file).sort_values(["date", "line"], kind="stable").drop_duplicates(["user_id", "item_id"])
    log["user"], log["item"] = pd.factorize(log.user_id)[0], pd.factorize(log.item_id)[0]
    place = log.groupby("user").cumcount(ascending=False)
    held = (place == 0) & (log.groupby("user").user.transform("size") >= 3)
    known, asked = log[~held], log[held]
    shape = (log.user.max() + 1, log.item.max() + 1)
    age = known.groupby("user").cumcount(ascending=False)
    histories = sp.csr_matrix((RECENT**age, (known.user, known.item)), shape)
    markets, config = sorted(log.market.unique()), CovisitationConfig()
    for_sale = np.zeros((shape[1], len(markets)), dtype=np.bool_)
    for place, market in enumerate(markets):
        for_sale[log.item[log.market == market], place] = True
    began = perf_counter()
    counts = Counts.of([covisits.pairs_of_block(logs_of(known, markets), 0, 1, len(markets), rules_of(config))])
    near = item_weights(counts, np.arange(shape[1], dtype=np.int32), for_sale, mixture_of(config))
    table.add_row("seconds to learn, compiled within them", f"{perf_counter() - began:.1f}")
    kept = pd.DataFrame(near._asdict()).sort_values(["market", "history", "score", "item"], ascending=[1, 1, 0, 1])
    kept = kept[kept.groupby(["market", "history"]).cumcount() < config.neighbours]
    for place, market in enumerate(markets):
        wanted, mine = asked[asked.market == market], kept[kept.market == place]
        weights = sp.csr_matrix((mine.score, (mine.history, mine.item)), (shape[1], shape[1]))
        sold = np.flatnonzero(for_sale[:, place])
        scores = np.where(
            histories[wanted.user][:, sold].toarray() > 0,
            -np.inf,
            (histories[wanted.user] @ weights[:, sold]).toarray(),
        )
        right = np.searchsorted(sold, wanted.item)
        own = scores[np.arange(len(right)), right][:, None]
        ranks = (scores > own).sum(1) + ((scores == own) & (np.arange(len(sold)) < right[:, None])).sum(1)
        table.add_row(str(market), f"{gains(ranks).mean():.4f} of {len(right):,} users")


if __name__ == "__main__":
    shown = Table(title=f"{sys.argv[1]}: NDCG@{K}")
    shown.add_column("what")
    shown.add_column("found")
    {"world": world, "shops": shops}[sys.argv[1]](Path(sys.argv[2]), shown)
    Console(width=120).print(shown)
