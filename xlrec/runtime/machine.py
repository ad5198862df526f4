"""Facts about this machine: Java, Python workers, jars, memory, cores. None is looked up at import."""

import importlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from xlrec.errors import MachineError

#: CPU features that change how fast the kernels are, as /proc/cpuinfo names them.
CPU_FEATURES: Final = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "sve", "asimd")
_PROBE: Final = """
import importlib.util, json, sys
missing = [n for n in sys.argv[1:] if importlib.util.find_spec(n) is None]
print(json.dumps({"version": list(sys.version_info[:3]), "missing": missing}))
"""


@dataclass(frozen=True)
class Java:
    """A java: path, version (None: it does not run), and whether JAVA_HOME named it."""

    path: str
    version: str | None
    from_java_home: bool

    @property
    def major(self) -> int | None:
        """17 of 17.0.15, 8 of 1.8.0_402."""
        parts = re.findall(r"\d+", self.version or "")
        return int(parts[1] if parts[0] == "1" and len(parts) > 1 else parts[0]) if parts else None


class Python(NamedTuple):
    """The interpreter that Spark starts for its workers; version None: it does not run."""

    path: str
    version: tuple[int, int, int] | None
    missing: tuple[str, ...] = ()


class Executor(NamedTuple):
    """Facts about an executor, from one of its tasks: sizes in bytes, the free ones of its folder's disk to the GiB."""

    host: str
    folder: str
    python: tuple[int, int, int]
    missing: tuple[str, ...]
    """Modules that cannot be found."""
    free: int
    memory: int
    gpus: tuple[str, ...]


def describe_executor(modules: tuple[str, ...]) -> Executor:
    """In a task: facts about its executor, and the missing ones of these modules."""
    from pyspark import SparkFiles

    folder = str(SparkFiles.getRootDirectory())
    lacking = tuple(name for name in modules if importlib.util.find_spec(name) is None)
    free = free_bytes(Path(folder)) >> 30 << 30  # all its tasks see the same
    return Executor(socket.gethostname(), folder, sys.version_info[:3], lacking, free, memory_bytes(), gpu_names())


def find_java() -> Java | None:
    """The java that Spark would start: JAVA_HOME's where it is set, else the first on PATH."""
    home = os.environ.get("JAVA_HOME")
    path = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if path is None:
        return None
    match = re.search(r'version "([^"]+)"', _output([path, "-version"]) or "")
    return Java(path, match[1] if match else None, bool(home))


def worker_python(modules: tuple[str, ...] = ()) -> Python:
    """The Python of the workers (PYSPARK_PYTHON, else this one), and the missing ones of these modules."""
    path = os.environ.get("PYSPARK_PYTHON") or sys.executable
    output = _output([path, "-c", _PROBE, *modules])
    try:
        probed = json.loads((output or "").strip().rpartition("\n")[2])
        major, minor, patch = probed["version"]
        return Python(path, (major, minor, patch), tuple(probed["missing"]))
    except (ValueError, KeyError, TypeError):
        return Python(path, None)


def installed_version(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def delta_jar(package: str) -> Path | None:
    """The jar of this Maven coordinate: of Spark's own jars, or kept by Ivy since an earlier start."""
    group, artefact, release = package.split(":")
    paths = [_spark_home() / "jars" / f"{artefact}-{release}.jar"]
    for ivy in sorted(Path.home().glob(".ivy2*")):
        paths += [ivy / "cache" / group / artefact / "jars" / f"{artefact}-{release}.jar"]
        paths += [ivy / "jars" / f"{group}_{artefact}-{release}.jar"]
    return next((path for path in paths if path.is_file() and path.stat().st_size), None)


def spark_conf_folder() -> Path:
    """Folder of Spark's own settings, which may be absent: SPARK_CONF_DIR, else `conf` in Spark's home."""
    return Path(os.environ.get("SPARK_CONF_DIR") or _spark_home() / "conf")


def imported_extra(module: str, why: str, fix: str) -> Any:
    """A module of an optional extra.

    Raises:
        MachineError: it is not installed here, or misses a library of the system; `why … cannot be imported: fix`.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MachineError(f"{why} cannot be imported ({reason}): {fix}") from error


def local_folder(place: str) -> Path | None:
    """The folder on this machine that a path or a file: URL names; None for s3a:, abfss:, dbfs: and the like."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme and "://" in place else Path(place)


def is_submitted() -> bool:
    """Whether spark-submit started this process: its JVM runs already, and its workers' Python may lie elsewhere."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def is_local(master: str) -> bool:
    """Whether the driver's process does all of Spark's work."""
    return master == "local" or master.startswith("local[")


def cannot_write(folder: Path) -> str | None:
    """Reason why no file can be made in the folder, or where it would be created; None where one can."""
    place = _existing(folder)
    if not place.is_dir():
        return f"{place} is a file"
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return f"{place}: {(error.strerror or str(error)).lower()}"


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of the folder, or of the one where it would be created."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or its container's where that is less."""
    usable = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(limit).strip()
        if text.isdigit():
            usable = min(usable, int(text))
    return usable


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_names() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs of this machine, without torch; empty where its driver is absent."""
    names = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) if shutil.which("nvidia-smi") else None
    return tuple(filter(None, map(str.strip, (names or "").splitlines())))


@lru_cache
def cpu_flags() -> frozenset[str]:
    """Flags of this machine's processor; none where the system does not list them."""
    line = re.search(r"^(?:flags|features)\s*:(.*)$", _read("/proc/cpuinfo"), re.MULTILINE | re.IGNORECASE)
    return frozenset(line[1].split() if line else ())


def cpu_features() -> tuple[str, ...]:
    """Those of CPU_FEATURES that this CPU has; empty where they are unknown."""
    return tuple(name for name in CPU_FEATURES if name in cpu_flags())


def _output(command: list[str]) -> str | None:
    """Output of the command on both streams; None where it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stderr + done.stdout


def _spark_home() -> Path:
    spec = importlib.util.find_spec("pyspark")
    places = (spec.submodule_search_locations if spec else None) or [os.devnull]
    return Path(os.environ.get("SPARK_HOME") or places[0])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
