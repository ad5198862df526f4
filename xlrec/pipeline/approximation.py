"""The approximate search of a run: inverted lists of the items, and the recall on a sample of users by market."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.index import ivf
from xlrec.index.items import ItemIndex
from xlrec.index.search import IndexSearch, VectorSpace
from xlrec.kernels.search.engine import TopK
from xlrec.kernels.search.ivf_lists import coordinate_scales, default_list_count
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.probing import Probes, Sample, probes_for
from xlrec.pipeline.run import Run
from xlrec.stages.retrieve import Retriever, with_logs
from xlrec.tables import EVENTS, USERS

#: Part of the lists that a user scans to begin with, where `n_probe` is not set.
_FIRST: Final = 128


def write_lists(run: Run, index: str) -> None:
    """Writes inverted lists beside the index where `retrieve.search` is ann, and counts their recall on the sample.

    `ann.users`: users with a query. `ann.wanted` and `ann.found`: candidates of their exact lists, and those of them
    that the night's search finds. `ann.wanted_k` and `ann.found_k`: the same of the first k. `ann.markets`: markets
    with users. `ann.exact_markets`: those that miss `min_recall` with a quarter of the lists, searched exactly.

    Raises:
        MachineError: faiss is missing.
    """
    opened = ItemIndex.open_folder(index)
    ivf.discard_lists(opened)
    if run.config.retrieve.search != "ann":
        return
    ivf.require_faiss()
    totals, markets, n_users = np.zeros((2, 2), dtype=np.int64), [], 0
    for space, sample in _samples(run, opened):
        n_users += len(sample.exact)
        probes = _write_lists(opened, space, sample, run.config)
        totals += [probes.wanted.sum(axis=0), probes.found.sum(axis=0)]
        markets += probes.n_probes[probes.wanted[:, 0] > 0].tolist()
    (wanted, wanted_k), (found, found_k) = totals.tolist()
    counts = {
        "ann.users": n_users, "ann.wanted": wanted, "ann.found": found, "ann.wanted_k": wanted_k,
        "ann.found_k": found_k, "ann.markets": len(markets), "ann.exact_markets": markets.count(0),
    }  # fmt: skip
    ivf.finish_lists(opened, counts)
    run.counts.update(counts)


def recall_line(counts: Mapping[str, int], config: Config) -> str:
    """Recall of the approximate search in one line; nothing where the search is exact."""
    if not counts.get("ann.wanted"):
        return "no user to measure the approximate search on: all exact" if "ann.users" in counts else ""
    shares = [counts[f"ann.found{at}"] / max(1, counts[f"ann.wanted{at}"]) for at in ("", "_k")]
    line = (
        f"approximate search, recall@{config.retrieve.candidates} {shares[0]:.3f} and @{config.k} {shares[1]:.3f} "
        f"on {counts['ann.users']:,} users"
    )
    n_exact, n_markets = counts["ann.exact_markets"], counts["ann.markets"]
    return f"{line}; {n_exact} of {n_markets} markets exactly, lists do not pay there" if n_exact else line


def require_lists(index: str, config: Config) -> None:
    """Refuses to search approximately where nothing was measured.

    Raises:
        LakeError: `retrieve.search` is ann, and the index was made without.
    """
    if config.retrieve.search == "ann" and not ivf.has_lists(ItemIndex.open_folder(index)):
        raise LakeError(
            f"retrieve.search is ann, and index {index} was made without: run `xlrec train` with this config, or set "
            "retrieve.search to exact"
        )


def sample_users(users: DataFrame, seed: int, n_users: int) -> DataFrame:
    """`USERS`, n_users at most, as many of each market as there are, drawn by the hash of (seed, user_id)."""
    drawn = F.xxhash64(F.lit(seed), "user_id")
    place = F.row_number().over(Window.partitionBy("market").orderBy(drawn, "user_id"))
    ranked = users.withColumn("place", place).where(F.col("place") <= n_users)
    return ranked.orderBy("place", drawn, "user_id").limit(n_users).drop("place")


def _users(run: Run) -> pa.Table:
    """The sample's users and their logs."""
    drawn = sample_users(run.lake.read_table(USERS), run.config.seed, run.config.retrieve.ann.sample_users).persist()
    events = run.lake.read_table(EVENTS).join(F.broadcast(drawn.select("user_id")), "user_id", "left_semi")
    users = with_logs(drawn, events).toArrow().sort_by("user_id")
    drawn.unpersist()
    return users


class _Sampler(IndexSearch):
    """The exact search, which keeps the queries of its users and their lists by vector space."""

    def __init__(self, index: ItemIndex, config: Config) -> None:
        retrieve = config.retrieve.model_copy(update={"search": "exact"})
        super().__init__(index, config.model_copy(update={"retrieve": retrieve}))
        self.samples: list[tuple[VectorSpace, Sample]] = []

    def best_items(self, queries: NDArray[np.float64], mask: Mask, space_num: int) -> TopK:
        """(n_users, candidates) int32 item_nums and float64 scores of (n_users, dim) float64 queries; keeps them."""
        ids, scores = super().best_items(queries, mask, space_num)
        users = np.flatnonzero(np.isfinite(queries).all(axis=1))
        if len(users):
            self.samples.append((self.spaces[space_num], Sample(queries[users], mask.of_users(users), ids[users])))
        return ids, scores


def _samples(run: Run, index: ItemIndex) -> list[tuple[VectorSpace, Sample]]:
    """The sample's users with a query by vector space, and their exact lists."""
    search, users = _Sampler(index, run.config), _users(run)
    if users.num_rows:
        Retriever(index, run.config, search).candidates_of(users)
    return search.samples


def _write_lists(index: ItemIndex, space: VectorSpace, sample: Sample, config: Config) -> Probes:
    """The probes of each market, written beside the lists of one space; no lists where no item can rank."""
    ann, items, scales = config.retrieve.ann, space.items, coordinate_scales(sample.queries)
    n_ranking = int((np.isfinite(items.norms) & (items.norms > 0)).sum())
    if not n_ranking:
        nothing = np.zeros((len(index.markets), 2), dtype=np.int64)
        return Probes(nothing[:, 0], nothing, nothing)
    n_lists = min(ann.n_lists or default_list_count(n_ranking), n_ranking)
    lists = ivf.write_lists(index, space.learnt, items, scales, n_lists=n_lists, seed=config.seed)
    first = ann.n_probe or max(1, n_lists // _FIRST)
    probes = probes_for(lists, scales, sample, items, k=config.k, min_recall=ann.min_recall, first=first)
    ivf.write_probes(index, space.learnt, scales, probes)
    return probes
