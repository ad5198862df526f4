"""Plain weighted fusion beside a LightGBM lambdarank over the same candidates.

    xlrec evaluate --config conf/demo.yaml --set evaluate.inner=true --set lake=.cache/inner
    xlrec evaluate --config conf/demo.yaml
    python tests/bench/rankers.py .cache/inner .cache/demo/lake --config conf/demo.yaml

The rankers learn from the candidates of the inner split (the first lake) and are scored on those of the outer one (the
second): NDCG@10 of the candidates' order, before diversity and languages, with the paired difference to the fusion.
"""

import argparse
import sys
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray
from quality import interval
from rich.console import Console
from rich.table import Table

from xlrec.config import Config
from xlrec.index import ItemIndex
from xlrec.kernels import metrics
from xlrec.kernels.bootstrap import poisson_weights
from xlrec.kernels.fusion import fuse, odds
from xlrec.settings import load
from xlrec.stages.retrieve import Retriever

K = 10
LOG = pa.list_(pa.struct([("micros", pa.int64()), ("item_num", pa.int32()), ("weight", pa.float64())]))
#: (leaves, trees, learning rate) of the lambdarank.
SETTINGS = ((4, 100, 0.05), (7, 100, 0.05), (15, 100, 0.05), (15, 300, 0.03))


class Candidates(NamedTuple):
    """Of each user: scores of the three sources, features, hits, and how many items are relevant."""

    scores: list[NDArray[np.float64]]
    features: list[NDArray[np.float64]]
    hits: list[NDArray[np.bool_]]
    n_relevant: list[int]


def candidates(lake: str, config: Config) -> Candidates:
    """What retrieval gives for the users of an evaluation's holdout."""
    apart = f"{lake}/_evaluation"
    tables = {name: DeltaTable(f"{apart}/{name}").to_pandas() for name in ("events", "holdout", "users")}
    truth = tables["holdout"].groupby("user_id").item_num.apply(set).to_dict()
    users = tables["users"][tables["users"].user_id.isin(truth)].sort_values("user_id")
    index = ItemIndex.open(f"{apart}/_index/own")
    asked = pa.table(
        {
            "user_id": pa.array(users.user_id),
            "market": pa.array(users.market),
            "languages": pa.array([list(row) for row in users.languages], pa.list_(pa.string())),
            "language_weights": pa.array([list(row) for row in users.language_weights], pa.list_(pa.float64())),
            "log": pa.array(logs_of(tables["events"], users.user_id), LOG),
        }
    )
    positive = tables["events"][tables["events"].weight > 0]
    counts = np.bincount(positive.item_num, minlength=index.n_items)
    found = Candidates([], [], [], [])
    for row in Retriever(index, config).rows(asked).to_pylist():
        nums, relevant = np.array(row["item_nums"]), truth[row["user_id"]]
        scores = np.array([row["similar"], row["covisited"], row["popular"]])
        found.scores.append(scores)
        found.features.append(features(row, scores, nums, index, counts))
        found.hits.append(np.array([num in relevant for num in nums]))
        found.n_relevant.append(len(relevant))
    return found


def logs_of(events: pd.DataFrame, names: "pd.Series[str]") -> list[Any]:
    """Each user's events as retrieval takes them."""
    micros = events.timestamp.astype("datetime64[us, UTC]").astype("int64")
    frame = pd.DataFrame(
        {"user": events.user_id, "micros": micros, "item_num": events.item_num, "weight": events.weight}
    )
    by_user = {name: part.drop(columns="user").to_dict("records") for name, part in frame.groupby("user")}
    return [by_user.get(name) for name in names]


def features(
    row: dict[str, Any], scores: NDArray[np.float64], nums: NDArray[np.int64], index: ItemIndex, counts: Any
) -> NDArray[np.float64]:
    """(n, n_features): scores against the best, places, the model's parts, texts, popularity, length of history."""
    similar, covisited, popular = scores
    prior = np.array(row["prior"])
    history = np.array(row["history"], dtype=np.int64)
    texts = index.gather(nums)
    profile = np.array(row["history_weights"]) @ index.gather(history) if len(history) else np.zeros(index.dim)
    newest = index.gather(history[:1])[0] if len(history) else np.zeros(index.dim)
    places = [np.argsort(np.argsort(-one, kind="stable")) for one in scores]
    columns = [
        similar - similar.max(), prior - prior.max(), (similar - prior) - (similar - prior).max(),
        covisited / max(covisited.max(), 1e-12), popular / max(popular.max(), 1e-12), np.log(popular + 1e-9),
        texts @ profile, texts @ newest, *places, np.full(len(nums), len(history)), np.log1p(counts[nums]),
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def fused(found: Candidates, config: Config) -> list[NDArray[np.float64]]:
    """Scores of the fusion."""
    weights = np.array([getattr(config.rank.weights, name) for name in ("similar", "covisited", "popular")])
    scaled = [np.stack([odds(one[0], config.rank.logit_scale), *one[1:]]) for one in found.scores]
    return [fuse(one, weights).scores for one in scaled]


def ndcg(scores: list[NDArray[np.float64]], found: Candidates) -> NDArray[np.float64]:
    """(n_users,) NDCG@10 of the candidates in the order of the scores."""
    width = max(len(hits) for hits in found.hits)
    listed = np.zeros((len(scores), width), dtype=np.bool_)
    for row, (one, hits) in enumerate(zip(scores, found.hits, strict=True)):
        listed[row, : len(hits)] = hits[np.argsort(-one, kind="stable")]
    return metrics.ndcg(listed, np.array(found.n_relevant), K)


def lambdarank(inner: Candidates, outer: Candidates, leaves: int, trees: int, rate: float) -> list[NDArray[np.float64]]:
    """Scores of the outer candidates by a model of the inner ones."""
    import lightgbm

    data = lightgbm.Dataset(
        np.concatenate(inner.features), np.concatenate(inner.hits).astype(int), group=[len(one) for one in inner.hits]
    )
    settings = {
        "objective": "lambdarank", "num_leaves": leaves, "learning_rate": rate, "min_data_in_leaf": 100,
        "feature_fraction": 0.7, "lambdarank_truncation_level": 2 * K, "verbose": -1, "num_threads": 1, "seed": 0,
        "deterministic": True,
    }  # fmt: skip
    model = lightgbm.train(settings, data, trees)
    return [np.asarray(model.predict(one)) for one in outer.features]


def main(arguments: list[str]) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inner", help="lake of the inner evaluation")
    parser.add_argument("outer", help="lake of the outer evaluation")
    parser.add_argument("--config", required=True)
    options = parser.parse_args(arguments)
    config = load(options.config, [], env={})
    inner, outer = candidates(options.inner, config), candidates(options.outer, config)
    systems = {"weighted fusion": ndcg(fused(outer, config), outer)}
    systems["learnt alone"] = ndcg([one[0] for one in outer.scores], outer)
    for leaves, trees, rate in SETTINGS:
        scores = lambdarank(inner, outer, leaves, trees, rate)
        systems[f"lambdarank, {leaves} leaves, {trees} trees"] = ndcg(scores, outer)
    weights = poisson_weights(np.arange(len(outer.hits)), 0, 2000)
    table = Table(title=f"{len(inner.hits):,} users to learn from, {len(outer.hits):,} users scored")
    for name in ("ranker", "NDCG@10", "minus the fusion"):
        table.add_column(name, justify="left" if name == "ranker" else "right")
    for name, values in systems.items():
        mean, low, high = interval(values, weights)
        gain = interval(values - systems["weighted fusion"], weights)
        shown = "" if name == "weighted fusion" else f"{gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]"
        table.add_row(name, f"{mean:.4f} [{low:.4f}, {high:.4f}]", shown)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
