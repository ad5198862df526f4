"""Output of the similarity program: a folder of Parquet or a Delta table, replaced only by a whole one."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from pyspark.sql import DataFrame

from xlrec.errors import ConfigError
from xlrec.lake.delta import Lake
from xlrec.runtime import machine
from xlrec.tables import SIMILARITIES

Form = Literal["parquet", "delta"]
#: File or folder that marks a finished table of each form.
_MARKS: Final = {"parquet": "_SUCCESS", "delta": "_delta_log"}


def check_output(out: str, inputs: dict[str, str | None], form: Form, overwrite: bool) -> None:
    """Refuses an output that cannot be written.

    Args:
        out: Path of the output.
        inputs: Path of each input by its option; None: not given.
        form: Of the output.
        overwrite: Whether a table at the path may be replaced.

    Raises:
        ConfigError: the path exists already, is an input, or cannot be written.
    """
    local = machine.local_folder(out)
    for name, path in inputs.items():
        folder = machine.local_folder(path) if path else None
        if path == out or (local and folder and folder.resolve() in (local.resolve(), *local.resolve().parents)):
            raise ConfigError(f"--out {out} lies in {name} {path}: name another folder")
    if local is None:
        return
    if local.exists():
        if not overwrite:
            raise ConfigError(f"--out {out} is there already: add --overwrite, or name another folder")
        if not (local / _MARKS[form]).exists():
            raise ConfigError(f"--out {out} is no {form} table to overwrite: name another folder")
    reason = machine.cannot_write(local.absolute().parent)
    if reason:
        raise ConfigError(f"--out: cannot write to {reason}: name another folder")


def write_pairs(pairs: DataFrame, path: str, form: Form) -> int:
    """Number of rows written: Delta in one commit that replaces the table, Parquet as a new folder.

    A folder of Parquet is written beside the old one and renamed, so that a run that fails leaves the old one whole.
    Object stores cannot rename folders: there Spark deletes the old files first, and only Delta replaces at once.
    """
    spark = pairs.sparkSession
    if form == "delta":
        root, _, name = path.rstrip("/").rpartition("/")
        return Lake(spark, root).replace_rows(replace(SIMILARITIES, name=name), pairs)
    out = machine.local_folder(path)
    if out is None:
        pairs.write.mode("overwrite").parquet(path)
        return spark.read.parquet(path).count()
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    try:
        beside.chmod(0o777)  # workers may run as another user
        pairs.write.parquet(str(beside / "new"))
        n_pairs = spark.read.parquet(str(beside / "new")).count()
        _replace(beside / "new", out, beside / "old")
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return n_pairs


def _replace(new: Path, out: Path, aside: Path) -> None:
    """Puts the new folder where the old one was, which is moved aside; back where the new one cannot be moved."""
    if not out.exists():
        new.rename(out)
        return
    out.rename(aside)
    try:
        new.rename(out)
    except OSError:
        aside.rename(out)
        raise
