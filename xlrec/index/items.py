"""ItemIndex: the items of one run as memory-mapped arrays: their vectors, and their catalogue.

Spark tasks on one machine share the pages; nothing item-sized passes through the JVM or is copied per process.
`xlrec.index.writer` makes the folder; `meta.json` is its last file, so a folder without it is unfinished.
"""

import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from xlrec.index.catalogue import Catalogue
from xlrec.index.vectors import META, ItemVectors

#: Names the model whose vectors lie beside; see `xlrec.index.learnt`.
LEARNT: Final = "learnt.json"
#: Weights of the sources in each market, and their figures; see `xlrec.training.recommender.fusion_weights`.
FUSION: Final = "fusion.json"


class ItemIndex(ItemVectors, Catalogue):
    """Vectors and catalogue of all items, and the weights of the sources; read-only."""

    def __init__(self, folder: str) -> None:
        """Use `ItemIndex.open_folder`, which keeps one object a process."""
        ItemVectors.__init__(self, folder)
        Catalogue.__init__(self, self.folder, self.meta)

    @staticmethod
    def open_folder(folder: str) -> "ItemIndex":
        """The index in a folder; the same object for all callers in this process until the folder is written anew.

        Raises:
            LakeError: The folder is missing, unfinished or of another layout; run `train` again.
        """
        paths = [Path(folder) / name for name in (META, LEARNT, FUSION)]
        return _open(folder, tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths))

    @cached_property
    def fusion(self) -> dict[str, Any] | None:
        """joint: weights in the order of `SOURCES`; markets: those of single ones; figures. None: none were learnt."""
        path = self.folder / FUSION
        return json.loads(path.read_text("utf-8")) if path.exists() else None


@lru_cache(maxsize=4)
def _open(folder: str, modified: tuple[int, ...]) -> ItemIndex:  # noqa: ARG001  # a rewritten folder is opened anew
    return ItemIndex(folder)
