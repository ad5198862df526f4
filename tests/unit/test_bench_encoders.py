"""The harness that compares encoders: what it samples, and that a run on a tiny world gives every figure."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BENCH = str(Path(__file__).resolve().parents[1] / "bench")
sys.path.insert(0, BENCH)
import encoders as bench  # noqa: E402  # no package: run as a script
import parallel  # noqa: E402

sys.path.remove(BENCH)

TEXTS = {f"c{i}": {"en": f"tea pot {i}", "de": f"Teekanne {i}", "fr": f"théière {i}"} for i in range(40)}
TEXTS["c1"]["en"] = "Tea Pot 0"
TEXTS |= {f"e{i}": {"en": f"lamp {i}"} for i in range(10)}


def rows(texts: parallel.Texts, split: str, source: str) -> pa.Table:
    found = [
        {"concept_id": concept, "language": language, "text": text, "source": source, "split": split, "licence": "MIT"}
        for concept, by_language in texts.items()
        for language, text in by_language.items()
    ]
    return pa.Table.from_pylist(found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pq.write_table(rows(TEXTS, "dev", "taxonomy"), tmp_path / "shopify-product-taxonomy.parquet")
    pq.write_table(rows({"t": {"en": "a", "de": "b"}}, "train", "x"), tmp_path / "tico-19.parquet")
    news = {name: dict(texts) for name, texts in TEXTS.items()}
    both = pa.concat_tables([rows(news, "dev", "news"), rows(news, "dev", "talk")])
    pq.write_table(both, tmp_path / "dev-sentences.parquet")
    return tmp_path


def test_pairs_hold_no_text_twice_and_fill_the_pool_with_other_concepts() -> None:
    pairs = parallel.pairs_of(TEXTS, "de", 45)
    assert len(pairs.queries) == 39  # two concepts share their English text
    assert len(pairs.pool) == 45
    assert len({text.casefold() for text in pairs.pool}) == 45
    english = {query: text["en"] for text in TEXTS.values() if (query := text.get("de"))}
    assert [english[query] for query in pairs.queries] == list(pairs.pool[:39])
    assert all(text.startswith("lamp") for text in pairs.pool[39:])


def test_the_sample_does_not_depend_on_the_order_of_the_rows() -> None:
    backwards = dict(reversed(TEXTS.items()))
    assert parallel.pairs_of(backwards, "fr", 10) == parallel.pairs_of(TEXTS, "fr", 10)


def test_only_dev_rows_are_read_and_each_source_for_measuring_is_a_set(folder: Path) -> None:
    sets = parallel.read_sets(folder)
    assert sorted(sets) == ["labels", "news", "talk"]
    assert parallel.languages_of(sets["news"], 40) == ["de", "fr"]


def test_a_run_gives_every_figure_and_skips_what_is_not_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "out.json"
    asked = ["default", str(folder / "nowhere"), "--data", str(folder), "--json", str(path), "--pool", "20"]
    assert bench.main([*asked, "--all-languages", "--least", "10", "--languages"]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert list(found) == ["default"]
    assert sorted(found["default"]["sets"]) == ["labels", "news", "talk"]
    row = found["default"]["sets"]["news"]["de"]
    assert row["n_pool"] == row["n_pairs"] == 20
    for kind in ("as_is", "neutral"):
        assert 0 <= row[kind]["retrieval@1"] <= 1
        assert row[kind]["mean_rank"] >= 1
    assert set(found["default"]["contexts"]["kind"]) == {"homonym", "false friend"}
    assert found["default"]["texts_per_second"] > 0
    assert "nowhere is skipped" in capsys.readouterr().out.replace("\n", " ")


def test_without_the_data_the_rest_is_measured_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["default", "--data", str(tmp_path / "none")]) == 0
    printed = capsys.readouterr().out
    assert "retrieval and bias are not measured" in printed
    assert "default" in printed
