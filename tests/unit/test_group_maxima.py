"""The compiled pass for CUDA, by Triton's interpreter on the CPU: the bits of the search without it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = 6


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with torch for CUDA alone")
def test_the_compiled_pass_gives_the_same_bits() -> None:
    ran = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.split() == ["same"] * CASES


def main() -> None:
    """Writes a word for each case that comes out as without Triton."""
    import numpy as np
    import torch

    # the interpreter knows no product of bfloat16
    device, dtype = ("cpu", torch.float32) if os.environ.get("TRITON_INTERPRET") else ("cuda", torch.bfloat16)
    from xlrec.kernels.search import device_search
    from xlrec.kernels.search.items import prepare_items
    from xlrec.kernels.search.mask import Mask
    from xlrec.kernels.search.topk import top_k
    from xlrec.kernels.search.torch_search import TorchSearch

    for case in range(CASES):
        device_search._PAIRS, device_search._SMALL = (400, 64) if case % 2 else (1 << 24, 2048)
        rng = np.random.default_rng(case)
        n_users, n_items, dim, k = 70 if case == 0 else 9, 450, (8, 65, 21)[case % 3], (1, 30, 600)[case // 2]
        kinds = rng.normal(size=(3 if case % 4 == 1 else n_items, dim))
        items = kinds[rng.integers(0, len(kinds), n_items)].astype(np.float32)
        items[rng.random(n_items) < 0.05] = 0
        items[rng.random(n_items) < 0.02, 0] = np.nan
        queries = rng.normal(size=(n_users, dim)) * (rng.random((n_users, 1)) > 0.1)
        seen = [np.flatnonzero(rng.random(n_items) < (0.0 if case % 2 else 0.2)) for _ in range(n_users)]
        mask = Mask(
            rng.random((3, n_items)) < 0.6,
            rng.integers(0, 3, n_users).astype(np.int32),
            np.concatenate([[0], np.cumsum([len(nums) for nums in seen])]).astype(np.int64),
            np.concatenate(seen).astype(np.int32),
            rng.integers(0, 4, (n_items, 2)).astype(np.uint64),
            rng.integers(0, 4, (n_users, 2)).astype(np.uint64),
            rng.random(n_users) < (0.5 if case % 3 else 0.0),
        )
        ready = prepare_items([(0, items[:400]), (400, items[400:])], path="float32")
        expected = top_k(queries, ready, k, mask)
        engine = TorchSearch(ready, device, dtype=dtype, item_block=300, fused=True)
        found = engine.top_k(queries, k, mask)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
        sys.stdout.write("same\n")


if __name__ == "__main__":
    main()
