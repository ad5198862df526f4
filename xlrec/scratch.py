"""Where numba keeps what it compiled when neither the code's folder nor the home can be written, as in an archive.

Code that spark-submit ships by --py-files is imported out of the archive, and containers often have a home that nobody
may write: without a place for its cache, numba refuses to import a kernel.
"""

import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

_VARIABLE: Final = "NUMBA_CACHE_LOCATOR_CLASSES"
#: numba's own, in its order, then ours.
_LOCATORS: Final = (
    "UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator,"
    "xlrec.scratch.ScratchLocator"
)  # fmt: skip


def offer() -> None:
    """From here on numba asks for the place below where it knows none; what the environment says wins."""
    os.environ.setdefault(_VARIABLE, _LOCATORS)
    if "numba" in sys.modules:  # it has read the environment
        sys.modules["numba"].config.CACHE_LOCATOR_CLASSES = os.environ[_VARIABLE]


class ScratchLocator:
    """numba's cache of one source file in the temporary folder, a folder a user; as `numba.core.caching` calls it."""

    def __init__(self, function: Any, file: str) -> None:
        """Takes the function and its source file, which may lie in an archive."""
        self.line, self.file = str(function.__code__.co_firstlineno), Path(file)
        self.real = next(path for path in (self.file, *self.file.parents) if path.exists())
        name = sha256(str(self.file.parent).encode()).hexdigest()[:16]
        self.folder = Path(tempfile.gettempdir(), f"xlrec-numba-{os.getuid()}", name)

    @classmethod
    def from_function(cls, function: Any, file: str) -> "ScratchLocator | None":
        """The place, None where it is no user's own."""
        found = cls(function, file)
        try:
            found.ensure_cache_path()
        except OSError:
            return None
        return found

    def ensure_cache_path(self) -> None:
        """Makes the folder, which nobody else may write: what lies in it is run."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.folder.parent} is somebody else's")
        self.folder.parent.chmod(0o700)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self.folder)

    def get_source_stamp(self) -> tuple[float, int]:
        """What changes when the code does: time and size of the file, or of the archive."""
        told = self.real.stat()
        return told.st_mtime, told.st_size

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return self.line
