"""The config that trained the shipped encoder loads, and leaves out what companies could not use."""

from pathlib import Path

from xlrec.settings import load_as
from xlrec.training.encoder import AdaptConfig

CONF = Path(__file__).resolve().parents[2] / "conf" / "training" / "encoder.yaml"


def test_the_shipped_encoders_config_loads_and_leaves_out_copyleft_texts() -> None:
    config = load_as(AdaptConfig, str(CONF))
    assert {"GPL", "ODbL"} <= set(config.texts.exclude_licences)
    assert config.compress is not None
