"""Files in any file system that Spark knows, from the driver, with the user's settings and credentials."""

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from xlrec.errors import LakeError

#: Last file of a folder that `put_folder` writes: names, sizes and checksums of the others.
MANIFEST: Final = "_manifest.json"
_AZURE: Final = "org.apache.hadoop:hadoop-azure:{}"
#: Packages of file systems that Spark does not bring, by scheme; {} is Hadoop's version.
_PACKAGES: Final = {"s3a": "org.apache.hadoop:hadoop-aws:{}", "abfss": _AZURE, "abfs": _AZURE}
_AT_ONCE: Final = 8  # files: most are small, and an object store takes a while for each


class Entry(NamedTuple):
    """A child of a folder."""

    name: str
    is_folder: bool


class FileSystem:
    """The file system of one path or URL. Its methods raise LakeErrors where it does not answer or refuses."""

    def __init__(self, spark: SparkSession, place: str) -> None:
        """Loads the class of the file system of a URL; no request is made yet.

        Raises:
            LakeError: the class is missing, or refuses the settings.
        """
        context: Any = spark.sparkContext
        self.place, self.jvm = place, context._jvm
        hadoop = self.jvm.org.apache.hadoop
        package = _PACKAGES.get(place.partition("://")[0], "")
        with _lake_errors(place, "reached", package.format(hadoop.util.VersionInfo.getVersion())):
            self.root = hadoop.fs.Path(place)
            self.settings = context._jsc.hadoopConfiguration()
            self.system = self.root.getFileSystem(self.settings)
            self.local = hadoop.fs.FileSystem.getLocal(self.settings).getRaw()

    def _path(self, name: str) -> Any:
        return self.jvm.org.apache.hadoop.fs.Path(self.root, name) if name else self.root

    def exists(self, name: str = "") -> bool:
        """Whether there is such a file or folder below the place."""
        with _lake_errors(self.place, "read"):
            return bool(self.system.exists(self._path(name)))

    def list_children(self) -> list[Entry]:
        """Files and folders of the place, in no order; none where it is absent."""
        with _lake_errors(self.place, "listed"):
            statuses = self.system.listStatus(self.root) if self.system.exists(self.root) else []
        return [Entry(status.getPath().getName(), bool(status.isDirectory())) for status in statuses]

    def delete(self, name: str = "") -> None:
        """Deletes a file or a folder with all in it; nothing where it is absent."""
        with _lake_errors(self.place, "deleted from"):
            self.system.delete(self._path(name), True)

    def read_file(self, name: str = "") -> bytes:
        """A small file."""
        with _lake_errors(f"{self.place}/{name}", "read"), closing(self.system.open(self._path(name))) as stream:
            return bytes(self.jvm.org.apache.commons.io.IOUtils.toByteArray(stream))

    def read_line(self, name: str) -> str:
        """First line of a text file."""
        io = self.jvm.java.io
        with _lake_errors(f"{self.place}/{name}", "read"), closing(self.system.open(self._path(name))) as stream:
            return str(io.BufferedReader(io.InputStreamReader(stream, "UTF-8")).readLine())

    def write(self, content: bytes, name: str = "") -> None:
        """A small file, in place of an older one."""
        path = self._path(name)
        with _lake_errors(f"{self.place}/{name}", "written"), closing(self.system.create(path, True)) as stream:
            stream.write(bytearray(content))

    def put_folder(self, folder: Path) -> None:
        """Copies a local folder to the place. The manifest is its last file: with it the copy is whole."""
        self.delete()
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
        names = [path.relative_to(folder).as_posix() for path in paths]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            contents = dict(zip(names, pool.map(self._put_file, paths, names), strict=True))
        self.write(json.dumps(contents, indent=0, sort_keys=True).encode(), MANIFEST)

    def _put_file(self, path: Path, name: str) -> tuple[int, int]:
        """Size and checksum."""
        copy = self.jvm.org.apache.hadoop.fs.FileUtil.copy
        with _lake_errors(f"{self.place}/{name}", "written"):
            # As a stream: copyFromLocalFile of S3A asks more of a server than its writers do.
            copy(self.local, _local(self.jvm, path), self.system, self._path(name), False, True, self.settings)
        return path.stat().st_size, file_checksum(path)

    def get_folder(self, folder: Path) -> None:
        """Copies a folder of `put_folder` into a local one.

        Raises:
            LakeError: it is absent, not whole, or was changed.
        """
        if not self.exists(MANIFEST):
            raise LakeError(f"{self.place} is absent or was never finished: run the job that writes it again")
        contents: dict[str, list[int]] = json.loads(self.read_file(MANIFEST))

        def fetch(name: str) -> None:
            self.get_file(name, folder / name)
            if [(folder / name).stat().st_size, file_checksum(folder / name)] != contents[name]:
                raise LakeError(f"{self.place}/{name} is not what was written: run the job that writes it again")

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(fetch, contents))

    def get_file(self, name: str, path: Path) -> None:
        """Copies one file, or a folder with all in it, to a new path on this machine."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lake_errors(f"{self.place}/{name}", "read"):
            self.system.copyToLocalFile(False, self._path(name), _local(self.jvm, path), True)


def file_checksum(path: Path) -> int:
    """CRC-32 of a file."""
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def _local(jvm: Any, path: Path) -> Any:
    return jvm.org.apache.hadoop.fs.Path("file", None, str(path.absolute()))  # a URL would be read as it is written


def first_line(error: Py4JError) -> str:
    """First line of the JVM's error."""
    thrown = getattr(error, "java_exception", None)
    return str(error if thrown is None else thrown.toString()).partition("\n")[0]


@contextmanager
def _lake_errors(place: str, action: str, package: str = "") -> Iterator[None]:
    """LakeErrors of one line (`place cannot be action`) for those of the JVM; `package` brings the missing class."""
    try:
        yield
    except Py4JError as error:
        reason = first_line(error)
        fix = "check the address and the settings of its file system (spark.hadoop.*)"
        if "ClassNotFound" in reason or "No FileSystem for scheme" in reason:
            missing = "its file system's jars are missing: --packages or --jars"
            fix = f"give spark-submit --packages {package}" if package else missing
        raise LakeError(f"{place} cannot be {action} ({reason[:300]}): {fix}") from error
