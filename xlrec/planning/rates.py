"""Seconds that a night's work takes: one table of rates, and the search rate, which is measured on this machine."""

from time import process_time
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from xlrec.kernels.search.topk import Mask, prepare_items, top_k

#: Fixed seconds of each stage, and core-seconds of a unit of its work, on a machine with two cores: by the first night
#: of the demo, which also compiles the kernels, and by one of a million users. Units: texts and events of the inputs;
#: encoder_texts: new texts times million parameters that a token passes; learnt: events that the driver alone learns
#: from; regressions: items in each market; candidates: users times candidates; rows: of all lists; search: core-seconds
#: of the search.
STAGE_RATES: Final[dict[str, tuple[float, dict[str, float]]]] = {
    "prepare": (26.0, {"texts": 1.2e-4, "events": 1.5e-5}),
    "embed": (9.0, {"texts": 2e-4, "encoder_texts": 2.4e-3}),
    "train": (26.0, {"events": 5e-6, "regressions": 4e-4, "learnt": 2e-5}),
    "recommend": (14.0, {"events": 9e-6, "candidates": 2e-6, "rows": 5.2e-6, "search": 1.0}),
    "publish": (3.0, {"rows": 1.6e-6}),
    "start, report": (14.0, {"rows": 2e-6}),
}


def measure_search_rate(n_items: int, dim: int) -> float:
    """Core-seconds for one multiplied number of the exact search: the best of a few among 4,096 to 65,536 items."""
    n_users, n_items, spent = 512, min(max(n_items, 4096), 65_536), []
    vectors = np.random.default_rng(0).standard_normal((n_items + n_users, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    everything, group = np.ones((1, n_items), np.bool_), np.zeros(n_users, np.int32)
    seen, words = (np.zeros(n_users + 1, np.int64), np.zeros(0, np.int32)), np.zeros((n_items, 1), np.uint64)
    mask = Mask(everything, group, *seen, words, words[:n_users], np.zeros(n_users, np.bool_))
    with threadpool_limits(1):
        items = prepare_items([(0, vectors[:n_items])])
        for _ in range(5):  # the first compiles the loops
            began = process_time()
            top_k(vectors[n_items:], items, 100, mask)
            spent.append(process_time() - began)
    return min(spent) / (n_users * n_items * dim)
