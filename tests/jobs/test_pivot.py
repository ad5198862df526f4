"""The night with pivot translation on a small demo world: brought translations, the cache, and what is embedded."""

from pathlib import Path
from typing import Any

import pytest
from tiny_translators import build_translator

from xlrec.config import Config
from xlrec.errors import ConfigError
from xlrec.pipeline.night import stage_alone
from xlrec.settings import validate
from xlrec.tables import EMBEDDINGS, RUNS, TEXTS, TRANSLATIONS


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory) -> Path:
    from xlrec.datasets.demo import write_demo

    folder = tmp_path_factory.mktemp("world")
    write_demo(spark, str(folder), users=40)
    return folder


def config_of(world: Path, lake: Path, *, brought: bool = True, **more: Any) -> Config:
    names = ("catalog", "interactions", "users", *(("translations",) if brought else ()))
    return validate({"lake": str(lake), "inputs": {name: str(world / name) for name in names}, "k": 5, **more})


def counts_of(spark, config: Config, run_id: str) -> dict[str, int]:
    return spark.read.format("delta").load(f"{config.lake}/{RUNS.name}").where(f"run_id = '{run_id}'").first()["counts"]


def table(spark, config: Config, name: str):
    return spark.read.format("delta").load(f"{config.lake}/{name}")


@pytest.fixture(scope="module")
def lake(spark, world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    stage_alone(spark, config_of(world, folder), "prepare")
    return folder


def test_brought_translations_are_kept_once_and_a_second_run_translates_nothing(spark, world, lake) -> None:
    config = config_of(world, lake, unify="pivot")
    first = counts_of(spark, config, stage_alone(spark, config, "translate"))
    assert first["translate.brought"] > 0
    assert first["translate.texts"] == first["translate.untranslated"] == 0
    rows = table(spark, config, TRANSLATIONS.name)
    assert rows.count() == first["translate.brought"]
    assert rows.select("pivot").distinct().collect() == [("en",)]
    second = counts_of(spark, config, stage_alone(spark, config, "translate"))
    assert second["translate.brought"] == second["translate.texts"] == 0
    assert table(spark, config, TRANSLATIONS.name).count() == first["translate.brought"]


def test_pivot_embeds_one_text_an_item_and_both_embeds_all(spark, world, lake) -> None:
    pivot, both = (config_of(world, lake, unify=unify) for unify in ("pivot", "both"))
    stage_alone(spark, pivot, "translate")
    n_pivot = counts_of(spark, pivot, stage_alone(spark, pivot, "embed"))["embed.texts"]
    items = table(spark, pivot, TEXTS.name).select("item_id").distinct().count()
    assert n_pivot == items
    n_more = counts_of(spark, both, stage_alone(spark, both, "embed"))["embed.texts"]
    foreign = table(spark, pivot, TEXTS.name).where("language != 'en'").select("text_hash").distinct().count()
    assert n_more == foreign
    assert table(spark, pivot, EMBEDDINGS.name).count() == n_pivot + n_more


def test_a_model_translates_what_was_not_brought_and_the_rest_stands_for_itself(spark, world, lake, tmp_path) -> None:
    model = str(build_translator(tmp_path / "model", "m2m100"))
    config = config_of(world, lake, brought=False, unify="both", translate={"model": model, "max_tokens": 16})
    first = counts_of(spark, config, stage_alone(spark, config, "translate"))
    assert first["translate.brought"] == 0
    assert first["translate.texts"] > first["translate.untranslated"] > 0, "it reads some of the languages"
    second = counts_of(spark, config, stage_alone(spark, config, "translate"))
    assert second["translate.texts"] == 0
    assert second["translate.untranslated"] == first["translate.untranslated"]


def test_vectors_translates_nothing(spark, world, lake) -> None:
    config = config_of(world, lake)
    assert not [
        name for name in counts_of(spark, config, stage_alone(spark, config, "translate")) if "translate" in name
    ]


def test_pivot_without_any_translations_is_a_wrong_config(world, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"unify is pivot, but nothing translates: set inputs\.translations"):
        config_of(world, tmp_path, brought=False, unify="pivot")
