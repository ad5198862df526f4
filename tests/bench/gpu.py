"""On a GPU: the exact top-k beside torch and faiss and beside what memory allows; an encoder beside bfloat16's peak.

python tests/bench/gpu.py --json .cache/bench/gpu.json     # make bench-gpu

The limit of the search is what must be moved at least: the items once over the host's link for every block of users,
and in the device's memory items read and rounded, scores written and read once; each at the speed of a plain copy here.
The encoder has the shape of multilingual-e5-small (12 layers of 384, 12 heads, 1,536 between) and random weights.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from kernel import mask_of, unit
from measure import Row, machine, report

from xlrec.errors import MachineError
from xlrec.kernels.topk_torch import top_k_torch

K, DIM, USER_BLOCK = 100, 384, 4096
LAYERS, WIDTH, HEADS, BETWEEN = 12, 384, 12, 1536


def seconds(run: Callable[[], Any], device: str, rounds: int) -> float:
    """Least wall-clock seconds of a run, with all that it queued on the device; one run before warms up."""
    least = float("inf")
    for turn in range(rounds + 1):
        synchronised(device)
        began = perf_counter()
        run()
        synchronised(device)
        if turn:
            least = min(least, perf_counter() - began)
    return least


def synchronised(device: str) -> None:
    """Waits for the device."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def copying(device: str, n_bytes: int, rounds: int, *, host: bool) -> float:
    """Bytes a second of a copy: host to device, counted once; else within the device, counted read and written."""
    source = torch.empty(n_bytes // 4, dtype=torch.float32, device="cpu" if host else device)
    if host and torch.device(device).type == "cuda":
        source = source.pin_memory()
    target = torch.empty(n_bytes // 4, dtype=torch.float32, device=device)
    spent = seconds(lambda: target.copy_(source, non_blocking=True), device, rounds)
    return source.nbytes * (1 if host else 2) / spent


def peak(device: str, n: int, rounds: int) -> float:
    """Operations a second of a bfloat16 product of two n × n matrices."""
    left, right = (torch.randn(n, n, device=device).to(torch.bfloat16) for _ in range(2))
    return 2 * n**3 / seconds(lambda: torch.mm(left, right), device, rounds)


def limit(n_users: int, n_items: int, dim: int, user_block: int, host: float, inside: float) -> float:
    """Seconds below which no search that copies the items and writes the scores comes.

    Args:
        n_users: Queries.
        n_items: Items, float32, in the host's memory.
        dim: Numbers of a vector.
        user_block: Users who share one pass over the items.
        host: Bytes a second from the host.
        inside: Bytes a second within the device, read and written.
    """
    passes = -(-n_users // user_block)
    over_link = passes * n_items * dim * 4
    in_memory = passes * n_items * dim * (4 + 4 + 2 + 2) + n_users * n_items * 4 * 2
    return max(over_link / host, in_memory / inside)


def operations(lengths: Any, layers: int, width: int, between: int) -> float:
    """Multiplications and additions of a transformer encoder for texts of these lengths, in tokens.

    A layer takes 8 w² for its four projections, 4 w b for what lies between, and 4 L w for attention, a token.
    """
    lengths = np.asarray(lengths, dtype=np.float64)
    return float((lengths * layers * (8 * width**2 + 4 * width * between + 4 * lengths * width)).sum())


def plain(queries: torch.Tensor, items: torch.Tensor, k: int, block: int) -> torch.Tensor:
    """(n_users, k) item numbers by a float32 product and torch.topk, items on the device already, no mask."""
    parts = [
        torch.topk(torch.mm(queries[low : low + block], items.T), k).indices for low in range(0, len(queries), block)
    ]
    return torch.cat(parts)


def searching(device: str, n_users: int, n_items: int, dim: int, k: int, rounds: int) -> list[Row]:
    """The search against its peers and its limit."""
    rng = np.random.default_rng(0)
    items, queries = unit(rng, n_items, dim), unit(rng, n_users, dim)
    mask = mask_of(rng, n_users, n_items, 1, 0)
    block = min(USER_BLOCK, n_users)
    there, asked = torch.from_numpy(items).to(device), torch.from_numpy(queries).to(device)

    def ours() -> Any:
        return top_k_torch(queries, [(0, items)], k, mask, device=device, user_block=block)

    spent, bare = (
        seconds(ours, device, rounds),
        seconds(lambda: plain(asked, there, k, block // 4 or 1), device, rounds),
    )
    same = float((np.sort(plain(asked, there, k, block // 4 or 1).cpu().numpy()) == np.sort(ours()[0])).mean())
    size = min(1 << 30, items.nbytes)
    least = limit(
        n_users, n_items, dim, block,
        copying(device, size, rounds, host=True), copying(device, size, rounds, host=False),
    )  # fmt: skip
    what = f"{n_users:,} users × {n_items:,} items × {dim}"
    rows = [
        Row(what, "torch.mm + torch.topk, float32, items there", bare / spent, 3.0),
        Row(f"{what}, ids", "the same, share that are the same", same, 0.999, ""),
        Row(f"{what}, share of the limit of memory and link", "plain copies", least / spent, 0.5, ""),
        Row(f"{what}, users a second", "", n_users / spent, 0, "/s"),
    ]
    return rows + against_faiss(queries, items, k, spent, device, rounds)


def against_faiss(queries: Any, items: Any, k: int, spent: float, device: str, rounds: int) -> list[Row]:
    """A row against faiss's flat index on the GPU; none where this faiss has no GPU."""
    try:
        import faiss
    except ImportError:
        return []
    if not hasattr(faiss, "StandardGpuResources") or torch.device(device).type != "cuda":
        return []
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), items.shape[1])
    index.add(items)
    taken = seconds(lambda: index.search(queries, k), device, rounds)
    return [Row(f"{len(queries):,} users × {len(items):,} items", "faiss GpuIndexFlatIP, items there", taken / spent)]


def forward(device: str, batch: int, length: int, shape: dict[str, int], most: float, rounds: int) -> Row:
    """The model alone on whole batches: the share of the peak `most`."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    bert: Any = BertModel(BertConfig(vocab_size=30_522, max_position_embeddings=512, **shape))
    bert = bert.to(device, torch.bfloat16).eval()
    ids = torch.randint(0, 30_000, (batch, length), device=device)
    with torch.inference_mode():
        spent = seconds(lambda: bert(input_ids=ids), device, rounds)
    layers, width, between = (shape[name] for name in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    share = operations([length] * batch, layers, width, between) / spent / most
    return Row(
        f"the model alone, {batch} × {length} tokens, {batch * length / spent:,.0f}/s", "bfloat16 peak", share, 0, ""
    )


def embedding(device: str, n_texts: int, shape: dict[str, int], most: float, rounds: int) -> list[Row]:
    """Our encoder from texts to vectors: tokens a second, and the share of the peak `most`."""
    from embedding import lengths_of, minilm, texts_of
    from sentence_transformers import SentenceTransformer

    from xlrec import encoders
    from xlrec.config import EmbedConfig

    texts = texts_of(n_texts)
    with tempfile.TemporaryDirectory() as folder:
        model = minilm(Path(folder), texts, shape)
        lengths = lengths_of(SentenceTransformer(model, device="cpu", local_files_only=True), texts)
        encoder = encoders.load(EmbedConfig(encoder=model, precision="bfloat16", batch_tokens=65_536), device=device)
        spent = seconds(lambda: encoder.encode(texts), device, rounds)
    layers, width, between = (shape[name] for name in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    share = operations(lengths, layers, width, between) / spent / most
    what = f"encode(), {n_texts:,} texts, bfloat16"
    return [
        Row(f"{what}: tokens a second", "", float(lengths.sum()) / spent, 0, "/s"),
        Row(f"{what}: share", "bfloat16 peak, a large product", share, 0, ""),
    ]


def main() -> int:
    """Measures, prints, writes; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=8192)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        error = MachineError("no GPU is at hand: torch sees no CUDA device; run make bench-gpu on a machine with one")
        print(f"xlrec: {error.code}: {error}", file=sys.stderr)  # noqa: T201  # as the command line says it
        return error.status
    device, most = "cuda", peak("cuda", 8192, args.rounds)
    shape = {
        "num_hidden_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": BETWEEN,
    }  # fmt: skip
    facts = {"gpu": torch.cuda.get_device_name(), "bfloat16 peak, TFLOP/s": round(most / 1e12, 1), "machine": machine()}
    rows = searching(device, args.users, args.items, DIM, K, args.rounds)
    rows += [forward(device, 512, length, shape, most, args.rounds) for length in (32, 128)]
    rows += embedding(device, args.texts, shape, most, args.rounds)
    report("On a GPU", rows, facts, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
