"""The search of a block of users: the same rows on a device of torch, and what tasks tell of how they searched."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from worlds.catalogue import config, laid, model_in, table, world

from xlrec.errors import MachineError
from xlrec.index.search import Search, searched
from xlrec.kernels.search.mask import Mask
from xlrec.kernels.search.topk_torch import top_k_torch
from xlrec.stages.retrieve import Retriever


def test_a_search_on_a_device_gives_the_same_rows(tmp_path: Path) -> None:
    planted, model = world(np.random.default_rng(5)), model_in(tmp_path / "model")
    users = table(planted)
    for learnt in (None, model):
        index = laid(tmp_path / f"index-{learnt is None}", planted, learnt)
        search = Search(index, config().retrieve, engine=partial(top_k_torch, device="cpu"))
        assert Retriever(index, config(), search).rows(users).equals(Retriever(index, config()).rows(users))


def test_users_without_a_query_find_nothing_and_change_nothing_for_others(tmp_path: Path) -> None:
    index = laid(tmp_path / "index", world(np.random.default_rng(0)), None)
    search, side = Search(index, config().retrieve), searched(index, None, 16)
    queries = np.random.default_rng(1).normal(size=(5, index.dim))
    mask = Mask(
        np.asarray(index.eligible_rows), np.array([0, 1, 0, 1, 1], np.int32), np.arange(6),
        np.arange(5, dtype=np.int32), np.asarray(index.language_bits), np.zeros((5, index.n_words), np.uint64),
        np.zeros(5, np.bool_),
    )  # fmt: skip
    every = search.best(queries, mask, side)
    queries[[1, 4]] = np.nan
    ids, scores = search.best(queries, mask, side)
    asked = [0, 2, 3]
    np.testing.assert_array_equal(ids[asked], every[0][asked])
    np.testing.assert_array_equal(scores[asked], every[1][asked])
    assert (ids[[1, 4]] == -1).all()
    assert (scores[[1, 4]] == -np.inf).all()


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    index = laid(tmp_path / "index", world(np.random.default_rng(0)), None)
    with pytest.raises(MachineError, match=r"retrieve.device is cuda:0, but torch sees no GPU on this worker: mend"):
        Search(index, config().retrieve, device="cuda:0")
