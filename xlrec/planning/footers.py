"""The Parquet files of an input: where they lie, how many rows they have, some of their columns."""

import glob
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xlrec.errors import InputError
from xlrec.runtime import machine


def parquet_files(place: str, name: str) -> list[str]:
    """The Parquet files at a path, folder or glob of this machine, sorted.

    Raises:
        InputError: There are none, or the path is remote.
    """
    folder = machine.local_folder(place)
    if folder is None:
        raise InputError(
            f"inputs.{name} is {place}, which lies elsewhere: `xlrec plan` reads files of this machine; copy a share "
            "of the files here, name it with --set, and give the whole's --users and --items"
        )
    roots = [Path(one) for one in sorted(glob.glob(str(folder)))]
    found = [file for root in roots for file in (sorted(root.rglob("*")) if root.is_dir() else [root])]
    files = [str(file) for file in found if file.is_file() and file.stat().st_size and not _hidden(file, roots)]
    if not files:
        raise InputError(f"there is no Parquet file for {name} at {place}: correct inputs.{name} in the config")
    return files


def _hidden(file: Path, roots: list[Path]) -> bool:
    root = next(one for one in roots if file == one or one in file.parents)
    below = file.relative_to(root).parts or (file.name,)
    other = "." in below[-1] and file.suffix not in (".parquet", ".parq", ".pq")
    return other or any(part.startswith(("_", ".")) and "=" not in part for part in below)


class Column:
    """Columns of an input, read by row groups."""

    def __init__(self, files: list[str], names: dict[str, str], name: str) -> None:
        """Reads the footers.

        Raises:
            InputError: A file is no Parquet.
        """
        self.names, self.name = names, name
        try:
            self.files = [pq.ParquetFile(file) for file in files]
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"{name}: a file cannot be read as Parquet ({error}): write it anew") from error
        self.n_rows = sum(file.metadata.num_rows for file in self.files)
        self.n_bytes = sum(Path(file).stat().st_size for file in files)
        self.groups = [(file, group) for file in self.files for group in range(file.num_row_groups)]

    def has(self, column: str) -> bool:
        """Whether the input has the layout's column."""
        return bool(self.files) and self.names.get(column, column) in self.files[0].schema_arrow.names

    def tables(self, columns: tuple[str, ...], most_rows: int) -> Iterator[pa.Table]:
        """Row groups with these columns, under the layout's names: all, or evenly spread ones of about so many rows.

        Raises:
            InputError: A column is missing.
        """
        wanted = [self.names.get(column, column) for column in columns]
        step = max(1, -(-self.n_rows // most_rows))
        for file, group in self.groups[::step]:
            missing = [name for name in wanted if name not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{self.name} has no column {missing[0]}, it has {', '.join(file.schema_arrow.names)}: map it in "
                    f"columns.{self.name} of the config"
                )
            yield file.read_row_group(group, columns=wanted).select(wanted).rename_columns(list(columns))
