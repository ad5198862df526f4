"""Commands of the pages exist with the options that they are given, the README is short, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from xlrec.cli.app import app
from xlrec.config.loading import validate_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md", "conf/README.md", "jobs/README.md", "tests/bench/README.md", "xlrec/encoders/README.md",
    "xlrec/training/README.md",
]  # fmt: skip
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str, program: str) -> list[list[str]]:
    """Arguments of each call of a program in the sh blocks of a page."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines() if line.startswith(f"{program} ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


CALLS = [(page, call) for page in PAGES for call in commands((ROOT / page).read_text("utf-8"), "xlrec")]


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}-{' '.join(call)}" for page, call in CALLS])
def test_every_command_of_the_pages_takes_its_arguments(page: str, call: list[str]) -> None:
    name, *arguments = call
    known = get_command(app).commands  # type: ignore[attr-defined]  # typer gives a click group
    assert name in known, f"{page} names a command that is none"
    known[name].make_context(name, arguments)


def test_a_command_with_an_unknown_option_would_be_seen() -> None:
    with pytest.raises(Exception, match="No such option"):
        get_command(app).commands["run"].make_context("run", ["--speed", "9"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_of_the_pages_is_in_the_makefile(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / page).read_text("utf-8")
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_every_file_that_a_page_names_is_there(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
    for link in links:
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        heads = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in
                 re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)] if anchor else []  # fmt: skip
        assert not anchor or anchor in heads, f"{page} links to {link}"
    for name in re.findall(r"`((?:xlrec|jobs|tests|conf)/[\w/.]+\.\w+)`", text):
        assert (ROOT / name).exists(), f"{page} names {name}"


def test_the_readme_is_short_and_its_picture_is_right_in_light_and_dark() -> None:
    assert len(README.encode()) <= 10_000
    picture = (ROOT / ".github" / "flow.svg").read_text("utf-8")
    assert "prefers-color-scheme: dark" in picture
    assert "<title" in picture


@pytest.mark.parametrize("text", [text for text in blocks(README, "yaml") if "lake:" in text])
def test_the_smallest_config_of_the_readme_loads(text: str) -> None:
    assert validate_config(yaml.safe_load(text)).k == 10
