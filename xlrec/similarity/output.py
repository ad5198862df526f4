"""Output of the similarity program: a folder of Parquet or a Delta table, replaced only by a whole one."""

from dataclasses import replace
from typing import Final, Literal

from pyspark.sql import DataFrame

from xlrec.errors import ConfigError
from xlrec.lake.delta import Lake
from xlrec.runtime import machine
from xlrec.runtime.files import replaced_folder
from xlrec.tables import SIMILARITIES

Form = Literal["parquet", "delta"]
#: File or folder that marks a finished table of each form.
_MARKS: Final = {"parquet": "_SUCCESS", "delta": "_delta_log"}


def check_output(out: str, inputs: dict[str, str | None], form: Form, overwrite: bool) -> None:
    """Refuses an output that cannot be written; `inputs` holds the path of each input by its option.

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


def write_pairs(pairs: DataFrame, beside: Lake, path: str, form: Form) -> int:
    """Number of rows written: Delta in one commit that replaces the table, Parquet as a new folder.

    A folder of Parquet is written beside the old one and renamed, so that a run that fails leaves the old one whole.
    Object stores cannot rename folders: there Spark deletes the old files first, and only Delta replaces at once.
    """
    if form == "delta":
        return beside.replace_rows(replace(SIMILARITIES, name=path.rstrip("/").rpartition("/")[2]), pairs)
    out = machine.local_folder(path)
    if out is None:
        return _write_parquet(pairs, path)
    with replaced_folder(out) as new:
        new.parent.chmod(0o777)  # workers may run as another user
        return _write_parquet(pairs, str(new))


def _write_parquet(pairs: DataFrame, path: str) -> int:
    pairs.write.mode("overwrite").parquet(path)
    return pairs.sparkSession.read.parquet(path).count()
