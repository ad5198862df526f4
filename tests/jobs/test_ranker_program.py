"""The ranker's training from outside: what it writes, prints and refuses, and that lists are ordered by it."""

import re
from pathlib import Path

import pytest

from xlrec.errors import LakeError
from xlrec.lake import Lake
from xlrec.pipeline.ranking import train_ranker
from xlrec.pipeline.run import running
from xlrec.progress import Progress
from xlrec.recommenders import ranking
from xlrec.settings import validate
from xlrec.stages.rank import rank
from xlrec.stages.retrieve import retrieve
from xlrec.tables import EVENTS, RUNS, USERS


def test_it_learns_from_the_inner_split_and_says_whether_it_is_ahead(spark, tmp_path, capsys) -> None:
    from xlrec.datasets.demo import write_demo

    write_demo(spark, str(tmp_path / "world"), users=250)
    inputs = {name: str(tmp_path / "world" / name) for name in ("catalog", "interactions", "users")}
    quick = {"train": {"hybrid": {"epochs": 1}}, "evaluate": {"bootstrap": 50}, "embed": {"encoder": "hashing"}}
    tree = {"lake": str(tmp_path / "lake"), "inputs": inputs, "k": 5, **quick}
    folder = train_ranker(spark, validate(tree), config_file="conf/x.yaml")
    model = ranking.load(str(folder))
    assert folder.parent == Path(tmp_path / "lake" / "_models")
    assert "inner split" in model.facts["split"]
    assert model.facts["learnt"] is True
    assert (folder / "README.md").read_text().startswith("# Learnt ranker")
    said = capsys.readouterr().out
    shown = re.sub(r"\s+", "", said)
    assert f"xlrecrun--configconf/x.yaml--setrank.ranker={folder}" in shown
    assert "minusfusion" in shown
    assert "leave rank.ranker at null" in " ".join(said.split()) or "ahead of the fusion" in said

    config = validate({**tree, "rank": {"ranker": str(folder)}})
    lake = Lake(spark, f"{tmp_path}/lake/_ranker")
    index, day = f"{lake.folder}/_index/own", lake.read(EVENTS).selectExpr("max(date(timestamp))").first()[0]
    users = lake.read(USERS).orderBy("user_id").limit(40)
    candidates = retrieve(users, lake.read(EVENTS), config, index=index, run_date=day).persist()
    lists = {
        name: rank(candidates, one, index=index, run_id="r", run_date=day).orderBy("user_id", "rank").collect()
        for name, one in (("fusion", validate(tree)), ("ranker", config))
    }
    assert len(lists["fusion"]) == len(lists["ranker"]) == 40 * 5
    assert lists["fusion"] != lists["ranker"]
    (folder / "model.txt").write_text("cut")
    with (
        pytest.raises(LakeError, match="changed or cut"),
        running(spark, config, Progress(spark), None),
    ):
        pytest.fail("nothing may begin with a broken ranker")
    assert Lake(spark, str(tmp_path / "lake")).read(RUNS).count() == 1
