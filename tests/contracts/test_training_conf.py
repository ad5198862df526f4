"""The configs of conf/training load; those of the encoders' own trainings leave out what companies could not use."""

from pathlib import Path

import pytest

from xlrec.config.loading import load_config, load_program_config
from xlrec.training.encoder import AdaptConfig

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize("path", sorted((CONF / "training").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_training_config_loads(path: Path) -> None:
    assert load_program_config(AdaptConfig, str(path)).steps > 1


def test_the_shipped_encoders_training_is_compressed_and_leaves_out_copyleft_texts() -> None:
    config = load_program_config(AdaptConfig, str(CONF / "training" / "encoder.yaml"))
    assert config.compress is not None
    assert {"GPL", "ODbL"} <= set(config.texts.exclude_licences)


def test_the_example_reads_the_demos_lake_and_starts_from_what_its_comment_exports() -> None:
    path = CONF / "training" / "from_lake.yaml"
    config = load_program_config(AdaptConfig, str(path))
    assert config.texts.lake is not None
    assert config.texts.lake.folder == load_config(str(CONF / "demo.yaml"), env={}).lake
    assert config.finetune is not None
    assert f"xlrec export-encoder {config.finetune.model}" in path.read_text()
