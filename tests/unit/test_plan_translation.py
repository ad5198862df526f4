"""The forecast of a chat model's night: texts without a translation, tokens, their price, and seconds."""

from pathlib import Path
from typing import Any

import pytest
from worlds.input_files import planned_config, write_parquet

from xlrec import translators
from xlrec.config.models import Config
from xlrec.planning.night import Cluster, Night
from xlrec.planning.sizes import read_sizes
from xlrec.planning.translation import forecast_translation
from xlrec.reporting.plan import plan_json


def config_of(folder: Path, chat: dict[str, Any] | None = None, **more: Any) -> Config:
    """Of the three items i0 alone has a text in German, the pivot."""
    translate = {"endpoint": "http://host/v1", "model": "m", "pivot": "de", "chat": chat or {}}
    return planned_config(folder, unify="pivot", translate=translate, **more)


def test_texts_of_items_without_one_in_the_pivot_language_are_counted(tmp_path: Path) -> None:
    sizes = read_sizes(config_of(tmp_path))
    assert (sizes.untranslated, sizes.text_bytes) == (4, 27 // 6)
    assert sizes.scale(None, 30).untranslated == 40
    assert read_sizes(planned_config(tmp_path)).untranslated == 0, "nothing is translated for vectors"


def test_what_was_brought_or_answered_before_costs_nothing(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    answered = (
        tmp_path / "lake" / "translations" / "pivot=de" / f"translator={translators.fingerprint(config.translate)}"
    )
    write_parquet(answered / "a.parquet", {"text_hash": ["x", "y", "z"]})
    assert read_sizes(config).untranslated == 1
    write_parquet(tmp_path / "brought.parquet", {"item_id": ["i2", "i2"], "language": ["de-AT", "it"]})
    inputs = config.inputs.model_copy(update={"translations": str(tmp_path / "brought.parquet")})
    brought = config.model_copy(update={"inputs": inputs, "lake": str(tmp_path / "another")})
    assert read_sizes(brought).untranslated == 2


def test_a_nights_limits_bound_its_texts_and_price(tmp_path: Path) -> None:
    prices = {"read_price": 2.0, "written_price": 10.0}
    plain = forecast_translation(config_of(tmp_path, prices), 1000, 60.0, 4)
    assert (plain.texts, plain.waiting) == (1000, 0)
    assert plain.price == pytest.approx((2 * plain.read_tokens + 10 * plain.written_tokens) / 1e6)
    few = forecast_translation(config_of(tmp_path, {**prices, "texts_per_night": 100}), 1000, 60.0, 4)
    assert (few.texts, few.waiting) == (100, 900)
    assert few.price == pytest.approx(plain.price / 10, rel=1e-3)
    frugal = forecast_translation(config_of(tmp_path, {"tokens_per_night": plain.read_tokens}), 1000, 60.0, 4)
    assert 0 < frugal.texts < 1000
    assert frugal.read_tokens + frugal.written_tokens <= plain.read_tokens
    assert forecast_translation(config_of(tmp_path, {"requests_at_once": 1}), 1000, 60.0, 4).seconds > plain.seconds


def test_the_plan_names_the_cost(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"read_price": 2.0})
    plan = plan_json(Night(config, read_sizes(config), Cluster(1, 2, 0), 1e-11))
    assert plan["translation"]["texts"] == 4
    assert plan["translation"]["price"] > 0
    assert plan["seconds"]["translate"] > 8
