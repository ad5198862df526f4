"""What the README tells people to type exists, and its smallest config loads."""

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from xlrec.cli.app import app
from xlrec.config.loading import validate

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def typed(program: str) -> list[str]:
    """First words after a program's name, in code of the README."""
    code = "\n".join(re.findall(r"```\w*\n(.*?)```", README, re.DOTALL) + re.findall(r"`([^`\n]+)`", README))
    code = re.sub(r"(^|\s)#.*", "", code)
    return sorted(set(re.findall(rf"(?:^|[\s(])\.?/?{program} ([a-z][a-z-]*)", code, re.MULTILINE)))


def test_every_command_of_the_readme_is_one_of_xlrec() -> None:
    named = typed("xlrec")
    assert len(named) > 8
    assert set(named) <= set(get_command(app).commands)  # type: ignore[attr-defined]  # typer gives a click group


def test_every_make_target_of_the_readme_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test"} <= set(typed("make")) <= targets


def test_every_job_that_the_readme_names_is_there() -> None:
    named = re.findall(r"(?<!tests/)jobs/[a-z_]+\.py", README)
    assert named
    assert all((ROOT / name).is_file() for name in named)


@pytest.mark.parametrize("text", [t for t in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "lake:" in t])
def test_the_smallest_config_of_the_readme_loads(text: str) -> None:
    assert validate(yaml.safe_load(text)).k == 10
