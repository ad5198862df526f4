"""Imports point one way, the top of the repo holds what the design says, files stay small."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = {"pyproject.toml", "jobs", "xlrec", "tests", "conf", "Makefile", "README.md", "LICENSE"}
#: Layer of each room: a module imports from its own layer and below, and kernels from nobody.
LAYERS = {
    "kernels": 0, "errors": 0, "sums": 0, "tasks": 0, "worker": 0, "scratch": 0,
    "tables": 1, "config": 1, "index": 1,
    "encoders": 2, "recommenders": 2, "index_files": 2, "index_writer": 2, "index_learnt": 2,
    "index_ivf": 2, "search": 2,
    "machine": 2, "hadoop": 2, "files": 2, "tracking": 2, "startup": 2,
    "translators": 2, "devices": 2,
    "stages": 3, "training": 3, "datasets": 3, "inputs": 3, "lake": 3, "session": 3, "settings": 3,
    "heartbeat": 4, "readers": 4, "releases": 4, "progress": 4, "planning": 4, "reporting": 4,
    "similarity": 4, "doctor": 4, "cluster": 4,
    "pipeline": 5,
    "cli": 6,
}  # fmt: skip
#: Lists of declarations may be longer than code.
LONG = {"xlrec/tables.py", "xlrec/config.py"}


def room(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def imported(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{a.name}" for a in node.names] if node.module == "xlrec" else [node.module]
    return found


def backward(module: str, source: str) -> list[str]:
    """Imports of this module that point to a higher layer, or that its layer must not have."""
    mine = room(module)
    wrong = []
    for name in imported(source):
        theirs = room(name) if name.startswith("xlrec.") else ""
        if theirs in LAYERS and LAYERS[theirs] > LAYERS[mine]:
            wrong.append(name)
        if mine == "kernels" and (theirs not in ("", "kernels") or name.split(".")[0] in ("pyspark", "delta")):
            wrong.append(name)
        if mine == "stages" and theirs == "stages" and name.split(".")[2:3] not in ([], module.split(".")[2:3]):
            wrong.append(name)
    return wrong


def modules() -> list[tuple[str, Path]]:
    files = sorted((ROOT / "xlrec").rglob("*.py"))
    return [(".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), f) for f in files]


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_imports_point_one_way_and_stages_meet_only_in_tables(module: str, path: Path) -> None:
    if room(module):
        assert room(module) in LAYERS, f"{module}: give its room a layer in this test"
        assert backward(module, path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("xlrec.kernels.topk", "from xlrec.stages import rank"),
        ("xlrec.kernels.topk", "import pyspark"),
        ("xlrec.stages.rank", "from xlrec.pipeline.run import Run"),
        ("xlrec.stages.rank", "from xlrec.stages.retrieve import retrieve"),
        ("xlrec.encoders.base", "def f():\n    from xlrec import lake"),
    ],
)
def test_the_layering_test_sees_a_backward_import(module: str, source: str) -> None:
    assert backward(module, source)


def test_only_the_lake_knows_delta() -> None:
    users = {name for name, path in modules() if any(i.split(".")[0] == "delta" for i in imported(path.read_text()))}
    assert users <= {"xlrec.lake"}


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
