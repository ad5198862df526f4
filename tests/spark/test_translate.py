"""Translate in Spark: brought translations first, then the model, each text once; what vectors are made of."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from worlds.chat_server import KEY, in_english, serving_chat
from worlds.tiny_translators import build_translator

from xlrec import translators
from xlrec.config.models import TranslateConfig
from xlrec.stages import prepare as preparing
from xlrec.stages import translate as stage
from xlrec.tables import TRANSLATIONS, UNTRANSLATED
from xlrec.translators.conversation import token_rates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Item a has a text in the pivot language; b, c and d have not, and c shares its text with d.
TITLES = [
    ("a", "en", "bike helmet"),
    ("a", "fr", "casque de vélo"),
    ("b", "fr", "lampe de bureau"),
    ("b", "de", "Schreibtischlampe"),
    ("c", "ja", "ヘルメット"),
    ("d", "ja", "ヘルメット"),
]
BROUGHT = (stage.BROUGHT,)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def texts(spark: "SparkSession") -> "DataFrame":
    rows = [(item, language, text, digest(text)) for item, language, text in TITLES]
    return spark.createDataFrame(rows, "item_id string, language string, text string, text_hash string")


def cache(spark: "SparkSession", *rows: tuple[str, str, str, str]) -> "DataFrame":
    """Rows of the table from (text, language, translator, translation)."""
    made = [(digest(text), language, "en", translator, theirs) for text, language, translator, theirs in rows]
    return spark.createDataFrame(made, TRANSLATIONS.schema)


def failures(spark: "SparkSession", *rows: tuple[str, str, str, str]) -> "DataFrame":
    """Rows of the table from (text, language, translator, reason)."""
    made = [(digest(text), language, "en", translator, reason) for text, language, translator, reason in rows]
    return spark.createDataFrame(made, UNTRANSLATED.schema)


def rows_of(frame: "DataFrame", *names: str) -> list[tuple[str, ...]]:
    return sorted(tuple(row) for row in frame.select(*names).collect())


def test_an_item_with_a_text_in_the_pivot_language_needs_no_translation(texts: "DataFrame") -> None:
    assert {row.item_id for row in stage.foreign_texts(texts, "en").collect()} == {"b", "c", "d"}
    assert {row.item_id for row in stage.foreign_texts(texts, "ja").collect()} == {"a", "b"}


def test_brought_translations_are_cleaned_and_of_the_pivot_language_alone(spark: "SparkSession") -> None:
    rows = [
        ("b", "en-US", "<b>desk</b> lamp", None),
        ("b", "en", "desk lamp", "bright"),
        ("b", "es", "lámpara", None),
        ("c", "en", "<br>", None),
        (" ", "en", "nobody's", None),
    ]
    frame = spark.createDataFrame(rows, "item_id string, language string, title string, description string")
    found = preparing.translations_of(frame, "en")
    assert rows_of(found, "item_id", "text") == [("b", "desk lamp\nbright")]


def test_a_text_has_one_brought_translation_however_many_items_share_it(
    spark: "SparkSession", texts: "DataFrame"
) -> None:
    brought = spark.createDataFrame([("b", "desk lamp"), ("c", "helmet"), ("d", "cap")], "item_id string, text string")
    found = stage.brought_translations(stage.foreign_texts(texts, "en"), brought, "en")
    assert found.columns == TRANSLATIONS.schema.names
    expected = [
        ("Schreibtischlampe", "de", "desk lamp"),
        ("lampe de bureau", "fr", "desk lamp"),
        ("ヘルメット", "ja", "cap"),
    ]
    assert rows_of(found, "text_hash", "language", "text") == sorted((digest(t), g, x) for t, g, x in expected)


def test_only_texts_without_a_translation_are_new_and_each_is_once(spark: "SparkSession", texts: "DataFrame") -> None:
    known = cache(spark, ("lampe de bureau", "fr", "brought", "desk lamp"), ("Schreibtischlampe", "de", "other", "x"))
    foreign = stage.foreign_texts(texts, "en")
    new = stage.new_texts(foreign, known, "en", BROUGHT)
    assert rows_of(new, "language", "text") == [("de", "Schreibtischlampe"), ("ja", "ヘルメット")]
    assert stage.new_texts(foreign, known, "fr", BROUGHT).count() == 3, "another pivot needs other translations"


def test_pivot_takes_own_pivot_texts_then_translations_then_the_text_itself(
    spark: "SparkSession", texts: "DataFrame"
) -> None:
    known = cache(
        spark,
        ("lampe de bureau", "fr", "model", "office light"),
        ("lampe de bureau", "fr", "brought", "desk lamp"),
        ("Schreibtischlampe", "de", "model", "desk lamp"),
        ("ヘルメット", "ja", "model", ""),  # the model gave nothing
    )
    found = stage.unified_texts(texts, known, "pivot", "en", ("brought", "model"))
    assert rows_of(found, "item_id", "language", "text") == [
        ("a", "en", "bike helmet"),
        ("b", "en", "desk lamp"),  # once, though two texts have it
        ("c", "ja", "ヘルメット"),
        ("d", "ja", "ヘルメット"),
    ]
    assert all(row.text_hash == digest(row.text) for row in found.collect())
    none = failures(spark)
    left = stage.untranslated(stage.foreign_texts(texts, "en"), known, none, "en", ("brought", "model"))
    assert rows_of(left, "reason", "n") == [("nothing_written", 2)]


def test_texts_without_a_translation_are_counted_by_reason(spark: "SparkSession", texts: "DataFrame") -> None:
    known = cache(spark, ("lampe de bureau", "fr", "brought", "desk lamp"))
    failed = failures(spark, ("ヘルメット", "ja", "model", "not_json"), ("Schreibtischlampe", "de", "other", "x"))
    left = stage.untranslated(stage.foreign_texts(texts, "en"), known, failed, "en", ("brought", "model"))
    assert rows_of(left, "reason", "n") == [("not_json", 2), ("not_yet", 1)]


def test_both_adds_the_items_own_texts(spark: "SparkSession", texts: "DataFrame") -> None:
    known = cache(spark, ("lampe de bureau", "fr", "brought", "desk lamp"))
    found = rows_of(stage.unified_texts(texts, known, "both", "en", BROUGHT), "item_id", "language", "text")
    assert found == sorted([*TITLES, ("b", "en", "desk lamp")])


def test_the_model_translates_on_workers_the_same_whatever_the_partitions(
    spark: "SparkSession", texts: "DataFrame", tmp_path: Path
) -> None:
    config = TranslateConfig(model=str(build_translator(tmp_path, "m2m100")), texts_per_task=1)
    name = translators.fingerprint(config)
    new = stage.new_texts(stage.foreign_texts(texts, "en"), cache(spark), "en", (name,))
    first = stage.translate(new, config, name, "en", n_texts=3)
    assert first.rdd.getNumPartitions() == 3
    assert stage.valid_rows(first).columns == TRANSLATIONS.schema.names
    assert stage.lasting_failures(first).columns == UNTRANSLATED.schema.names
    made = rows_of(first, *TRANSLATIONS.schema.names)
    whole = config.model_copy(update={"texts_per_task": 100})
    assert rows_of(stage.translate(new, whole, name, "en", n_texts=3), *TRANSLATIONS.schema.names) == made
    own = translators.load(whole).translate(["ヘルメット"], ["ja"])
    assert own[0].text in {row[-1] for row in made}
    assert stage.new_texts(stage.foreign_texts(texts, "en"), first, "en", (name,)).count() == 0


def test_another_model_on_a_worker_fails_instead_of_mixing(texts: "DataFrame", tmp_path: Path) -> None:
    config = TranslateConfig(model=str(build_translator(tmp_path, "marian")))
    with pytest.raises(Exception, match="put the same model"):
        stage.translate(stage.foreign_texts(texts, "en"), config, "another", "en", n_texts=3).collect()


def test_a_server_translates_from_workers_the_same_whatever_the_partitions(
    spark: "SparkSession", texts: "DataFrame"
) -> None:
    with serving_chat() as server:
        chat = {"requests_at_once": 4, "timeout_s": 5.0}
        config = TranslateConfig.model_validate(
            {"endpoint": server.url, "model": "m", "texts_per_task": 1, "chat": chat}
        )
        name = translators.fingerprint(config)
        rows = [
            *texts.collect(),
            ("e", "fr", "chatter: x", digest("chatter: x")),
            ("f", "fr", "refused: y", digest("y")),
        ]
        foreign = stage.foreign_texts(spark.createDataFrame(rows, texts.schema), "en")
        new = stage.new_texts(foreign, cache(spark), "en", (name,))
        key = SecretStr(KEY)
        answers = stage.translate(new, config, name, "en", n_texts=5, key=key).persist()
        made = rows_of(stage.valid_rows(answers), *TRANSLATIONS.schema.names)
        assert {row[-1] for row in made} == {
            in_english(text) for text in ("lampe de bureau", "Schreibtischlampe", "ヘルメット")
        }
        assert rows_of(stage.lasting_failures(answers), "text_hash", "reason") == [(digest("chatter: x"), "not_json")]
        assert rows_of(stage.outcomes(answers), "reason", "n") == [("", 3), ("not_json", 1), ("refused", 1)]
        assert server.most_at_once <= 4
        assert set(server.keys) == {f"Bearer {KEY}"}
        assert KEY not in answers._jdf.queryExecution().toString()
        whole = config.model_copy(update={"texts_per_task": 100})
        again = stage.translate(new, whole, name, "en", n_texts=5, key=key)
        assert rows_of(stage.valid_rows(again), *TRANSLATIONS.schema.names) == made


def test_a_nights_texts_are_those_of_the_lowest_hashes_whatever_their_order(
    spark: "SparkSession", texts: "DataFrame"
) -> None:
    new = stage.new_texts(stage.foreign_texts(texts, "en"), cache(spark), "en", ())
    in_order = sorted(row.text_hash for row in new.collect())
    few = TranslateConfig.model_validate({"model": "m", "kind": "chat", "chat": {"texts_per_night": 2}})
    for n_partitions in (1, 3):
        night = stage.texts_of_night(new.repartition(n_partitions), few, "en")
        assert sorted(row.text_hash for row in night.collect()) == in_order[:2]
    (read, _), (written, _) = token_rates(few, "en")
    chat = {"tokens_per_night": int(1.5 * (read + written))}
    frugal = TranslateConfig.model_validate({"model": "m", "kind": "chat", "chat": chat})
    assert [row.text_hash for row in stage.texts_of_night(new, frugal, "en").collect()] == in_order[:1]
    rounds = [stage.round_of(new, number, 2) for number in range(2)]
    assert sorted(row.text_hash for part in rounds for row in part.collect()) == in_order
