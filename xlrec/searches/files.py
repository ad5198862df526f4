"""Files of kept lists: one per Spark task, memory-mapped, found by what was asked; they hold no user.

A folder without `meta.json`, its last file, is unfinished.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec.index_files import replace
from xlrec.kernels.renewal import Lists

#: Folder of the lake below which each run has one.
KEPT: Final = "_searches"
_META: Final = "meta.json"
#: Of the files and of what they mean: another order in which scores are summed is another layout.
_LAYOUT: Final = 2


class Part(NamedTuple):
    """The lists of one file, ascending by the first half of their digests."""

    digests: NDArray[np.uint64]
    """(n, 2)."""
    lists: Lists
    scored: bool
    """Whether the lists have scores; else these are -inf."""

    def rows(self, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(m,) row of each wanted digest; -1 where there is none."""
        at = np.searchsorted(self.digests[:, 0], wanted[:, 0])
        at = np.minimum(at, len(self.digests) - 1)
        if not len(self.digests):
            return np.full(len(wanted), -1)
        return np.where((self.digests[at] == wanted).all(axis=1), at, -1)


class Kept:
    """The lists of one night."""

    def __init__(self, folder: str) -> None:
        """Reads what is told of them; lists load on first use."""
        self.folder = Path(folder)
        self.meta: dict[str, Any] = json.loads((self.folder / _META).read_text("utf-8"))

    @property
    def index(self) -> str:
        """Folder of the index that their item_nums are of."""
        return str(self.meta["index"])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every file's lists."""
        return tuple(_opened(path) for path in sorted(self.folder.glob("part-*.arrow")))

    def found(self, wanted: NDArray[np.uint64], first: int, width: int) -> tuple[NDArray[np.int64], Lists]:
        """(m,) rows of the digests that have a list, in any order, and (m,) these lists.

        Args:
            wanted: (n, 2) digests.
            first: Part where most of them are expected.
            width: Numbers of each row of the lists; longer lists are not found.
        """
        missing = np.arange(len(wanted))
        rows, lists = [missing[:0]], [Lists.empty(0, width)]
        for num in sorted(range(len(self.parts)), key=lambda part: part != first):
            part = self.parts[num]
            if not len(missing) or part.lists.nums.shape[1] > width:
                break
            at = part.rows(wanted[missing])
            here = at >= 0
            rows.append(missing[here])
            lists.append(part.lists.of(at[here], width))
            missing = missing[~here]
        filled = [some for some in lists if len(some.nums)]
        joined = filled[0] if len(filled) == 1 else Lists(*(np.concatenate(each) for each in zip(*lists, strict=True)))
        return np.concatenate(rows), joined

    @cached_property
    def scored(self) -> bool:
        """Whether every list has its scores; else these are -inf."""
        return all(part.scored for part in self.parts)

    @cached_property
    def margins(self) -> NDArray[np.float64]:
        """Margins of up to a thousand lists of each part."""
        found = [part.lists.margins[:: max(1, len(part.lists.margins) // 1000)] for part in self.parts]
        return np.concatenate([np.zeros(0), *found])


def whole(folder: str) -> Kept | None:
    """The lists in a folder, the same object for all callers in this process; None where none were finished there.

    Those of another layout are none.
    """
    path = Path(folder) / _META
    kept = _kept(folder, path.stat().st_mtime_ns) if path.exists() else None
    return kept if kept and kept.meta["layout"] == _LAYOUT else None


@lru_cache(maxsize=2)
def _kept(folder: str, changed: int) -> Kept:  # noqa: ARG001  # a folder written anew is another
    return Kept(folder)


def _opened(path: Path) -> Part:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
    width = table.schema.field("nums").type.list_size
    if not table.num_rows:
        return Part(np.zeros((0, 2), dtype=np.uint64), Lists.empty(0, width), scored=True)
    columns: dict[str, Any] = {name: table[name].chunk(0) for name in table.column_names}
    halves = np.stack([columns[name].to_numpy() for name in ("high", "low")], axis=1)
    nums = columns["nums"].values.to_numpy().reshape(-1, width)
    scored = "scores" in columns
    scores = columns["scores"].values.to_numpy() if scored else np.broadcast_to(-np.inf, nums.size)
    lists = Lists(nums, scores.reshape(-1, width), columns["floor"].to_numpy(), columns["margin"].to_numpy())
    return Part(halves, lists, scored)


def write_part(
    folder: str, part: int, blocks: Iterable[tuple[NDArray[np.uint64], Lists]], width: int, *, scored: bool
) -> None:
    """Writes the lists of one task; what was asked twice is kept once.

    Args:
        folder: Made where it is missing.
        part: Number of the task.
        blocks: Digests and lists.
        width: Numbers of each row of the lists.
        scored: Write the scores too, twice as many bytes as the numbers.
    """
    found = list(blocks)
    halves = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *(one for one, _ in found)])
    _, rows = np.unique(halves[:, 0], return_index=True)
    every = [Lists.empty(0, width), *(lists for _, lists in found)]

    def joined(field: str) -> NDArray[Any]:
        values: NDArray[Any] = np.concatenate([getattr(lists, field) for lists in every])[rows]
        return values

    columns: dict[str, Any] = {
        "high": halves[rows, 0], "low": halves[rows, 1], "floor": joined("floors"), "margin": joined("margins"),
    }  # fmt: skip
    for name in ("nums", "scores") if scored else ("nums",):
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(joined(name).ravel()), width)
    table = pa.table(columns)

    def written(file: Any) -> None:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(1, table.num_rows))

    replace(Path(folder) / f"part-{part:05d}.arrow", written)


def write_told(folder: str, part: int, told: dict[str, Any]) -> None:
    """Writes what a task has to say about its search, such as counts."""
    replace(Path(folder) / f"told-{part:05d}.json", lambda file: file.write(json.dumps(told).encode()))


def n_told(folder: str) -> int:
    """Tasks that have told."""
    return sum(1 for _ in Path(folder).glob("told-*.json"))


def finish(folder: str, index: str) -> Iterator[dict[str, Any]]:
    """Makes the folder whole, and yields what each task told."""
    replace(Path(folder) / _META, lambda file: file.write(json.dumps({"layout": _LAYOUT, "index": index}).encode()))
    for path in sorted(Path(folder).glob("told-*.json")):
        yield json.loads(path.read_text("utf-8"))
