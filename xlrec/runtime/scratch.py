"""Temporary folders: one of the user's for code in an archive (numba's cache, the package's files), one a process.

Code that spark-submit ships by --py-files is imported out of the archive, and containers often have a home that nobody
may write: without a place for its cache, numba refuses to import a kernel, and no file of the package lies on a disk.
"""

import atexit
import os
import shutil
import tempfile
import zipfile
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from xlrec.errors import MachineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Suffixes of files that a worker has no use for.
_LEFT_OUT: Final = (".pyc", ".nbi", ".nbc")
#: Setting of the session that holds `spark.scratch` of the config.
SCRATCH: Final = "spark.xlrec.scratch"
#: numba's own, in its order, then ours.
_LOCATORS: Final = (
    "UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator,"
    "xlrec.runtime.scratch.ScratchLocator"
)  # fmt: skip


def use_cache() -> None:
    """Names numba's places for its cache, ours last, for this process and its children; the user's own setting wins."""
    os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", _LOCATORS)


def own_folder() -> Path:
    """The user's folder; PermissionError if it is somebody else's, who could write there: its content is run."""
    folder = Path(tempfile.gettempdir(), f"xlrec-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    folder.chmod(0o700)
    return folder


def archive_of(path: Path) -> Path | None:
    """The archive that a path leads into; None for one on a disk."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return None if existing == path or existing.is_dir() else existing


@lru_cache
def content_of(archive: Path) -> str:
    """Name of an archive's content, whatever its own name and age: every application has a copy of the same code."""
    with zipfile.ZipFile(archive) as opened:
        entries = sorted((entry.filename, entry.file_size, entry.CRC) for entry in opened.infolist())
    return sha256(repr(entries).encode()).hexdigest()[:16]


def package_folder(path: Path) -> Path:
    """A folder of the package, beside a `__file__`, on a disk: the machine's copy where the package is an archive."""
    archive = archive_of(path)
    if archive is None:
        return path
    target, inner = own_folder() / content_of(archive), path.relative_to(archive).as_posix()
    if not (target / inner).is_dir():
        with tempfile.TemporaryDirectory(dir=own_folder()) as scratch, zipfile.ZipFile(archive) as opened:
            opened.extractall(scratch, [name for name in opened.namelist() if name.startswith(f"{inner}/")])
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # another process was first
                (Path(scratch) / inner).rename(target / inner)
    return target / inner


def package_archive(folder: Path) -> Path:
    """A new archive in the folder, of the package as this process runs it, for workers: equal code, equal bytes."""
    package, target = Path(__file__).parents[1], folder / "xlrec.zip"
    archive = archive_of(Path(__file__))
    if archive is not None:
        target.write_bytes(archive.read_bytes())
        return target
    with zipfile.ZipFile(target, "w") as opened:
        for path in sorted(path for path in package.rglob("*") if path.is_file() and path.suffix not in _LEFT_OUT):
            entry = zipfile.ZipInfo(path.relative_to(package.parent).as_posix())  # dated 1980, as all
            opened.writestr(entry, path.read_bytes())
    return target


def scratch_of(spark: "SparkSession") -> str:
    """A folder on the driver's disk that is deleted with its process: below `spark.scratch`, or the temporary folder.

    Raises:
        MachineError: no folder can be made there.
    """
    below = spark.conf.get(SCRATCH, None)
    try:
        return _scratch(below)
    except OSError as error:
        seen = f"no folder can be made in {below or tempfile.gettempdir()} ({error.strerror})"
        raise MachineError(f"{seen}: name another in spark.scratch") from error


@lru_cache
def _scratch(below: str | None) -> str:
    folder = tempfile.mkdtemp(prefix="xlrec-", dir=below)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class ScratchLocator:
    """Place of numba's cache of one source file, below the user's folder; as `numba.core.caching` calls it."""

    def __init__(self, function: Any, file: str) -> None:
        """Takes the function and its source file, which may lie in an archive."""
        path = Path(file)
        self.line, self.file, self.archive = str(function.__code__.co_firstlineno), path, archive_of(path)
        place = f"{content_of(self.archive)} {path.relative_to(self.archive)}" if self.archive else str(path.parent)
        self.folder = own_folder() / "numba" / sha256(place.encode()).hexdigest()[:16]

    @classmethod
    def from_function(cls, function: Any, file: str) -> "ScratchLocator | None":
        """The place; None where the folder cannot be the user's own."""
        with suppress(OSError):
            locator = cls(function, file)
            locator.ensure_cache_path()
            return locator
        return None

    def ensure_cache_path(self) -> None:
        """Makes the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self.folder)

    def get_source_stamp(self) -> tuple[float, int]:
        """Stamp of the code: time and size of the file; constant in an archive, whose folder has another name."""
        if self.archive:
            return 0.0, 0
        status = self.file.stat()
        return status.st_mtime, status.st_size

    def get_disambiguator(self) -> str:
        """Line of the function, for functions of one name."""
        return self.line
