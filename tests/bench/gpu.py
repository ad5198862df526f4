"""On a GPU: the exact top-k beside torch, faiss and what the card allows; an encoder beside bfloat16's peak.

python tests/bench/gpu.py --json .cache/bench/gpu.json     # make bench-gpu

Limits: that of arithmetic is the pairs at the speed of a large bfloat16 product; that of memory is what a search moves
that writes its scores in bfloat16 once and reads them once, at the speed of a plain copy within the device; that of the
link is all items in float32 at the speed of a plain copy from the host, for items that the device does not hold.
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
from xlrec.kernels.search.items import prepare_items
from xlrec.kernels.search.torch_search import TorchSearch

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


def limits(n_users: int, n_items: int, dim: int, most: float, host: float, inside: float) -> dict[str, float]:
    """Seconds of the limits of arithmetic, memory and link, for one pass over the items.

    Args:
        n_users: Queries.
        n_items: Items.
        dim: Numbers of a vector.
        most: Operations a second.
        host: Bytes a second from the host.
        inside: Bytes a second within the device, read and written.
    """
    return {
        "arithmetic": 2 * n_users * n_items * dim / most,
        "memory": (2 * n_items * dim + 4 * n_users * n_items) / inside,
        "link": 4 * n_items * dim / host,
    }


def operations(lengths: Any, layers: int, width: int, between: int) -> float:
    """Multiplications and additions of a transformer encoder for texts of these lengths, in tokens.

    A layer takes 8 w² for its four projections, 4 w b for what lies between, and 4 L w for attention, a token.
    """
    lengths = np.asarray(lengths, dtype=np.float64)
    return float((lengths * layers * (8 * width**2 + 4 * width * between + 4 * lengths * width)).sum())


def plain(queries: torch.Tensor, items: torch.Tensor, k: int, block: int) -> torch.Tensor:
    """(n_users, k) item numbers by a product in their precision and torch.topk, items on the device, no mask."""
    parts = [
        torch.topk(torch.mm(queries[low : low + block], items.T), k).indices for low in range(0, len(queries), block)
    ]
    return torch.cat(parts)


def searching(device: str, n_users: int, n_items: int, dim: int, k: int, most: float, rounds: int) -> list[Row]:
    """The search against its peers and its limits; `most` is the peak."""
    rng = np.random.default_rng(0)
    items, queries = unit(rng, n_items, dim), unit(rng, n_users, dim)
    open_mask, markets = mask_of(rng, n_users, n_items, 1, 0), mask_of(rng, n_users, n_items, 8, 30)
    ready = prepare_items([(0, items)])
    there, streamed = TorchSearch(ready, device), TorchSearch(ready, device, keep_bytes=0)

    def ours(engine: TorchSearch, mask: Any = open_mask) -> Any:
        return engine.top_k(queries, k, mask, user_block=n_users)

    block = max(1, min(USER_BLOCK, n_users) // 4)
    asked, wide = torch.from_numpy(queries).to(device), torch.from_numpy(items).to(device)
    spent = {
        "there": seconds(lambda: ours(there), device, rounds),
        "masked": seconds(lambda: ours(there, markets), device, rounds),
        "streamed": seconds(lambda: ours(streamed), device, rounds),
        "float32": seconds(lambda: plain(asked, wide, k, block), device, rounds),
        "bfloat16": seconds(lambda: plain(asked.bfloat16(), wide.bfloat16(), k, block), device, rounds),
    }
    same = float((np.sort(plain(asked, wide, k, block).cpu().numpy()) == np.sort(ours(there)[0])).mean())
    size = min(1 << 30, items.nbytes)
    speeds = copying(device, size, rounds, host=True), copying(device, size, rounds, host=False)
    least = limits(n_users, n_items, dim, most, *speeds)
    what = f"{n_users:,} users × {n_items:,} items × {dim}"
    rows = [
        Row(what, "torch.mm + torch.topk, float32", spent["float32"] / spent["there"], 3.0),
        Row(what, "torch.mm + torch.topk, bfloat16 (not exact)", spent["bfloat16"] / spent["there"]),
        Row(f"{what}, ids that are the same", "torch.mm + torch.topk, float32", same, 0.999, ""),
        Row(f"{what}, 8 markets and seen items", "the same without them", spent["there"] / spent["masked"], 0.9),
        Row(f"{what}, share of a limit", "scores written and read once", least["memory"] / spent["there"], 0.5, ""),
        Row(
            f"{what}, share of a limit", "its products at bfloat16's peak", least["arithmetic"] / spent["there"], 0, ""
        ),
        Row(f"{what}, items streamed, share of a limit", "the link", least["link"] / spent["streamed"], 0.5, ""),
        Row(f"{what}: users a second", "", n_users / spent["there"], 0, "/s"),
    ]
    return rows + against_faiss(queries, items, k, spent["there"], device, rounds)


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
    from xlrec.config.models import EmbedConfig

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
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
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
    found = searching(device, args.users, args.items, DIM, K, most, args.rounds)
    report("The search on a GPU", found, facts, args.json)
    found += [forward(device, 512, length, shape, most, args.rounds) for length in (32, 128)]
    found += embedding(device, args.texts, shape, most, args.rounds)
    report("On a GPU", found, facts, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
