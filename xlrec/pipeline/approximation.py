"""The approximate first pass of a run: lists over the items, and its recall on the run's users, market by market."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.index import ivf
from xlrec.index.items import ItemIndex
from xlrec.index.search import Search, Searched
from xlrec.kernels.search.approximate import n_lists_for, scales_of
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.probing import Probes, Sample, probes_for
from xlrec.kernels.search.topk import Items, top_k
from xlrec.pipeline.run import Run
from xlrec.stages.retrieve import Retriever, with_logs
from xlrec.tables import EVENTS, USERS

#: Part of the lists that a user looks at to begin with, where `n_probe` does not say.
_FIRST: Final = 128


def lay(run: Run, index: str) -> None:
    """Writes lists beside the index where `retrieve.search` is ann, and counts what they find of the sample.

    Counts `ann.users`, who have a query; `ann.wanted` and `ann.found`, the candidates of their exact lists and those
    that the night's search finds too; `ann.wanted_k` and `ann.found_k`, the same of the first k; `ann.markets` and, of
    these, `ann.exact_markets`, which would not reach `min_recall` by a quarter of the lists and are searched exactly.

    Raises:
        MachineError: faiss is missing.
    """
    there = ItemIndex.open(index)
    ivf.discard(there)
    if run.config.retrieve.search != "ann":
        return
    ivf.require()
    totals, markets, n_users = np.zeros((2, 2), dtype=np.int64), [], 0
    for side, sample in _samples(run, there):
        n_users += len(sample.exact)
        probes = _laid(there, side, sample, run.config)
        totals += [probes.wanted.sum(axis=0), probes.found.sum(axis=0)]
        markets += probes.n_probes[probes.wanted[:, 0] > 0].tolist()
    (wanted, wanted_k), (found, found_k) = totals.tolist()
    counts = {
        "ann.users": n_users, "ann.wanted": wanted, "ann.found": found, "ann.wanted_k": wanted_k,
        "ann.found_k": found_k, "ann.markets": len(markets), "ann.exact_markets": markets.count(0),
    }  # fmt: skip
    ivf.finish(there, counts)
    run.counts.update(counts)


def told(counts: Mapping[str, int], config: Config) -> str:
    """One line of what `lay` counted; nothing where the search is exact."""
    if not counts.get("ann.wanted"):
        return "no user to measure the approximate search on: all exact" if "ann.users" in counts else ""
    shares = [counts[f"ann.found{at}"] / max(1, counts[f"ann.wanted{at}"]) for at in ("", "_k")]
    line = (
        f"approximate search, recall@{config.retrieve.candidates} {shares[0]:.3f} and @{config.k} {shares[1]:.3f} "
        f"on {counts['ann.users']:,} users"
    )
    n_exact, n_markets = counts["ann.exact_markets"], counts["ann.markets"]
    return f"{line}; {n_exact} of {n_markets} markets exactly, lists do not pay there" if n_exact else line


def check(index: str, config: Config) -> None:
    """Refuses to search approximately where nothing was measured.

    Raises:
        LakeError: `retrieve.search` is ann, and the index was made without.
    """
    if config.retrieve.search == "ann" and not ivf.laid(ItemIndex.open(index)):
        raise LakeError(
            f"retrieve.search is ann, and index {index} was made without: run `xlrec train` with this config, or set "
            "retrieve.search to exact"
        )


def sampled(users: DataFrame, seed: int, n_users: int) -> DataFrame:
    """`USERS`, n_users at most, as many of each market as there are, drawn by the hash of (seed, user_id)."""
    drawn = F.xxhash64(F.lit(seed), "user_id")
    place = F.row_number().over(Window.partitionBy("market").orderBy(drawn, "user_id"))
    ranked = users.withColumn("place", place).where(F.col("place") <= n_users)
    return ranked.orderBy("place", drawn, "user_id").limit(n_users).drop("place")


def _users(run: Run) -> pa.Table:
    """The sample's users and their logs."""
    drawn = sampled(run.lake.read(USERS), run.config.seed, run.config.retrieve.ann.sample_users).persist()
    events = run.lake.read(EVENTS).join(F.broadcast(drawn.select("user_id")), "user_id", "left_semi")
    users = with_logs(drawn, events).toArrow().sort_by("user_id")
    drawn.unpersist()
    return users


def _samples(run: Run, index: ItemIndex) -> list[tuple[Searched, Sample]]:
    """The sample's users by what they are searched in, with their exact lists."""
    config, found, users = run.config, [], _users(run)

    def search(
        queries: NDArray[np.float64], items: Items, k: int, mask: Mask, **how: Any
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        ids, scores = top_k(queries, items, k, mask, **how)
        found.append((items, Sample(queries, mask, ids)))
        return ids, scores

    retriever = Retriever(index, config, Search(index, config.retrieve, engine=search))
    if users.num_rows:
        retriever.rows(users)
    sides = {id(side.items): side for side in retriever.searched}
    return [(sides[id(items)], sample) for items, sample in found]


def _laid(index: ItemIndex, side: Searched, sample: Sample, config: Config) -> Probes:
    """The lists of one model, written with what its markets must look at; none where no item can rank."""
    ann, items, scales = config.retrieve.ann, side.items, scales_of(sample.queries)
    n_ranking = int((np.isfinite(items.norms) & (items.norms > 0)).sum())
    if not n_ranking:
        nothing = np.zeros((len(index.markets), 2), dtype=np.int64)
        return Probes(nothing[:, 0], nothing, nothing)
    n_lists = min(ann.n_lists or n_lists_for(n_ranking), n_ranking)
    lists = ivf.lay(index, side.learnt, items, scales, n_lists=n_lists, seed=config.seed)
    first = ann.n_probe or max(1, n_lists // _FIRST)
    probes = probes_for(lists, scales, sample, items, k=config.k, min_recall=ann.min_recall, first=first)
    ivf.tell(index, side.learnt, scales, probes)
    return probes
