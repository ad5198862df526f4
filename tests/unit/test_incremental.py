"""Nights that bring the last night's lists up to date give the rows of nights that search everything, bit for bit."""

import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_nights import config, first_night, laid, model_in, next_night, table

from xlrec.config import Config
from xlrec.errors import MachineError
from xlrec.kernels.renewal import best_rise
from xlrec.kernels.topk_torch import top_k_torch
from xlrec.searches import Search, whole
from xlrec.searches import finish as finish_lists
from xlrec.stages.retrieve import Retriever


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return model_in(tmp_path_factory.mktemp("model"))


def nights(
    folder: Path, model: str | None, how: Config, seed: int, share: float, drift: float, n_nights: int = 4
) -> Counter[str]:
    """Checks every night against a full search; how users were served after the first."""
    rng = np.random.default_rng(seed)
    world, old, told = first_night(rng), None, Counter[str]()
    for night in range(n_nights):
        index = laid(folder / f"index-{night}", world, model)
        part = int(rng.integers(0, 3))  # users may come to other tasks than last night
        search = Search(index, how.retrieve, old=old, keep=True, part=part)
        retriever, users = Retriever(index, how, search), table(world)
        cut = int(rng.integers(1, users.num_rows))
        found = pa.concat_tables([retriever.rows(users.slice(0, cut)), retriever.rows(users.slice(cut))])
        assert found.equals(Retriever(index, how).rows(users)), f"night {night}"
        old = str(folder / f"lists-{night}")
        search.save(old)
        tasks = list(finish_lists(old, str(index.folder)))
        assert tasks == [{"counts": dict(search.told), "paths": ["float32"]}]
        told.update(search.told if night else {})
        world = next_night(world, rng, night + 1, share, drift)
    return told


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.0, 0.02, 0.2]), st.sampled_from([0.0, 0.05, 1.0]),
    st.sampled_from([1, 4, 100]), st.sampled_from(["any", "only"]), st.booleans(),
)  # fmt: skip
def test_any_nights_have_the_rows_of_a_full_search(
    tmp_path_factory: pytest.TempPathFactory, model: str, seed: int, learnt: bool, share: float, drift: float,
    spare: int, languages: str, exclude_seen: bool,
) -> None:  # fmt: skip
    how = config(spare, languages=languages, exclude_seen=exclude_seen)
    nights(tmp_path_factory.mktemp("nights"), model if learnt else None, how, seed, share, drift)


@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_most_lists_are_brought_up_to_date_where_little_changes(tmp_path: Path, model: str, drift: float) -> None:
    told = nights(tmp_path, model, config(12), 3, 0.02, drift)
    assert told["kept"] > 0.8 * told["users"]
    assert told["pairs"] < (0.6 if drift else 0.5) * told["users"] * 80
    assert told["full"] + told["kept"] == told["users"]


def test_a_search_on_a_device_gives_the_same_rows(tmp_path: Path, model: str) -> None:
    rng, how = np.random.default_rng(5), config(12)
    world = first_night(rng)
    users = table(world)
    for learnt in (None, model):
        index = laid(tmp_path / f"index-{learnt is None}", world, learnt)
        search = Search(index, how.retrieve, engine=partial(top_k_torch, device="cpu"))
        assert Retriever(index, how, search).rows(users).equals(Retriever(index, how).rows(users))


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    index = laid(tmp_path / "index", first_night(np.random.default_rng(0)), None)
    with pytest.raises(MachineError, match=r"retrieve.device is cuda:0, but torch sees no GPU on this worker: mend"):
        Search(index, config(1).retrieve, device="cuda:0")


def test_lists_of_other_markets_or_models_or_unfinished_ones_are_not_used(tmp_path: Path, model: str) -> None:
    world, how = first_night(np.random.default_rng(0)), config(12)
    index = laid(tmp_path / "index", world, None)
    search = Search(index, how.retrieve, keep=True)
    Retriever(index, how, search).rows(table(world))
    search.save(str(tmp_path / "lists"))
    assert whole(str(tmp_path / "lists")) is None
    assert Search(index, how.retrieve, old=str(tmp_path / "lists")).kept is None
    list(finish_lists(str(tmp_path / "lists"), str(index.folder)))
    assert Search(index, how.retrieve, old=str(tmp_path / "lists")).kept is not None
    learnt = laid(tmp_path / "learnt", world, model)
    assert Search(learnt, how.retrieve, old=str(tmp_path / "lists")).kept is None
    (Path(index.folder) / "meta.json").unlink()
    assert Search(index, how.retrieve, old=str(tmp_path / "lists")).kept is None
    assert json.loads((tmp_path / "lists" / "meta.json").read_text())["index"] == str(index.folder)


def test_kept_files_hold_no_user(tmp_path: Path) -> None:
    world, how = first_night(np.random.default_rng(0)), config(12)
    search = Search(laid(tmp_path / "index", world, None), how.retrieve, keep=True)
    Retriever(search.index, how, search).rows(table(world))
    search.save(str(tmp_path / "lists"))
    assert [path.name for path in sorted((tmp_path / "lists").iterdir())] == ["part-00000.arrow", "told-00000.json"]
    assert not any(b"u01" in path.read_bytes() for path in (tmp_path / "lists").iterdir())


def test_the_rise_that_is_chosen_weighs_items_against_lists_that_fall_short() -> None:
    rises = np.concatenate([np.zeros(990), np.full(10, 5.0)])
    assert best_rise(rises, np.full(100, 1.0), (0.5, 0.99)) == (0.0, 0.01)
    assert best_rise(rises, np.zeros(100), (0.5, 0.99))[1] == 1.0  # no list has room
    assert best_rise(rises, np.full(100, 9.0), (0.5, 0.99)) == (5.0, 0.0)
    assert best_rise(np.zeros(0), np.ones(3), (0.5,)) == (0.0, 0.0)
