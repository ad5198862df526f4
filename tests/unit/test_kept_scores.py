"""Scores that are kept with lists: used to the bit where nothing about an item changed, and nowhere else."""

import json
from pathlib import Path

import numpy as np
import pytest
from planted_nights import DIM, World, config, events, item, laid, model_in, table

from xlrec.searches import Search, whole
from xlrec.searches import finish as finish_lists
from xlrec.stages.retrieve import Retriever


def changed_night(world: World, how: str) -> World:
    """The world with one thing changed of an item that nobody chose, or one new item before all others."""
    name = min(set(world.items) - {row[1] for log in world.logs.values() for row in log})
    one = world.items[name]
    vector = one.vector.copy()
    vector[0] = np.nextafter(np.float32(vector[0]), np.float32(2))
    ways = {
        "nothing": one,
        "a column": one._replace(vector=vector),
        "its language": one._replace(languages=["aa"]),
        "its market": one._replace(markets=["B"]),
        "availability": one._replace(available=False),
    }
    items = world.items | {name: ways.get(how, one)}
    return World(items | ({"a": one._replace(vector=-vector)} if how == "numbers" else {}), world.logs)


def plain_night() -> World:
    """Items of which every user may get every one, in a language that they read."""
    rng = np.random.default_rng(2)
    items = {f"i{num:02d}": item(rng, 0) for num in range(40)}
    plain = {"languages": ["aa", "bb"], "markets": None, "available": True}
    items = {name: one._replace(vector=rng.normal(size=DIM) / 3, **plain) for name, one in items.items()}
    return World(items, {f"u{user}": events(rng, items, 0, 3) for user in range(9)})


@pytest.mark.parametrize(
    ("what", "n_scored"),
    [("nothing", 0), ("numbers", 1), ("a column", 1), ("its language", 1), ("its market", 0), ("availability", 0)],
)
@pytest.mark.parametrize("languages", ["any", "only"])
def test_a_text_is_scored_anew_only_where_something_about_it_changed(
    tmp_path: Path, what: str, n_scored: int, languages: str
) -> None:
    world, how, lists = plain_night(), config(40, languages=languages, exclude_seen=False), str(tmp_path / "lists")
    index = laid(tmp_path / "then", world, None)
    search = Search(index, how.retrieve, keep=True)
    Retriever(index, how, search).rows(table(world))
    search.save(lists)
    list(finish_lists(lists, str(index.folder)))
    index = laid(tmp_path / "now", changed_night(world, what), None)
    users = table(World(changed_night(world, what).items, world.logs))
    search = Search(index, how.retrieve, old=lists)
    assert Retriever(index, how, search).rows(users).equals(Retriever(index, how).rows(users))
    assert search.told["kept"] == search.told["users"] == 9
    assert search.told["pairs"] == 9 * n_scored


def test_scores_are_kept_of_texts_and_not_of_models_whose_popularity_moves(tmp_path: Path) -> None:
    world, how, model = plain_night(), config(12), model_in(tmp_path / "weights")
    for name, learnt in (("texts", None), ("model", model)):
        search = Search(laid(tmp_path / f"{name}-index", world, learnt), how.retrieve, keep=True)
        Retriever(search.index, how, search).rows(table(world))
        search.save(str(tmp_path / name))
        list(finish_lists(str(tmp_path / name), str(search.index.folder)))
        kept = whole(str(tmp_path / name))
        assert kept is not None
        assert kept.scored == (learnt is None)
        assert np.isfinite(kept.parts[0].lists.scores[:, :3]).all() == kept.scored


def test_lists_of_another_layout_are_not_used(tmp_path: Path) -> None:
    world, how, lists = plain_night(), config(12), tmp_path / "lists"
    search = Search(laid(tmp_path / "index", world, None), how.retrieve, keep=True)
    Retriever(search.index, how, search).rows(table(world))
    search.save(str(lists))
    list(finish_lists(str(lists), str(search.index.folder)))
    told = json.loads((lists / "meta.json").read_text())
    assert whole(str(lists)) is not None
    (lists / "meta.json").write_text(json.dumps(told | {"layout": told["layout"] - 1}))
    assert Search(search.index, how.retrieve, old=str(lists)).kept is None
