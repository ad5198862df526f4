"""The item index: what is written is what is read, shard by shard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds.index_arrays import write_arrays

from xlrec.errors import EncoderError, LakeError
from xlrec.index.items import ItemIndex


def planted(folder: Path, **changes: Any) -> ItemIndex:
    """Five items in shards of two; item 3 has no text, item 4 is not available."""
    vectors = np.eye(5, 4, dtype=np.float32)
    vectors[3] = 0
    rows: dict[str, Any] = {
        "item_ids": ["a", "b", "c", "d", "é"],
        "vectors": vectors,
        "languages": [["en"], ["de", "en"], ["ja"], [], ["de"]],
        "categories": [["x"], [], ["y", "x"], [], ["z"]],
        "markets": [None, ["JP"], [], ["JP", "DE"], None],
        "available": [True, True, True, True, False],
        "neighbours": [(2, 0, 0.5), (0, 1, 0.2), (0, 4, 0.7), (0, 2, 0.2), ("DE", 0, 3, 0.6), ("JP", 4, 0, 0.1)],
        "popularity": [("DE", 3, 0.1), ("DE", 0, 0.1), ("JP", 3, 0.9), ("ZZ", 0, 0.3)],
        "shard_rows": 2,
    }
    write_arrays(folder, **(rows | changes))
    return ItemIndex.open_folder(str(folder))


def test_vectors_come_back_in_shards_and_by_gather(tmp_path: Path) -> None:
    index = planted(tmp_path)
    assert (index.n_items, index.dim) == (5, 4)
    assert [(first, len(rows)) for first, rows in index.shards] == [(0, 2), (2, 2), (4, 1)]
    assert index.gather_vectors(np.array([4, 0, 4, 2]))[:, :3].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert index.norms.tolist() == [1, 1, 1, 0, 0]
    assert index.item_ids.to_pylist() == ["a", "b", "c", "d", "é"]


def test_items_sold_everywhere_are_eligible_in_an_unknown_market_and_empty_markets_are_nowhere(tmp_path: Path) -> None:
    index = planted(tmp_path)
    assert index.markets == ("DE", "JP", "ZZ")
    assert index.eligible("JP").tolist() == [True, True, False, True, False]
    assert index.eligible("BR").tolist() == index.eligible("ZZ").tolist() == [True, False, False, False, False]


def test_the_popular_order_lists_every_eligible_item_with_ties_by_item_num(tmp_path: Path) -> None:
    index = planted(tmp_path)
    assert index.popularity("DE").tolist() == [0.1, 0, 0, 0.1, 0]
    assert index.popular_order("DE").tolist() == [0, 3]
    assert index.popular_order("JP").tolist() == [3, 0, 1]
    assert index.popular_order("XX").tolist() == [0]


def test_neighbours_of_a_market_are_best_first_with_ties_by_item_num(tmp_path: Path) -> None:
    index = planted(tmp_path)
    found = {market: [part.tolist() for part in index.neighbours(market)] for market in (*index.markets, "BR")}
    assert found["DE"] == [[0, 4, 4, 5, 5, 5], [4, 3, 1, 2, 0], [0.7, 0.6, 0.2, 0.2, 0.5]]
    assert found["JP"] == [[0, 3, 3, 4, 4, 5], [4, 1, 2, 0, 0], [0.7, 0.2, 0.2, 0.5, 0.1]]
    assert found["BR"] == found["ZZ"] == [[0, 3, 3, 4, 4, 4], [4, 1, 2, 0], [0.7, 0.2, 0.2, 0.5]]


def test_languages_are_bits_and_categories_are_codes(tmp_path: Path) -> None:
    index = planted(tmp_path)
    assert index.languages == ("de", "en", "ja")
    assert index.language_bits.tolist() == [[2], [3], [4], [0], [1]]
    assert index.language_words(["ja", "fr", "de"]).tolist() == [5]
    indptr, codes = index.category_csr
    assert indptr.tolist() == [0, 1, 1, 3, 3, 4]
    assert [index.categories[code] for code in codes] == ["x", "x", "y", "z"]


def test_more_than_64_languages_take_a_second_word(tmp_path: Path) -> None:
    names = [f"l{num:03d}" for num in range(70)]
    index = planted(tmp_path, languages=[names, [names[69]], [], [], [names[0]]])
    assert index.language_bits.shape == (5, 2)
    assert index.language_bits[1].tolist() == [0, 1 << 5]
    assert index.language_words([names[0], names[69]]).tolist() == [1, 1 << 5]


def test_a_folder_without_meta_does_not_open(tmp_path: Path) -> None:
    planted(tmp_path)
    (tmp_path / "meta.json").unlink()
    with pytest.raises(LakeError, match="no finished item index"):
        ItemIndex.open_folder(str(tmp_path))


def test_a_rewritten_folder_is_opened_anew_and_an_unchanged_one_is_shared(tmp_path: Path) -> None:
    index = planted(tmp_path)
    assert ItemIndex.open_folder(str(tmp_path)) is index
    assert planted(tmp_path, available=[False] * 5).eligible("JP").tolist() == [False] * 5


def test_vectors_that_are_not_finite_stop_the_writer(tmp_path: Path) -> None:
    vectors = np.eye(5, 4)
    vectors[1, 2] = np.nan
    with pytest.raises(EncoderError, match="'b'"):
        planted(tmp_path, vectors=vectors)


def test_an_index_without_items_opens(tmp_path: Path) -> None:
    write_arrays(tmp_path, item_ids=[], vectors=np.zeros((0, 8)))
    index = ItemIndex.open_folder(str(tmp_path))
    assert (index.n_items, index.shards, len(index.item_ids), index.markets) == (0, [], 0, ("ZZ",))
