"""Tables that the similarity program reads and writes; the output is replaced only by a whole one."""

from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Pairing:
    """Tables to compare, and the place of the result."""

    left: str
    out: str
    right: str | None = None  # None: left with itself, where a row never matches itself
    k: int = 10
    min_score: float = -1.0
    other_language_only: bool = False
    id_column: str = "id"
    text_column: str = "text"
    language_column: str | None = None  # None: `language`, where there is one
    languages: tuple[str, ...] = ()
    """Among which missing ones are detected. Empty: those in the tables, else `COMMON_LANGUAGES`."""
    form: Form = "parquet"
    overwrite: bool = False

    def check_output(self) -> None:
        """Refuses an output that cannot be written.

        Raises:
            ConfigError: the path exists already, is an input, or cannot be written.
        """
        out, local = self.out, machine.local_folder(self.out)
        for name, path in (("--left", self.left), ("--right", self.right)):
            folder = machine.local_folder(path) if path else None
            if path == out or (local and folder and folder.resolve() in (local.resolve(), *local.resolve().parents)):
                raise ConfigError(f"--out {out} lies in {name} {path}: name another folder")
        if local is None:
            return
        if local.exists():
            if not self.overwrite:
                raise ConfigError(f"--out {out} is there already: add --overwrite, or name another folder")
            if not (local / _MARKS[self.form]).exists():
                raise ConfigError(f"--out {out} is no {self.form} table to overwrite: name another folder")
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
