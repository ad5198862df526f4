"""The approximate first pass beside the exact one: time a user, recall and building, from small to very many items.

python tests/bench/approximate.py --json .cache/bench/approximate.json     # shorter: --items 200000 --users 512

Three worlds. `texts`: the shipped encoder's vectors (240 numbers) of the demo's product names in twelve languages.
`mixture`: 256 numbers, Gaussians of decaying spectrum around centres around topics. `learnt`: 64 of these, popularity
in nine markets and twelve languages, scaled as a model of the demo has them. A user is a history near two anchors; nine
markets sell half of the items each, 20 are seen. The recall is of exact lists of 200 candidates; CPU time, one thread.
"""

# ruff: noqa: E402  # threads are set before numpy and torch come in
import argparse
import sys
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from kernel import mask_of, prepared
from measure import Row, machine, minima, one_thread, report

one_thread()

import numpy as np
import torch

from xlrec.index.ivf import require_faiss
from xlrec.kernels.search.ivf_lists import assign_lists, coordinate_scales, default_list_count, invert_lists
from xlrec.kernels.search.ivf_search import IvfSearch
from xlrec.kernels.search.probing import overlaps
from xlrec.kernels.search.topk import Mask, top_k

K, SHORT, N_MARKETS, N_LANGUAGES, N_SEEN = 200, 50, 9, 12, 20
BAR = 0.95
PARTS = (512, 256, 128, 64, 32, 16, 8, 4)  # of the lists


class World(NamedTuple):
    """Items and who asks."""

    items: Any  # (n, dim) float32
    queries: Any  # (n_users, dim) float64
    mask: Mask


def unit(rows: Any) -> Any:
    """The rows, of norm 1 where they are not zero."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def texts(n: int) -> Any:
    """(n, 240) the shipped encoder's vectors of product names of the demo world."""
    from xlrec import encoders
    from xlrec.config.models import EmbedConfig
    from xlrec.datasets.demo.catalogue import catalogue_rows
    from xlrec.datasets.demo.world import World as Demo

    encoder, demo = encoders.load(EmbedConfig(), device="cpu"), Demo(seed=0, users=1, items=n // 2 + 1000)
    found, first = [], 0
    while sum(map(len, found)) < n:
        titles = catalogue_rows(demo, first, first + 1000)[0]["title"].to_pylist()
        found.append(encoder.encode([title or "" for title in titles]).astype(np.float32))
        first += 1000
    return unit(np.random.default_rng(0).permutation(np.concatenate(found)[:n]))


def mixture(rng: np.random.Generator, n: int, dim: int) -> Any:
    """(n, dim) unit vectors around n/50 centres, which lie around 200 of their own; the spectrum decays."""
    spectrum = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)

    def around(centres: Any, size: int, spread: float) -> Any:
        near = unit(rng.standard_normal((size, dim), dtype=np.float32) * spectrum)
        return unit(centres[rng.integers(0, len(centres), size)] + spread * near)

    topics = unit(rng.standard_normal((200, dim), dtype=np.float32) * spectrum)
    return around(around(topics, max(200, n // 50), 0.8), n, 0.6).astype(np.float32)


def interests(rng: np.random.Generator, items: Any, n_users: int) -> Any:
    """(n_users, dim) unit profiles of six items each, the nearest to two anchors among 4,000 drawn."""
    found = np.empty((n_users, items.shape[1]))
    for user in range(n_users):
        pool = items[rng.integers(0, len(items), 4000)]
        near = np.argsort(-(pool[:2] @ pool.T), axis=1)[:, :3].ravel()
        found[user] = (pool[near] * (0.9 ** np.arange(6))[:, None]).sum(axis=0)
    return unit(found)


def world(name: str, n_items: int, n_users: int) -> World:
    """One of the three."""
    rng = np.random.default_rng(0)
    mask = mask_of(rng, n_users, n_items, N_MARKETS, N_SEEN)
    if name == "texts":
        items = texts(n_items)
        return World(items, interests(rng, items, n_users), mask)
    base = mixture(rng, n_items, 256 if name == "mixture" else 64)
    queries = interests(rng, base, n_users)
    if name == "mixture":
        return World(base, queries, mask)
    well_known = rng.standard_normal((n_items, 1))
    popular = 0.75 + 0.45 * well_known + 0.2 * rng.standard_normal((n_items, N_MARKETS))
    speaks = rng.random((n_items, N_LANGUAGES)) < 0.15
    items = np.concatenate([0.9 * base, popular, speaks], axis=1).astype(np.float32)
    reads = np.eye(N_LANGUAGES)[rng.integers(0, N_LANGUAGES, (n_users, 2))].mean(axis=1)
    scale = rng.choice([10.0, 13.0, 19.0, 22.0], (n_users, 1))
    return World(items, np.concatenate([scale * queries, np.eye(N_MARKETS)[mask.group], 2.2 * reads], axis=1), mask)


def compared(name: str, one: World, rounds: int) -> tuple[list[Row], dict[str, Any]]:
    """Ratios of time and the recall at every number of lists, and from how many users a night the building pays."""
    n_items, n_users = len(one.items), len(one.queries)
    items = prepared(one.items)
    exact = top_k(one.queries, items, K, one.mask, zero_vectors=False)[0]
    scales, n_lists = coordinate_scales(one.queries), default_list_count(n_items)
    began = process_time()
    owners = assign_lists(items.shards, items.norms, scales, n_lists=n_lists, seed=0)
    lists = invert_lists(items.shards, owners, scales)
    building = process_time() - began
    ways = {max(1, n_lists // part): None for part in PARTS}
    searches = {n: IvfSearch(lists, items, scales, np.full(N_MARKETS, n)) for n in ways}
    runs: dict[Any, Any] = {
        n: lambda search=search: search.top_k(one.queries, K, one.mask, zero_vectors=False)
        for n, search in searches.items()
    }
    runs["exact"] = lambda: top_k(one.queries, items, K, one.mask, zero_vectors=False)
    least = minima(runs, rounds, clock=process_time)
    what, against = f"{name}, {n_items:,} × {items.dim}", f"exact ({items.path.name})"
    rows, good = [], [0.0]
    for n, search in searches.items():
        found = search.top_k(one.queries, K, one.mask, zero_vectors=False)[0]
        recall, first = float(overlaps(found, exact).mean()), float(overlaps(found, exact[:, :SHORT]).mean())
        short = 1 - float((search.search_lists(one.queries, K, one.mask)[0][:, -1] >= 0).mean())
        label = f"{what}: {n} of {n_lists} lists, recall@{K} {recall:.3f}, @{SHORT} {first:.3f}, {short:.0%} exactly"
        rows.append(Row(label, against, least["exact"] / least[n]))
        if recall >= BAR:
            good.append(least["exact"] - least[n])
    each = 1e3 * least["exact"] / n_users
    pays = f"{n_users * building / max(good):,.0f} users" if max(good) > 0 else "no number of users"
    facts = {"exact, ms a user": round(each, 3), "building, s": round(building, 1), f"pays at recall {BAR} from": pays}
    return rows, facts


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--worlds", nargs="+", default=["texts", "mixture", "learnt"])
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    require_faiss()
    facts: dict[str, Any] = {"machine": machine()}
    rows: list[Row] = []
    for name in args.worlds:
        for n_items in args.items:
            here, facts[f"{name}, {n_items}"] = compared(name, world(name, n_items, args.users), args.rounds)
            rows += here
    facts["load after"] = machine()["load"]
    report(f"Approximate first pass, {args.users:,} users, k = {K}, one thread", rows, facts, args.json)


if __name__ == "__main__":
    main()
