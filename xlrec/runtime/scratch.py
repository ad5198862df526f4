"""A temporary folder of the user's own, for code in an archive: numba's cache, and files of the package.

Code that spark-submit ships by --py-files is imported out of the archive, and containers often have a home that nobody
may write: without a place for its cache, numba refuses to import a kernel, and no file of the package lies on a disk.
"""

import os
import sys
import tempfile
import zipfile
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

#: What a worker has no use for.
_LEFT_OUT: Final = (".pyc", ".nbi", ".nbc")
_VARIABLE: Final = "NUMBA_CACHE_LOCATOR_CLASSES"
#: numba's own, in its order, then ours.
_LOCATORS: Final = (
    "UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator,"
    "xlrec.runtime.scratch.ScratchLocator"
)  # fmt: skip


def offer() -> None:
    """From here on numba asks for the place below where it knows none; what the environment says wins."""
    os.environ.setdefault(_VARIABLE, _LOCATORS)
    if "numba" in sys.modules:  # it has read the environment
        sys.modules["numba"].config.CACHE_LOCATOR_CLASSES = os.environ[_VARIABLE]


def own_folder() -> Path:
    """The folder, which nobody else may write: what lies in it is run.

    Raises:
        PermissionError: somebody else's is in its place.
    """
    folder = Path(tempfile.gettempdir(), f"xlrec-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    folder.chmod(0o700)
    return folder


def archive_of(path: Path) -> Path | None:
    """The archive that a path leads into; None for one on a disk."""
    found = next(parent for parent in (path, *path.parents) if parent.exists())
    return None if found == path or found.is_dir() else found


@lru_cache
def content_of(archive: Path) -> str:
    """Names what is in an archive, whatever its own name and age: each application gets a copy of the same code."""
    with zipfile.ZipFile(archive) as opened:
        told = sorted((one.filename, one.file_size, one.CRC) for one in opened.infolist())
    return sha256(repr(told).encode()).hexdigest()[:16]


def package_folder(path: Path) -> Path:
    """A folder of the package as one on a disk: itself, or where the package is an archive, a copy a machine.

    Args:
        path: Beside a module, by its `__file__`.
    """
    archive = archive_of(path)
    if archive is None:
        return path
    target, inner = own_folder() / content_of(archive), path.relative_to(archive).as_posix()
    if not (target / inner).is_dir():
        with tempfile.TemporaryDirectory(dir=own_folder()) as scratch, zipfile.ZipFile(archive) as opened:
            opened.extractall(scratch, [one for one in opened.namelist() if one.startswith(f"{inner}/")])
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # another process was first
                (Path(scratch) / inner).rename(target / inner)
    return target / inner


def package_archive(folder: Path) -> Path:
    """An archive of the package as this process runs it, for workers: the same bytes of the same code.

    Args:
        folder: Where it is made.
    """
    package, target = Path(__file__).parents[1], folder / "xlrec.zip"
    archive = archive_of(Path(__file__))
    if archive is not None:
        target.write_bytes(archive.read_bytes())
        return target
    with zipfile.ZipFile(target, "w") as opened:
        for path in sorted(path for path in package.rglob("*") if path.is_file() and path.suffix not in _LEFT_OUT):
            told = zipfile.ZipInfo(path.relative_to(package.parent).as_posix())  # of 1980, as all
            opened.writestr(told, path.read_bytes())
    return target


class ScratchLocator:
    """numba's cache of one source file in the temporary folder, a folder a user; as `numba.core.caching` calls it."""

    def __init__(self, function: Any, file: str) -> None:
        """Takes the function and its source file, which may lie in an archive."""
        path = Path(file)
        self.line, self.file, self.archive = str(function.__code__.co_firstlineno), path, archive_of(path)
        place = f"{content_of(self.archive)} {path.relative_to(self.archive)}" if self.archive else str(path.parent)
        self.folder = own_folder() / "numba" / sha256(place.encode()).hexdigest()[:16]

    @classmethod
    def from_function(cls, function: Any, file: str) -> "ScratchLocator | None":
        """The place, None where it is no user's own."""
        try:
            found = cls(function, file)
            found.ensure_cache_path()
        except OSError:
            return None
        return found

    def ensure_cache_path(self) -> None:
        """Makes the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self.folder)

    def get_source_stamp(self) -> tuple[float, int]:
        """What changes when the code does: time and size of the file; in an archive the folder's name does."""
        if self.archive:
            return 0.0, 0
        told = self.file.stat()
        return told.st_mtime, told.st_size

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return self.line
