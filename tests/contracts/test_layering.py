"""Imports point one way, the top of the repo holds what the design says, files stay small."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = {"pyproject.toml", "jobs", "xlrec", "tests", "conf", "Makefile", "README.md", "LICENSE"}
#: Folders and loose modules, lowest first: each imports from those above it in this list, and never the other way.
ORDER = (
    "errors", "kernels.base", "kernels.text", "kernels.search", "kernels.history", "kernels.ranking",
    "kernels.evaluation", "tables", "config", "runtime", "lake", "encoders", "translators", "recommenders", "index",
    "datasets", "training", "stages", "similarity", "planning", "reporting", "pipeline", "cli",
)  # fmt: skip
#: A list of declarations may be longer than code.
LONG = {"xlrec/config/models.py"}


def room(module: str) -> str:
    """The folder of a module, without `xlrec`: that of the six below it for a kernel."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[:1] == ["kernels"] else 1])


def imported(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def backward(module: str, source: str) -> list[str]:
    """Imports of this module that its folder must not have: of later folders, in kernels of others than kernels."""
    mine = room(module)
    wrong = []
    for name in imported(source):
        theirs = room(name) if name.startswith("xlrec.") else ""
        if theirs in ORDER and ORDER.index(theirs) > ORDER.index(mine):
            wrong.append(name)
        foreign = theirs.split(".")[0] not in ("", "kernels") or name.split(".")[0] in ("pyspark", "delta")
        if mine.startswith("kernels") and foreign:
            wrong.append(name)
        if mine == theirs == "stages" and name.split(".")[2] != module.split(".")[2]:
            wrong.append(name)
    return wrong


#: Modules that open files, read clocks or talk to the system.
SYSTEM = {
    "time", "datetime", "pathlib", "os", "io", "shutil", "tempfile", "sys", "subprocess", "socket", "glob", "logging",
}  # fmt: skip
#: Functions without side effects that a module may call when it is imported, beside classes (`CapWords`) and its own.
PURE = {
    "add_typer", "append", "arange", "array", "binary", "bool", "bool_", "cast", "command", "compile", "concatenate",
    "count", "date", "datetime", "dict", "dtype", "escape", "factorial", "field", "finfo", "float", "float32",
    "float64", "fromkeys", "frozenset", "getLogger", "iinfo", "int", "int32", "int64", "items", "join", "keys", "len",
    "list", "list_", "maketrans", "map", "max", "min", "namedtuple", "partial", "range", "replace", "resolve", "rstrip",
    "schema", "set", "sorted", "split", "str", "strerror", "string", "struct", "sum", "timedelta", "timestamp",
    "tuple", "uint32", "uint64", "values", "with_name", "zeros", "zip",
}  # fmt: skip
#: Modules that work at import: `xlrec` names the place of numba's cache, which numba reads at the first kernel.
WORKING = {"xlrec", "xlrec.cli.__main__"}


def impure(source: str) -> list[str]:
    """Files and clocks that a kernel must not touch."""
    wrong = [name for name in imported(source) if name.split(".")[0] in SYSTEM]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "Path"):
            wrong.append(node.func.id)
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not docstring:
            wrong += [node.value] if node.value.startswith(("/proc", "/sys", "/dev", "/etc")) else []
    return wrong


def work_at_import(source: str) -> list[str]:
    """Calls with side effects that run when a module is imported, also within its own functions that it calls then."""
    tree = ast.parse(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assigned = {ast.unparse(target) for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    assigned |= {ast.unparse(node.target) for node in tree.body if isinstance(node, ast.AnnAssign)}
    visited: set[str] = set()
    wrong: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            return
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.split(".")[-1]
            if name in functions:
                body = functions[name].body if name not in visited else []
                visited.add(name)
                for statement in body:
                    visit(statement)
            elif not isinstance(node.func, ast.Call) and not (
                last[:1].isupper() or last.lstrip("_")[:1].isupper() or last in PURE or name.split(".")[0] in assigned
            ):
                wrong.append(name)
        decorators = node.decorator_list if isinstance(node, ast.ClassDef) else []
        for child in ast.iter_child_nodes(node):
            if child not in decorators:
                visit(child)

    visit(tree)
    return wrong


def modules() -> list[tuple[str, Path]]:
    files = sorted((ROOT / "xlrec").rglob("*.py"))
    return [(".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), f) for f in files]


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_imports_point_one_way_and_stages_meet_only_in_tables(module: str, path: Path) -> None:
    if module not in ("xlrec", "xlrec.kernels"):
        assert room(module) in ORDER, f"{module}: give its folder a place in the order of this test"
        assert backward(module, path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("xlrec.kernels.search.topk", "from xlrec.stages import rank"),
        ("xlrec.kernels.search.topk", "import pyspark"),
        ("xlrec.stages.rank", "from xlrec.pipeline.run import Run"),
        ("xlrec.stages.rank", "from xlrec.stages.retrieve import retrieve"),
        ("xlrec.encoders.base", "def f():\n    from xlrec.index.items import ItemIndex"),
    ],
)
def test_the_layering_test_sees_a_backward_import(module: str, source: str) -> None:
    assert backward(module, source)


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_kernels_know_no_file_and_no_clock_and_nothing_happens_at_import(module: str, path: Path) -> None:
    source = path.read_text()
    assert not module.startswith("xlrec.kernels.") or impure(source) == []
    assert module in WORKING or work_at_import(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import perf_counter",
        "def f():\n    from datetime import datetime",
        "import os.path",
        "from pathlib import Path",
        "def f():\n    return open('x').read()",
        "CPU = '/proc/cpuinfo'",
    ],
)
def test_the_kernel_test_sees_a_file_and_a_clock(source: str) -> None:
    assert impure(source)


@pytest.mark.parametrize(
    "source",
    [
        "start()",
        "import numpy as np\nnp.random.seed(0)",
        "import os\nHOME = os.environ.get('HOME')",
        "from pathlib import Path\nTEXT = Path('x').read_text()",
        "import logging\nlogging.basicConfig()",
        "SESSION = SparkSession.builder.getOrCreate()",
        "class A:\n    x = open('y')",
        "def _read():\n    return open('x').read()\nTEXT = _read()",
        "if True:\n    start()",
    ],
)
def test_the_import_test_sees_work(source: str) -> None:
    assert work_at_import(source)


def test_the_import_test_lets_declarations_pass() -> None:
    source = """
import re
from functools import lru_cache
WORD = re.compile("x")
KINDS = frozenset({1}) | set(range(3))
@lru_cache(maxsize=1)
def f():
    return open("x")
def _double(x):
    return 2 * x
TWO = _double(1)
class A:
    def g(self):
        start()
"""
    assert work_at_import(source) == []


def test_only_the_lake_knows_delta() -> None:
    users = {name for name, path in modules() if any(i.split(".")[0] == "delta" for i in imported(path.read_text()))}
    assert users <= {"xlrec.lake.delta"}


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_the_top_of_the_repo_holds_what_the_design_names() -> None:
    tops = {name.split("/")[0] for name in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP


def test_jobs_stay_under_40_lines_and_files_under_300() -> None:
    for name in tracked():
        if name.endswith(".py") and name not in LONG and (ROOT / name).exists():
            n_lines = len((ROOT / name).read_text().splitlines())
            assert n_lines < (40 if name.startswith("jobs/") else 300), f"{name}: {n_lines} lines"


def test_no_test_imports_another() -> None:
    for name in tracked():
        if name.startswith("tests/") and name.endswith(".py") and (ROOT / name).exists():
            modules = [module.split(".") for module in imported((ROOT / name).read_text())]
            assert not [parts for parts in modules if any(part.startswith("test_") for part in parts[:2])], name
