"""Checks of this machine: all of them for `xlrec doctor`, the quick ones before each session."""

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from xlrec.errors import MachineError
from xlrec.runtime import machine

#: Versions of Java that Spark 4.1 and 4.2 run on; xlrec is tried on the first.
JAVA_VERSIONS: Final = (17, 21)
PYTHON_VERSIONS: Final = ((3, 11), (3, 12))
#: Modules that a Python worker imports.
WORKER_MODULES: Final = ("numpy", "pandas", "pyarrow", "numba", "pydantic")
GIB: Final = 1 << 30
_MIN_MEMORY: Final = 4 * GIB
MIN_DISK: Final = 2 * GIB
_GET_JAVA: Final = (
    "install Java 17 (Debian and Ubuntu: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17; "
    "conda: conda install openjdk=17) and set JAVA_HOME if it is not the first on PATH"
)


@dataclass(frozen=True)
class Check:
    """Result of one check, with a remedy unless it passed."""

    name: str
    ok: bool
    seen: str
    fix: str = ""
    required: bool = True
    """False: xlrec runs without it, slower or smaller."""


def checks(lake: str | None = None, *, resolve: bool = False) -> list[Check]:
    """Checks of everything that xlrec needs of a machine. None: the lake would lie in the working directory.

    `resolve` starts Spark once to fetch Delta's jars where they are not here yet, which needs the network.
    """
    return [
        *([] if machine.is_submitted() else [check_java(), check_workers()]),
        check_python(),
        check_versions(),
        check_delta_jars(resolve),
        check_writable("lake", lake or "."),
        check_writable("temporary files", _scratch()),
        check_disk(lake or "."),
        check_memory(),
        check_cores(),
        check_gpu(),
    ]


def require_machine(lake: str | None = None) -> None:
    """Raises MachineError, one line, on a machine on which no session can start; takes well under a second."""
    quick = [check_python()]
    if not machine.is_submitted():
        quick.append(check_java())
        if os.environ.get("PYSPARK_PYTHON", sys.executable) != sys.executable:
            quick.append(check_workers(()))
    quick += [check_writable("temporary files", _scratch()), *([check_writable("lake", lake)] if lake else [])]
    for check in quick:
        if not check.ok:
            raise MachineError(f"{check.name}: {check.seen}; {check.fix}")


def failed_checks(results: Iterable[Check]) -> list[str]:
    """Names of the required checks that failed."""
    return [check.name for check in results if check.required and not check.ok]


def checks_table(results: Iterable[Check]) -> Table:
    """The checks as a table, with the remedy below each failed one."""
    shown = Table(box=SIMPLE_HEAD)
    for name in ("", "check", "seen"):
        shown.add_column(name, overflow="fold")
    for check in results:
        mark, style = ("ok", "green") if check.ok else ("FAILED", "bold red") if check.required else ("note", "yellow")
        seen = Text(check.seen)
        if not check.ok and check.fix:
            seen.append(f"\n→ {check.fix}", style="" if check.required else "dim")
        shown.add_row(Text(mark, style=style), check.name, seen)
    return shown


def check_java() -> Check:
    """Java of a version that Spark runs on."""
    java = machine.find_java()
    if java is None:
        return Check("Java", False, "no java on PATH and JAVA_HOME is not set", _GET_JAVA)
    where = f"{java.path} ({'from JAVA_HOME' if java.from_java_home else 'first on PATH'})"
    if java.version is None:
        return Check("Java", False, f"{where} does not run", f"{_GET_JAVA}; or correct JAVA_HOME")
    seen = f"Java {java.version}, {where}"
    return Check("Java", java.major in JAVA_VERSIONS, seen, f"{_either(JAVA_VERSIONS)} is needed: {_GET_JAVA}")


def check_python() -> Check:
    """Python of the driver."""
    here = sys.version_info[:3]
    seen = f"Python {version_text(here)}, {sys.executable}"
    allowed = _either([version_text(each) for each in PYTHON_VERSIONS])
    return Check("Python", here[:2] in PYTHON_VERSIONS, seen, f"run xlrec with Python {allowed}")


def check_workers(modules: tuple[str, ...] = WORKER_MODULES) -> Check:
    """Python of the workers: the driver's version, with the modules that workers import."""
    name, python = "Python of the workers", machine.worker_python(modules)
    unset = f"unset PYSPARK_PYTHON, or set it to {sys.executable}"
    if python.version is None:
        return Check(name, False, f"{python.path} does not run", unset)
    seen = f"Python {version_text(python.version)}, {python.path}"
    if python.version[:2] != sys.version_info[:2]:
        return Check(name, False, f"{seen}, but the driver's is {version_text(sys.version_info[:2])}", unset)
    if python.missing:
        seen += f", without {', '.join(python.missing)}"
    return Check(name, not python.missing, seen, f"install xlrec there too, or {unset}")


def check_versions() -> Check:
    """Spark and Delta of versions that were tried together."""
    from xlrec.runtime.session import DELTA_VERSION, SPARK_VERSIONS

    name = "Spark and Delta"
    spark, delta = machine.installed_version("pyspark"), machine.installed_version("delta-spark")
    fix = "pip install 'xlrec[local]' brings versions that were tried together"
    if spark is None and machine.is_submitted():  # a cluster's own, whose jars bring Delta's Python
        spark, delta = str(importlib.import_module("pyspark").__version__), DELTA_VERSION
        fix = f"xlrec needs Spark {_either(SPARK_VERSIONS)}"
    if spark is None or delta is None:
        lacking = [each for each, version in (("pyspark", spark), ("delta-spark", delta)) if version is None]
        return Check(name, False, f"{' and '.join(lacking)} is not installed", fix)
    tried = spark.rpartition(".")[0] in SPARK_VERSIONS
    seen = f"pyspark {spark}, delta-spark {delta}"
    return Check(name, tried and delta == DELTA_VERSION, seen, fix, required=not tried)


def check_delta_jars(resolve: bool = False) -> Check:
    """Delta's jars: here already, or fetched now where `resolve`."""
    from xlrec.runtime.session import delta_package

    name, package = "Delta jars", delta_package()
    jar = machine.delta_jar(package)
    reason = _start_spark() if jar is None and resolve else ""
    jar = jar or machine.delta_jar(package)
    if jar is not None:
        return Check(name, True, f"{package}, {jar.parent}: starts work offline")
    if not resolve:
        return Check(name, True, f"{package} is not here yet: the first start fetches it (needs the network)")
    fix = "let this machine reach a Maven repository once, or put the jar into Spark's jars folder"
    return Check(name, False, f"{package} cannot be fetched: {reason}", fix)


def check_writable(name: str, place: str) -> Check:
    """Whether files can be made in a folder of this machine; remote storage is left to Spark."""
    folder = machine.local_folder(place)
    if folder is None:
        return Check(name, True, f"{place}: remote, tried when the run starts")
    reason = machine.cannot_write(folder)
    fix = f"give this user write permission, or name another folder for {name}"
    return Check(name, reason is None, f"cannot write to {reason}" if reason else f"{folder.absolute()}: writable", fix)


def check_disk(place: str) -> Check:
    """Free disk below the lake."""
    free = machine.free_bytes(machine.local_folder(place) or Path(_scratch()))
    fix = "free some: Spark's shuffles and the lake need room"
    return Check("disk", free >= MIN_DISK, f"{free / GIB:,.1f} GiB free", fix, required=False)


def check_memory() -> Check:
    """Memory for the driver's heap and the Python workers."""
    memory = machine.memory_bytes()
    fix = "set spark.driver_memory to about half of it, or use a machine with at least 4 GiB"
    return Check("memory", memory >= _MIN_MEMORY, f"{memory / GIB:,.1f} GiB", fix, required=False)


def check_cores() -> Check:
    """Cores and CPU features; informative only."""
    return Check("cores", True, ", ".join([f"{machine.cores()} cores", *machine.cpu_features()]), required=False)


def check_gpu() -> Check:
    """A GPU that torch sees; xlrec runs without."""
    fix = "none is needed; embedding is faster with one"
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError):
        return Check("GPU", False, "torch is not installed", fix, required=False)
    if not torch.cuda.is_available():
        return Check("GPU", False, f"none that torch {torch.__version__} can use", fix, required=False)
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return Check("GPU", True, ", ".join(names), required=False)


def _start_spark() -> str:
    """Last line of a process that starts and stops Spark, which fetches the jars."""
    imports = "from xlrec.config.models import SparkConfig; from xlrec.runtime.session import start_session"
    code = f"{imports}; start_session(SparkConfig(master='local[1]')).stop()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return "no answer in 300 seconds"
    return (done.stderr.strip().splitlines() or ["Spark said nothing"])[-1]


def _scratch() -> str:
    return os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or tempfile.gettempdir()


def version_text(parts: Iterable[int]) -> str:
    """Text of a version, such as 3.11.9."""
    return ".".join(map(str, parts))


def _either(allowed: Iterable[object]) -> str:
    return " or ".join(map(str, allowed))
