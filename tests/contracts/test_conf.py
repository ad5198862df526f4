"""The configs that are shipped load, and the schema for editors is the code's."""

import json
from pathlib import Path

import fields
import pytest

from xlrec.config.loading import load_config
from xlrec.config.models import Config

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_loads(path: Path) -> None:
    assert load_config(str(path), env={}).k >= 1


def test_the_schema_for_editors_is_that_of_the_code() -> None:
    assert json.loads((CONF / "schema.json").read_text()) == Config.model_json_schema(), "run `make schema`"


def test_the_page_of_the_config_holds_every_field_as_the_models_say_it() -> None:
    text = fields.PAGE.read_text("utf-8")
    assert fields.page(text) == text, "run `make schema`"
    for field in ("`k`", "`retrieve.search`", "`train.factors.dim`"):
        assert f"| {field} |" in text


def test_the_constraints_name_exact_versions_and_no_addresses() -> None:
    lines = [one for one in (CONF / "constraints.txt").read_text().splitlines() if not one.startswith("#")]
    assert lines
    assert all("==" in one and "//" not in one and "@" not in one for one in lines)
