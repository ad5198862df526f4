"""The exact top-k beside the bare product, faiss, torch.topk and implicit: ratios of interleaved runs on one thread.

python tests/bench/kernel.py --json .cache/bench/kernel.json     # part of make bench
python tests/bench/kernel.py --dims                              # pairs that a core-hour scores, by numbers in a vector
"""

# ruff: noqa: E402  # threads are set before numpy and torch come in
import argparse
import resource
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from measure import Row, machine, minima, one_thread, report

one_thread()

import numpy as np
import torch

from xlrec.kernels.search.topk import Items, Mask, prepare_items, top_k
from xlrec.runtime.first_pass import first_pass_for, paths_by_speed, supported_paths
from xlrec.runtime.machine import cpu_flags

DIM, K, TILE = 384, 100, 2048


def unit(rng: np.random.Generator, n: int, dim: int) -> Any:
    """(n, dim) float32 Gaussian directions."""
    rows = rng.standard_normal((n, dim), dtype=np.float32)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


def learnt(rng: np.random.Generator, n: int, dim: int, base: Any) -> Any:
    """(n, dim) float32 as learnt vectors are: few directions carry most, and norms are spread."""
    rows = rng.standard_normal((n, len(base)), dtype=np.float32) @ base + 0.1 * unit(rng, n, dim)
    rows *= rng.lognormal(0, 0.3, (n, 1)).astype(np.float32) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def mask_of(rng: np.random.Generator, n_users: int, n_items: int, n_markets: int, n_seen: int) -> Mask:
    """Markets that sell half of the items each (one: all), and as many seen items for every user."""
    seen = [np.sort(rng.choice(n_items, n_seen, replace=False)) for _ in range(n_users)]
    eligible = rng.random((n_markets, n_items)) < (0.5 if n_markets > 1 else 1.0)
    return Mask(
        eligible if n_markets > 1 else np.ones((1, n_items), np.bool_),
        rng.integers(0, n_markets, n_users).astype(np.int32),
        np.arange(n_users + 1, dtype=np.int64) * n_seen,
        np.concatenate(seen).astype(np.int32) if n_seen else np.zeros(0, np.int32),
        np.ones((n_items, 1), np.uint64),
        np.zeros((n_users, 1), np.uint64),
        np.zeros(n_users, np.bool_),
    )


def prepared(items: Any) -> Items:
    """Items ready for the first pass that is fastest here."""
    return prepare_items([(0, items)], path=first_pass_for([(0, items)]))


def bare(queries: Any, items: Any) -> None:
    """The float32 product alone, by tiles that stay in the cache: faster than one of all items."""
    left, right = torch.from_numpy(queries), torch.from_numpy(items)
    out = torch.empty(len(queries) * TILE)
    for start in range(0, len(items), TILE):
        tile = right[start : start + TILE]
        torch.mm(left, tile.T, out=out[: len(left) * len(tile)].view(len(left), len(tile)))


def against_product(queries: Any, items: Any, label: str, rounds: int) -> list[Row]:
    """256 users: every path this machine has, and the chosen one, against the bare product."""
    mask = mask_of(np.random.default_rng(1), len(queries), len(items), 1, 0)
    ready = {name: prepare_items([(0, items)], path=name) for name in supported_paths(cpu_flags())}
    chosen = first_pass_for([(0, items)])
    runs: dict[str, Any] = {"bare": lambda: bare(queries, items)}
    for name, one in ready.items():
        runs[name] = lambda one=one: top_k(queries, one, K, mask)
    least = minima(runs, rounds)
    what, against = f"{len(queries)} users, {label}", "bare float32 product"
    rows = [
        Row(f"{what}, chosen path {chosen}", against, least["bare"] / least[chosen], 1.5 if len(ready) > 1 else 0.85)
    ]
    rows += [
        Row(f"{what}, {name}", against, least["bare"] / least[name], 0.85 if name == "float32" else 0) for name in ready
    ]
    return rows


def against_peers(queries: Any, items: Any, rounds: int) -> list[Row]:
    """1,024 users: faiss, product + top-k, masks, implicit."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIM)
    index.add(items)
    rng = np.random.default_rng(2)
    mask, markets = (mask_of(rng, len(queries), len(items), *sizes) for sizes in ((1, 0), (8, 50)))
    chosen, plain = prepared(items), prepare_items([(0, items)])
    left, right = torch.from_numpy(queries), torch.from_numpy(items)
    least = minima(
        {
            "ours": lambda: top_k(queries, chosen, K, mask),
            "float32": lambda: top_k(queries, plain, K, mask),
            "once": lambda: top_k(queries, prepared(items), K, mask),
            "masked": lambda: top_k(queries, chosen, K, markets),
            "faiss": lambda: index.search(queries, K),
            "torch": lambda: torch.topk(torch.mm(left, right.T), K),
            "implicit": liked(queries, items, markets),
        },
        rounds,
    )
    same = float((np.sort(index.search(queries, K)[1]) == np.sort(top_k(queries, chosen, K, mask)[0])).mean())
    what = f"{len(queries):,} users"
    return [
        Row(f"{what}, {chosen.path.name}", "faiss IndexFlatIP", least["faiss"] / least["ours"], 1.15),
        Row(f"{what}, float32", "faiss IndexFlatIP", least["faiss"] / least["float32"], 1.15),
        Row(f"{what}, ids", "faiss, share that are the same", same, 0.9999),
        Row(f"{what}, {chosen.path.name}", "torch.mm + torch.topk", least["torch"] / least["ours"], 2),
        Row(f"{what}, float32", "torch.mm + torch.topk", least["torch"] / least["float32"], 2),
        Row(f"{what}, items not prepared", "torch.mm + torch.topk", least["torch"] / least["once"], 2),
        Row(f"{what}, 8 markets, 50 seen", "the same without masks", least["ours"] / least["masked"], 0.9),
        Row(f"{what}, 8 markets, 50 seen", "implicit recommend, 50 seen", least["implicit"] / least["masked"], 2),
    ]


def liked(queries: Any, items: Any, mask: Mask) -> Any:
    """A run of implicit's recommend on the same factors, without what a user has seen."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    model = AlternatingLeastSquares(factors=DIM, num_threads=1)
    model.user_factors, model.item_factors = queries, items
    shape, ones = (len(queries), len(items)), np.ones(len(mask.seen_nums), np.float32)
    seen = csr_matrix((ones, mask.seen_nums, mask.seen_indptr), shape=shape)
    return lambda: model.recommend(np.arange(len(queries)), seen, N=K, filter_already_liked_items=True)


def peak(n_users: int, n_items: int) -> None:
    """Prints by how many bytes the process grows over its imports for items, queries and a search."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = np.random.default_rng(0)
    items, queries = unit(rng, n_items, DIM), unit(rng, n_users, DIM)
    ready = prepared(items)
    top_k(queries, ready, K, mask_of(rng, n_users, n_items, 1, 0))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)  # noqa: T201


def memory(n_users: int, n_items: int) -> Row:
    """Peak memory of a search in a process of its own."""
    command = [sys.executable, __file__, "--peak", "--users", str(n_users), "--items", str(n_items)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    allowed = n_items * DIM * 4 + 2 * n_users * TILE * 4 + 300e6
    return Row(f"{n_users:,} users, peak memory", "items + 2 tiles + 300 MB", grown / 1e6, allowed / 1e6, "MB", True)


def by_dim(n_users: int) -> list[Row]:
    """What a core-hour scores, by CPU time: 200 of 200,000 items a user, no masks, for vectors of some lengths."""
    rng, n_items, rows = np.random.default_rng(0), 200_000, []
    mask = mask_of(rng, n_users, n_items, 1, 0)
    for dim in (64, 88, 128, 240, 256, 512):
        ready, queries = prepared(unit(rng, n_items, dim)), unit(rng, n_users, dim)
        runs = {"search": lambda queries=queries, ready=ready: top_k(queries, ready, 200, mask)}
        hours = minima(runs, 2, clock=process_time)["search"] / 3600
        rows.append(Row(f"{dim} numbers, {ready.path.name}", "", n_users * n_items / hours / 1e9, 0, "10⁹ pairs"))
    return rows


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=262_144)
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", action="store_true", help="only the memory of one search")
    parser.add_argument("--dims", action="store_true", help="only what a core-hour scores")
    args = parser.parse_args()
    if args.peak:
        peak(args.users, args.items)
        return
    torch.set_num_threads(1)
    if args.dims:
        report("Pairs a core-hour scores", by_dim(args.users), {"machine": machine()}, args.json)
        return
    facts: dict[str, Any] = {"machine": machine(), "paths, fastest first": list(paths_by_speed(DIM))}
    rows = [memory(args.users, args.items)]
    rng = np.random.default_rng(0)
    items, queries = unit(rng, args.items, DIM), unit(rng, args.users, DIM)
    rows += against_product(queries[:256], items, "plain", args.rounds)
    rows += against_peers(queries, items, args.rounds)
    base = unit(rng, 32, DIM)
    rows += against_product(learnt(rng, 256, DIM, base), learnt(rng, args.items, DIM, base), "like learnt", args.rounds)
    facts["load after"] = machine()["load"]
    report(f"{args.items:,} items × {DIM}, k = {K}, one thread", rows, facts, args.json)


if __name__ == "__main__":
    main()
