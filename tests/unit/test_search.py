"""The search of an index: the same rows on a device of torch, and one line where the device is missing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from worlds.catalogue import config, laid, model_in, table, world

from xlrec.errors import MachineError
from xlrec.index.search import IndexSearch
from xlrec.stages.retrieve import Retriever


def test_a_search_on_a_device_gives_the_same_rows(tmp_path: Path) -> None:
    planted, model = world(np.random.default_rng(5)), model_in(tmp_path / "model")
    users = table(planted)
    for learnt in (None, model):
        index = laid(tmp_path / f"index-{learnt is None}", planted, learnt)
        search = IndexSearch(index, config(), device="cpu:0")
        assert (
            Retriever(index, config(), search)
            .candidates_of(users)
            .equals(Retriever(index, config()).candidates_of(users))
        )


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    index = laid(tmp_path / "index", world(np.random.default_rng(0)), None)
    with pytest.raises(MachineError, match=r"retrieve.device is cuda:0, but torch sees no GPU on this worker: mend"):
        IndexSearch(index, config(), device="cuda:0")
