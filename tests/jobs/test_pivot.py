"""The steps of a night with pivot translation: brought translations, the model, the cache, and what is embedded."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds.chat_server import KEY, in_english, serving_chat
from worlds.tiny_translators import build_translator

from xlrec.config.loading import validate_config
from xlrec.config.models import Config
from xlrec.errors import ConfigError, EncoderError
from xlrec.lake.delta import Lake
from xlrec.lake.records import RunLog
from xlrec.pipeline import translation
from xlrec.pipeline.embed import embed
from xlrec.pipeline.run import Run, open_lake, running_on
from xlrec.runtime.progress import Progress
from xlrec.tables import EMBEDDINGS, ITEMS, TEXTS, TRANSLATIONS

#: Item a has an English text; nothing is brought for c.
TITLES = [
    ("a", "en", "bike helmet"),
    ("a", "fr", "casque de vélo"),
    ("b", "fr", "lampe de bureau"),
    ("b", "de", "Schreibtischlampe"),
    ("c", "ja", "ヘルメット"),
    ("c", "sw", "kofia"),
]


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory) -> Path:
    """A lake with texts and no items, and a Parquet of brought translations beside it."""
    folder = tmp_path_factory.mktemp("pivot")
    rows = [
        (item, language, False, title, None, title, hashlib.sha256(title.encode()).hexdigest())
        for item, language, title in TITLES
    ]
    lake = Lake(spark, str(folder / "lake"))
    lake.replace_rows(TEXTS, spark.createDataFrame(rows, TEXTS.schema))
    lake.create_table(ITEMS)
    brought = {"item_id": ["b", "b"], "language": ["en-GB", "es"], "title": ["desk <b>lamp</b>", "lámpara"]}
    pq.write_table(pa.table(brought), folder / "translations.parquet")
    return folder


def config_of(folder: Path, *, brought: bool = True, **more: Any) -> Config:
    inputs = {"catalog": "none", "interactions": "none"}
    inputs |= {"translations": str(folder / "translations.parquet")} if brought else {}
    return validate_config({"lake": str(folder / "lake"), "inputs": inputs, "embed": {"dim": 32}, **more})


@pytest.fixture(scope="module")
def held(spark, lake) -> Iterator[Run]:
    """A run that holds the lake."""
    config = config_of(lake)
    with running_on(open_lake(spark, config), config, Progress(spark), date(2026, 3, 1)) as run:
        yield run


def counts_of(held: Run, config: Config) -> dict[str, int]:
    """What translate and embed counted."""
    run = replace(held, config=config, log=RunLog())
    translation.translate(run)
    embed(run)
    return {name: n for name, n in run.counts.items() if name == "embed.texts" or name.startswith("translate.")}


def made_of(held: Run, config: Config) -> list[tuple[str, str]]:
    """(item, text) of all that the items' vectors are made of."""
    return sorted((row.item_id, row.text) for row in translation.unified_texts(replace(held, config=config)).collect())


def test_brought_translations_are_kept_once_and_a_second_run_translates_and_embeds_nothing(spark, lake, held) -> None:
    config = config_of(lake, unify="pivot")
    expected = {
        "translate.brought": 2, "translate.texts": 0, "translate.untranslated": 2, "translate.untranslated.not_yet": 2,
        "embed.texts": 4,
    }  # fmt: skip
    assert counts_of(held, config) == expected
    assert counts_of(held, config) == {**expected, "translate.brought": 0, "embed.texts": 0}
    assert Lake(spark, config.lake).read_table(TRANSLATIONS).count() == 2
    own = [("c", "kofia"), ("c", "ヘルメット")]
    assert made_of(held, config) == [("a", "bike helmet"), ("b", "desk lamp"), *own]
    both = config_of(lake, unify="both")
    assert made_of(held, both) == sorted([*((item, title) for item, _, title in TITLES), ("b", "desk lamp")])


def test_what_is_brought_anew_replaces_what_was_brought(spark, lake, held) -> None:
    config = config_of(lake, unify="pivot")
    counts_of(held, config)
    pq.write_table(
        pa.table({"item_id": ["b"], "language": ["en"], "title": ["office light"]}), lake / "translations.parquet"
    )
    assert counts_of(held, config)["translate.brought"] == 2
    assert ("b", "office light") in made_of(held, config)
    assert Lake(spark, config.lake).read_table(TRANSLATIONS).count() == 2


def test_a_model_translates_what_was_not_brought_and_the_rest_stands_for_itself(lake, held, tmp_path) -> None:
    model = {"model": str(build_translator(tmp_path / "model", "m2m100"))}
    config = config_of(lake, unify="pivot", translate=model)
    first = counts_of(held, config)
    assert (first["translate.texts"], first["translate.untranslated.unread_language"]) == (2, 1)
    assert (first["translate.answers.valid"], first["translate.answers.unread_language"]) == (1, 1)
    assert ("c", "kofia") in made_of(held, config)
    assert ("c", "ヘルメット") not in made_of(held, config)
    second = counts_of(held, config)
    assert second["translate.texts"] == second["embed.texts"] == 0
    assert second["translate.untranslated.unread_language"] == 1, "it is not asked for again, and counted every night"


def test_a_chat_server_writes_as_much_as_a_night_has_and_is_not_asked_twice(lake, held, monkeypatch) -> None:
    monkeypatch.setenv("LLM_KEY", KEY)
    with serving_chat() as server:
        chat = {"key_variable": "LLM_KEY", "texts_per_night": 3, "patience_s": 0.5}
        config = config_of(
            lake, brought=False, unify="pivot", translate={"endpoint": server.url, "model": "m", "chat": chat}
        )
        first = counts_of(held, config)
        assert (first["translate.answers.valid"], first["translate.untranslated.not_yet"]) == (3, 1)
        assert (first["translate.read_tokens"], first["translate.written_tokens"]) == (300, 30)
        server.status = 500
        second = counts_of(held, config)
        assert second["translate.answers.server_error"] == second["translate.untranslated.not_yet"] == 1
        server.status = 200
        third = counts_of(held, config)
        assert (third["translate.texts"], third["translate.untranslated"]) == (1, 0)
        n_sent = len(server.requests)
        assert counts_of(held, config)["translate.texts"] == 0
        assert len(server.requests) == n_sent
    assert ("c", in_english("kofia")) in made_of(held, config)
    assert KEY not in config.model_dump_json()


def test_a_chat_model_without_valid_answers_stops_the_night() -> None:
    few = Counter({"asked": 100, "answers.valid": 30, "answers.unchanged": 30, "answers.not_json": 40})
    translation.check_failed(few, 0.5)
    many = few + Counter({"asked": 100, "answers.wrong_language": 100})
    with pytest.raises(
        EncoderError, match=r"140 of 200 texts have no valid answer \(wrong language 100, not json 40\)"
    ):
        translation.check_failed(many, 0.5)
    translation.check_failed(Counter({"asked": 49, "answers.not_json": 49}), 0.5)


def test_vectors_translates_nothing_and_embeds_the_items_own_texts(spark, lake, held) -> None:
    config = config_of(lake)
    before = (
        Lake(spark, config.lake).read_table(EMBEDDINGS).count() if Lake(spark, config.lake).has_table(EMBEDDINGS) else 0
    )
    counts = counts_of(held, config)
    assert list(counts) == ["embed.texts"]
    assert before + counts["embed.texts"] >= len(TITLES)
    assert made_of(held, config) == sorted((item, title) for item, _, title in TITLES)


def test_pivot_without_any_translations_is_a_wrong_config(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"unify is pivot, but nothing translates: set inputs\.translations"):
        config_of(tmp_path, brought=False, unify="pivot")
