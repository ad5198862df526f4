"""The configs of the encoders' trainings load, and leave out what companies could not use."""

from pathlib import Path

import pytest

from xlrec.settings import load_as
from xlrec.training.encoder import AdaptConfig

CONF = Path(__file__).resolve().parents[2] / "conf" / "training"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_trainings_config_loads_and_leaves_out_copyleft_texts(path: Path) -> None:
    config = load_as(AdaptConfig, str(path))
    assert {"GPL", "ODbL"} <= set(config.texts.exclude_licences)


def test_the_shipped_encoders_config_says_how_it_is_compressed_and_the_contextual_ones_what_it_stands_on() -> None:
    assert load_as(AdaptConfig, str(CONF / "encoder.yaml")).compress is not None
    contextual = load_as(AdaptConfig, str(CONF / "contextual.yaml")).finetune
    assert contextual is not None
    assert contextual.model == "default"
    assert contextual.layers is not None
