"""`xlrec report` finds the page that is asked for; without a name the newest run's."""

from pathlib import Path

import pytest
from worlds.programs import Programs

from xlrec.errors import LakeError
from xlrec.pipeline.pages import chosen_page, local_page

PAGES = ["2026-03-01.9.html", "2026-03-01.10.html", "2026-02-28.11.html", "transfer-US-to-JP.html", "notes.txt"]


@pytest.mark.parametrize(
    ("name", "page"),
    [
        (None, "2026-03-01.10.html"),
        ("2026-02-28.11", "2026-02-28.11.html"),
        ("transfer-US-to-JP", "transfer-US-to-JP.html"),
    ],
)
def test_the_page_that_is_asked_for_or_the_newest_runs(name: str | None, page: str) -> None:
    assert chosen_page(PAGES, name, "lake") == page


def test_a_page_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(LakeError, match=r"no report 2026-03-02\.1: it has .*2026-03-01\.10, transfer-US-to-JP"):
        chosen_page(PAGES, "2026-03-02.1", "lake")
    with pytest.raises(LakeError, match="no report: it has none yet: `xlrec run` writes one"):
        chosen_page([], None, "lake")


def test_a_local_lake_is_read_where_it_lies_and_copied_where_asked(tmp_path: Path, programs: Programs) -> None:
    page = tmp_path / "lake" / "_reports" / "2026-03-01.1.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>lists")
    assert local_page(f"file://{tmp_path}/lake", None) == page
    assert local_page("s3a://bucket/lake", None) is None
    config, copy = tmp_path / "night.yaml", tmp_path / "copy.html"
    config.write_text(f"lake: {tmp_path}/lake\ninputs: {{catalog: a, interactions: b}}\nk: 3\n")
    told = programs.command("report", "--config", str(config), "--no-open")
    assert (told.status, told.out.strip()) == (0, str(page))
    programs.command("report", "2026-03-01.1", "--config", str(config), "--no-open", "--out", str(copy))
    assert copy.read_text() == "<p>lists"
    gone = programs.command("report", "2026-03-02.1", "--config", str(config))
    assert gone.status == LakeError.status
