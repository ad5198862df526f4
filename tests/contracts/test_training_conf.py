"""The configs of conf/training load; those of the encoders' own trainings leave out what companies could not use."""

from pathlib import Path

import pytest

from xlrec.config.loading import load, load_as
from xlrec.training.encoder import AdaptConfig

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize("path", sorted((CONF / "training").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_training_config_loads(path: Path) -> None:
    assert load_as(AdaptConfig, str(path)).steps > 1


@pytest.mark.parametrize("name", ["encoder", "contextual"])
def test_the_encoders_own_trainings_leave_out_copyleft_texts(name: str) -> None:
    config = load_as(AdaptConfig, str(CONF / "training" / f"{name}.yaml"))
    assert {"GPL", "ODbL"} <= set(config.texts.exclude_licences)


def test_the_shipped_encoders_config_says_how_it_is_compressed_and_the_contextual_ones_what_it_stands_on() -> None:
    assert load_as(AdaptConfig, str(CONF / "training" / "encoder.yaml")).compress is not None
    contextual = load_as(AdaptConfig, str(CONF / "training" / "contextual.yaml")).finetune
    assert contextual is not None
    assert contextual.model == "default"
    assert contextual.layers is not None


def test_the_example_reads_the_demos_lake_and_starts_from_what_its_comment_exports() -> None:
    path = CONF / "training" / "from_lake.yaml"
    config = load_as(AdaptConfig, str(path))
    assert config.texts.lake is not None
    assert config.texts.lake.folder == load(str(CONF / "demo.yaml"), env={}).lake
    assert config.finetune is not None
    assert f"xlrec export-encoder {config.finetune.model}" in path.read_text()
