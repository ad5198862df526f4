"""Writing the item index with Spark gives the same folder as writing it from arrays."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds.index_arrays import write_arrays

from xlrec.errors import LakeError
from xlrec.index.items import ItemIndex
from xlrec.index.writer import write_index
from xlrec.runtime.files import Files
from xlrec.tables import ITEMS, NEIGHBOURS, POPULARITY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

N, DIM = 11, 3
LANGUAGES = [["de", "en"] if num % 2 else ["ja"] for num in range(N)]
CATEGORIES = [["x"] if num % 3 else [] for num in range(N)]
MARKETS: list[list[str] | None] = [None if num % 4 == 0 else ["JP"] if num % 4 == 1 else [] for num in range(N)]
AVAILABLE = [num != 8 for num in range(N)]
PAIRS = [
    (market, a, b, 1 / (1 + a + b % (2 + place)))
    for place, market in enumerate(("DE", "JP"))
    for a in range(place, N, 2)
    for b in range(N)
    if a != b
]
POPULAR = [("JP", num, 0.1 * (num % 3)) for num in range(1, N)] + [("DE", 2, 0.5)]


def vectors() -> "np.ndarray[Any, np.dtype[np.float32]]":
    found = np.random.default_rng(0).normal(size=(N, DIM)).astype(np.float32)
    found[5] = 0
    return found


def files_of(folder: Path, apart: bool) -> Files:
    """A folder that tasks see, or one that they do not."""
    return Files(str(folder), (folder.parent / "lake" / folder.name).as_uri() if apart else None, apart)


def write(
    spark: "SparkSession", folder: Path, nums: list[int], n_neighbours: int | None = None, apart: bool = False
) -> None:
    names = ("item_id", "item_num", "languages", "categories", "markets", "available")
    rows: list[Any] = [
        dict(zip(names, (f"i{num:02d}", num, LANGUAGES[i], CATEGORIES[i], MARKETS[i], AVAILABLE[i]), strict=True))
        for i, num in enumerate(nums)
    ]
    vecs = [(num, bytearray(row.tobytes())) for num, row in enumerate(vectors()) if num != 5]
    write_index(
        files_of(folder, apart),
        spark.createDataFrame(rows, ITEMS.schema),
        spark.createDataFrame(vecs, "item_num int, vector binary"),
        spark.createDataFrame(PAIRS[::-1], NEIGHBOURS.schema),
        spark.createDataFrame(POPULAR, POPULARITY.schema),
        dim=DIM,
        n_neighbours=n_neighbours,
        shard_rows=4,
    )


@pytest.mark.parametrize("apart", [False, True])
def test_tables_and_arrays_give_the_same_files(spark: "SparkSession", tmp_path: Path, apart: bool) -> None:
    write(spark, tmp_path / "spark", list(range(N)), apart=apart)
    write_arrays(
        tmp_path / "arrays",
        item_ids=[f"i{num:02d}" for num in range(N)],
        vectors=vectors(),
        languages=LANGUAGES,
        categories=CATEGORIES,
        markets=MARKETS,
        available=AVAILABLE,
        neighbours=PAIRS,
        popularity=POPULAR,
        shard_rows=4,
    )
    files = {path.name: path.read_bytes() for path in (tmp_path / "arrays").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "spark").iterdir()} == files
    assert ItemIndex.open_folder(str(tmp_path / "spark")).markets == ("DE", "JP", "ZZ")


def test_a_gap_in_the_numbers_stops_the_writer(spark: "SparkSession", tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="highest item_num 11"):
        write(spark, tmp_path, [*range(N - 1), N])


def test_each_item_keeps_its_best_neighbours_in_each_market(spark: "SparkSession", tmp_path: Path) -> None:
    write(spark, tmp_path, list(range(N)), n_neighbours=3)
    index = ItemIndex.open_folder(str(tmp_path))
    for market in index.markets:
        indptr, nums, scores = index.neighbours(market)
        for item in range(N):
            near = sorted((-score, other) for name, one, other, score in PAIRS if (name, one) == (market, item))
            run = slice(indptr[item], indptr[item + 1])
            assert list(zip((-scores[run]).tolist(), nums[run].tolist(), strict=True)) == near[:3]
