"""An encoder that two hosts train, which share no disk with each other or with the driver, by real spark-submit."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hosts import ROOT, Hosts
from nights import output_of
from worlds.choices import items
from worlds.parallel_texts import settings, write_world
from worlds.tiny_models import build_encoder

from xlrec import encoders
from xlrec.errors import MachineError
from xlrec.lake.delta import Lake
from xlrec.pipeline.adapting import adapt_encoder
from xlrec.runtime.hadoop import FileSystem
from xlrec.tables import EVENTS, ITEMS, TEXTS
from xlrec.training.encoder import AdaptConfig

if TYPE_CHECKING:
    import subprocess

    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]  # `make test-cluster`
JOB = str(ROOT / "jobs/adapt_encoder.py")
SPELLED = ["abde lmno", "бгд жзк", "helmet", "bike"]


def silent(_: str) -> None:
    """Takes no line."""


@pytest.fixture(scope="module")
def told(hosts: Hosts) -> dict[str, Any]:
    """A config whose texts and model lie in a folder that only the driver sees."""
    folder = hosts.folder / "training"
    write_world(folder / "texts", n_concepts=200)
    model = build_encoder(folder / "base", "bert-mean")
    finetune = {"model": str(model), "learning_rate": 1e-2, "max_tokens": 32, "processes": 2}
    measure = {"every_steps": 5, "candidates": 50, "min_pairs": 5, "languages": ["xx"]}
    return settings(folder, mode="finetune", finetune=finetune, measure=measure, batch={"pairs": 16}, steps=10)


def trained(hosts: Hosts, told: dict[str, Any], **conf: str) -> "subprocess.CompletedProcess[str]":
    path = hosts.folder / "adapt.yaml"
    path.write_text(json.dumps(told))
    return hosts.run(hosts.submit(JOB, "--config", str(path), conf=conf))


def vectors(folder: str) -> Any:
    return encoders.load(folder).encode(SPELLED)


def check_as_here(hosts: Hosts, told: dict[str, Any], name: str) -> None:
    """Two hosts train the model that two processes of this machine train."""
    here = told | {"output": str(hosts.folder / name / "here"), "work": str(hosts.folder / name / "work-here")}
    there = told | {"output": str(hosts.folder / name / "there"), "work": str(hosts.folder / name / "work-there")}
    found = adapt_encoder(AdaptConfig.model_validate(here), silent)
    done = trained(hosts, there)
    assert not done.returncode, output_of(done)
    np.testing.assert_allclose(vectors(there["output"]), vectors(here["output"]), atol=1e-5)
    assert not np.allclose(vectors(there["output"]), vectors(str(hosts.folder / "training/base/model")), atol=1e-2)
    assert found
    for (source, language), recall in found.items():
        assert f"{source}\t{language}\t{recall:.3f}" in done.stdout
    folders = [Path(one["output"]) for one in (here, there)]
    names = [{path.relative_to(one) for path in one.rglob("*")} for one in folders]
    assert names[0] == names[1]
    assert (folders[0] / "README.md").read_text() == (folders[1] / "README.md").read_text()  # figures and all
    assert not list(folders[1].parent.glob(".there-*"))


@pytest.mark.usefixtures("spark")
def test_two_hosts_train_the_encoder_of_two_processes_on_one(hosts: Hosts, told: dict[str, Any]) -> None:
    check_as_here(hosts, told, "files")


def test_a_lake_a_model_and_texts_on_hdfs_reach_both(spark: "SparkSession", hosts: Hosts, told: dict[str, Any]) -> None:
    url, folder = hosts.start_hdfs(), hosts.folder / "training"
    for name, place in (("texts", folder / "texts"), ("model", folder / "base/model")):
        FileSystem(spark, f"{url}/{name}").put_folder(place)
    rows = items(60)
    texts = [(name[3:], tongue, text) for name, tongue, text in zip(*rows.values(), strict=True)]
    lake = Lake(spark, f"{url}/lake")
    values = [(item, tongue, False, text, None, text, f"{item}-{tongue}") for item, tongue, text in texts]
    lake.replace_rows(TEXTS, spark.createDataFrame(values, TEXTS.schema))
    names = enumerate(sorted({item for item, _, _ in texts}))
    lake.replace_rows(
        ITEMS, spark.createDataFrame([(one, num, [], [], None, None, None, True) for num, one in names], ITEMS.schema)
    )
    lake.replace_rows(EVENTS, spark.createDataFrame([], EVENTS.schema))
    parts = {"path": f"{url}/texts/world.parquet", "lake": {"folder": f"{url}/lake"}, "dev_share": 0.1}
    finetune = told["finetune"] | {"model": f"{url}/model"}
    check_as_here(hosts, told | {"texts": parts, "finetune": finetune}, "urls")


def test_more_processes_than_the_cluster_has_room_for_are_one_line(hosts: Hosts, told: dict[str, Any]) -> None:
    finetune = told["finetune"] | {"processes": 3}
    done = trained(hosts, told | {"finetune": finetune, "spark": {"executor_within_s": 45}})
    assert done.returncode == MachineError.status, output_of(done)
    assert "3 processes are tasks that run at once" in output_of(done).splitlines()[-1]
    assert "room for 2 after 45 s" in output_of(done).splitlines()[-1]


def test_a_host_where_torch_does_not_load_is_one_line(
    hosts: Hosts, told: dict[str, Any], tmp_path: Path
) -> None:  # which workers see, for pytest's own folder is not hidden
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so is missing')")
    conf = {"spark.executorEnv.PYTHONPATH": str(tmp_path)}
    done = trained(hosts, told, **conf)
    assert done.returncode == MachineError.status, output_of(done)
    assert f"on {hosts.network}." in output_of(done).splitlines()[-1]
    assert "libcudart.so is missing" in output_of(done).splitlines()[-1]
    assert not Path(told["output"]).exists()
