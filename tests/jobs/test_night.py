"""The whole night on a small demo world: what readers get, twice, in other partitions, after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worlds.demo import night_config, run_row
from worlds.programs import BRIEF

import xlrec
from xlrec.config.loading import validate_config
from xlrec.errors import AuditError, InputError
from xlrec.kernels.search.paths import PATHS
from xlrec.pipeline.evaluation import evaluate
from xlrec.pipeline.night import nightly, stage_alone
from xlrec.tables import EMBEDDINGS, LANGUAGE_PARTS, RUNS

ROOT = Path(__file__).resolve().parents[2]


def test_every_user_gets_exactly_k_rows_with_ranks_without_gaps(spark, night) -> None:
    config, run_id = night
    lists = xlrec.read_recommendations(spark, config.lake).toPandas()
    counts = run_row(spark, config.lake, run_id)["counts"]
    sizes = lists.groupby("user_id").size()
    assert len(sizes) == counts["prepare.users"] > 100
    assert (sizes == 5).sum() == len(sizes) - counts["audit.short_lists"]
    assert (lists.groupby("user_id")["rank"].apply(sorted).apply(lambda r: r == list(range(1, len(r) + 1)))).all()
    assert not lists.duplicated(["user_id", "item_id"]).any()


def test_a_run_says_which_first_passes_its_search_took(spark, night) -> None:
    config, run_id = night
    assert set(run_row(spark, config.lake, run_id)["versions"]["search"].split(", ")) <= set(PATHS)


def test_no_row_is_unavailable_in_the_market_or_seen_or_of_someone_who_opted_out(spark, night, demo) -> None:
    config, _ = night
    lists = xlrec.read_recommendations(spark, config.lake)
    items = spark.read.format("delta").load(f"{config.lake}/items")
    sold = lists.join(items.select("item_id", "markets", "available"), "item_id")
    assert sold.where("NOT available OR (markets IS NOT NULL AND NOT array_contains(markets, market))").isEmpty()
    events = spark.read.format("delta").load(f"{config.lake}/events").select("user_id", "item_id")
    assert lists.join(events, ["user_id", "item_id"]).isEmpty()
    gone = spark.read.parquet(f"{demo}/users").where("opted_out").select("user_id")
    assert not gone.isEmpty()
    assert lists.join(gone, "user_id").isEmpty()
    assert events.join(gone, "user_id").isEmpty()


def test_every_reason_names_items_of_the_users_own_history(spark, night) -> None:
    config, _ = night
    lists = xlrec.read_recommendations(spark, config.lake).selectExpr("user_id", "explode(reason.because) item_id")
    events = spark.read.format("delta").load(f"{config.lake}/events").where("weight > 0")
    assert lists.count() > 0
    assert lists.join(events, ["user_id", "item_id"], "left_anti").isEmpty()


def test_texts_are_checked_and_what_tells_their_language_is_kept_and_shown(spark, night) -> None:
    config, run_id = night
    counts = run_row(spark, config.lake, run_id)["counts"]
    texts = spark.read.format("delta").load(f"{config.lake}/texts")
    n_texts = {row["language"]: row["count"] for row in texts.groupBy("language").count().collect()}
    assert {name: counts.get(f"quality.texts.{name}") for name in n_texts} == n_texts
    assert sum(counts[f"quality.checked.{name}"] for name in n_texts) == texts.count()  # few enough to check all
    assert sum(n for name, n in counts.items() if name.startswith("quality.empty.")) == 4  # planted
    parts = spark.read.format("delta").load(f"{config.lake}/{LANGUAGE_PARTS.name}")
    assert counts["embed.languages"] == len(n_texts.keys() - {"und"})
    assert parts.select("fingerprint", "neutral").distinct().count() == 1
    page = Path(config.lake, "_reports", f"{run_id}.html").read_text(encoding="utf-8")
    assert "Text quality" in page
    assert "Texts were not checked" not in page


def test_how_the_markets_log_is_compared_and_shown(spark, night) -> None:
    config, run_id = night
    counts = run_row(spark, config.lake, run_id)["counts"]
    events = spark.read.format("delta").load(f"{config.lake}/events")
    assert counts["prepare.markets"] == events.select("market").distinct().count() > 1
    page = Path(config.lake, "_reports", f"{run_id}.html").read_text(encoding="utf-8")
    assert 'aria-label="How markets log"' in page


def test_other_partitions_and_blocks_and_the_stages_one_by_one_give_the_same_content(
    spark, night, demo, tmp_path
) -> None:
    config, first = night
    other = validate_config(night_config(demo, tmp_path, retrieve={"user_block": 7, "item_block": 64}))
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "5")
    try:
        for stage in ("prepare", "embed", "train", "recommend"):
            stage_alone(spark, other, stage)
        last = stage_alone(spark, other, "publish")
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    assert run_row(spark, other.lake, last)["content_hash"] == run_row(spark, config.lake, first)["content_hash"]


def test_an_evaluation_scores_all_systems_on_one_holdout_and_releases_nothing(spark, night) -> None:
    config, _ = night
    before = xlrec.read_recommendations(spark, config.lake).first()["run_id"]
    small = {"cutoffs": (5,), "bootstrap": 100, "baselines": ("popular",), "inner": True}
    evaluate(spark, config.model_copy(update={"evaluate": config.evaluate.model_copy(update=small)}))
    rows = spark.read.format("delta").load(f"{config.lake}/metrics").where("slice = 'all' AND metric = 'ndcg@5'")
    found = {row["system"]: row for row in rows.collect()}
    assert found.keys() == {"xlrec", "similar", "covisited", "popular"}
    assert len({row["n_users"] for row in found.values()}) == 1
    assert found["xlrec"]["value"] > found["popular"]["value"] - 0.05
    assert found["popular"]["difference_low"] <= found["popular"]["difference"] <= found["popular"]["difference_high"]
    assert found["xlrec"]["split"].endswith("(inner split)")
    assert xlrec.read_recommendations(spark, config.lake).first()["run_id"] == before


def test_a_missed_bar_leaves_the_live_release(spark, night) -> None:
    config, _ = night
    before = xlrec.read_recommendations(spark, config.lake).first()["run_id"]
    strict = config.model_copy(update={"k": 100})  # no market sells so many: lists are short
    strict = strict.model_copy(update={"audit": strict.audit.model_copy(update={"max_short_lists": 0.0})})
    stage_alone(spark, strict, "recommend")
    with pytest.raises(AuditError, match="readers keep the last one: short lists is"):
        stage_alone(spark, strict, "publish")
    assert xlrec.read_recommendations(spark, config.lake).first()["run_id"] == before


def test_a_missing_input_stops_the_job_in_one_line(spark, demo, tmp_path) -> None:
    inputs = {"catalog": str(tmp_path / "no"), "interactions": str(demo)}
    config = validate_config(night_config(demo, tmp_path) | {"inputs": inputs})
    with pytest.raises(InputError, match="catalog"):
        nightly(spark, config)


def test_polars_duckdb_and_delta_rs_read_what_spark_reads(spark, night) -> None:
    import duckdb
    import polars
    from deltalake import DeltaTable

    config, _ = night
    live = xlrec.read_recommendations(spark, config.lake)
    run = live.first()["run_id"]
    columns = ["user_id", "rank", "item_id", "score", "item_language", "source", "market"]
    wanted = sorted(tuple(row) for row in live.select(*columns).collect())
    path = f"{config.lake}/recommendations"
    by_rust = DeltaTable(path).to_pyarrow_table(filters=[("run_id", "=", run)]).select(columns)
    by_polars = polars.read_delta(path).filter(polars.col("run_id") == run).select(columns)
    dataset = DeltaTable(path).to_pyarrow_dataset()  # duckdb finds it by its name
    by_duckdb = duckdb.sql(f"SELECT {', '.join(columns)} FROM dataset WHERE run_id = '{run}'").fetchall()
    assert dataset is not None
    assert sorted(tuple(row.values()) for row in by_rust.to_pylist()) == wanted
    assert sorted(by_polars.rows()) == wanted
    assert sorted(by_duckdb) == wanted


def test_a_killed_run_leaves_the_last_release_and_the_next_night_embeds_nothing_and_publishes_the_same_content(
    spark, night, tmp_path
) -> None:
    config, first = night
    before = xlrec.read_recommendations(spark, config.lake).first()["run_id"]
    n_vectors = spark.read.format("delta").load(f"{config.lake}/{EMBEDDINGS.name}").count()
    file = tmp_path / "night.yaml"
    file.write_text(config.model_dump_json(include={"lake", "inputs", "k"}))
    command = [sys.executable, "-m", "xlrec.cli", "run", "--config", str(file), "--set", "spark.master=local[2]"]
    commits = Path(config.lake, RUNS.name, "_delta_log")
    n_commits = len(list(commits.glob("*.json")))
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | BRIEF, start_new_session=True) as process:
        deadline = time.time() + 180
        while time.time() < deadline and process.poll() is None and len(list(commits.glob("*.json"))) == n_commits:
            time.sleep(0.2)  # its first commit takes the lease
        os.killpg(process.pid, signal.SIGKILL)
    assert not spark.read.format("delta").load(f"{config.lake}/{RUNS.name}").where("status = 'running'").isEmpty()
    assert xlrec.read_recommendations(spark, config.lake).first()["run_id"] == before
    after = nightly(spark, config)
    assert xlrec.read_recommendations(spark, config.lake).first()["run_id"] == after
    killed = spark.read.format("delta").load(f"{config.lake}/{RUNS.name}").where("status = 'abandoned'").count()
    assert killed == 1
    one, two = run_row(spark, config.lake, first), run_row(spark, config.lake, after)
    assert after != first
    assert two["counts"]["embed.texts"] == 0
    assert two["content_hash"] == one["content_hash"] is not None
    assert spark.read.format("delta").load(f"{config.lake}/{EMBEDDINGS.name}").count() == n_vectors
