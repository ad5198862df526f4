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
#: Lists of declarations may be longer than code.
LONG = {"xlrec/tables.py", "xlrec/config/models.py"}


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
