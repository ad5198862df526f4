"""Pages of the lake's `_reports`, on this machine, where a browser opens them."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from xlrec.errors import LakeError
from xlrec.pipeline.reports import REPORTS
from xlrec.runtime.machine import local_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RUN = re.compile(r"(\d{4}-\d\d-\d\d)\.(\d+)\.html")


def local_page(lake: str, name: str | None) -> Path | None:
    """Path of a page; None where the lake is not on this machine's disk. LakeError: there is no such page.

    `name` is a run_id, or what `xlrec transfer` named its page; None: the newest run.
    """
    folder = local_folder(lake)
    if folder is None:
        return None
    pages = [path.name for path in (folder / REPORTS).glob("*.html")]
    return (folder / REPORTS / chosen_page(pages, name, lake)).absolute()


def fetched_page(spark: "SparkSession", lake: str, name: str | None) -> Path:
    """Path of a copy of a page of `local_page` that lies elsewhere, in the temporary folder."""
    from xlrec.runtime.hadoop import FileSystem

    pages = FileSystem(spark, f"{lake.rstrip('/')}/{REPORTS}")
    page = chosen_page([entry.name for entry in pages.list_children()], name, lake)
    path = Path(tempfile.mkdtemp(prefix="xlrec-"), page)
    pages.get_file(page, path)
    return path


def chosen_page(pages: Iterable[str], name: str | None, lake: str) -> str:
    """File name of the page of this name, or of the newest run by date and number.

    Raises:
        LakeError: it is not among them.
    """
    there = {page for page in pages if page.endswith(".html")}
    runs = sorted((match for match in map(_RUN.fullmatch, there) if match), key=lambda m: (m[1], int(m[2])))
    if name is None and runs:
        return runs[-1][0]
    if f"{name}.html" in there:
        return f"{name}.html"
    others = sorted(page.removesuffix(".html") for page in there if not _RUN.fullmatch(page))
    known = [*(match[0].removesuffix(".html") for match in runs[-3:]), *others[:3]]
    hint = f"it has {', '.join(known)}" if known else "it has none yet: `xlrec run` writes one"
    raise LakeError(f"the lake {lake} has no report{f' {name}' if name else ''}: {hint}")
