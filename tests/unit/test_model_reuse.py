"""Which trained model a night uses: a young one of the same config and encoder, or a named one of the same encoder."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from xlrec.config import Config
from xlrec.errors import LakeError
from xlrec.pipeline import learning
from xlrec.recommenders.hybrid import ARRAYS, SCALARS, HybridModel


def config(**hybrid: Any) -> Config:
    return Config.model_validate(
        {"lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "embed": {"encoder": "hashing"},
         "train": {"hybrid": hybrid}}
    )  # fmt: skip


def written(lake: Path, run_id: str, day: str, made_with: Config) -> str:
    sizes = {"lengths": 10, "places": 16, "ages": 14, "scalars": len(SCALARS), "bias": 1, "gate": 4}
    arrays = {name: np.zeros(sizes.get(name, 4), dtype=np.float32) for name in ARRAYS}
    facts = {**learning.identity(made_with), "run_date": day, "text_dim": 4, "dim": 1, "max_history": 30}
    HybridModel(arrays, pa.array(["a"]), facts).save(lake / "_models" / run_id)
    return str(lake / "_models" / run_id)


def reusable(lake: Path, wanted: Config, day: date = date(2026, 3, 10)) -> str | None:
    run: Any = SimpleNamespace(lake=SimpleNamespace(folder=str(lake)), config=wanted, run_date=day)
    return learning._reusable(run)


def test_the_newest_model_that_is_young_enough_is_used_again(tmp_path: Path) -> None:
    made = config()
    written(tmp_path, "r1", "2026-03-04", made)
    newest = written(tmp_path, "r2", "2026-03-08", made)
    written(tmp_path, "of-the-future", "2026-03-11", made)
    assert reusable(tmp_path, config(reuse_days=7)) == newest
    assert reusable(tmp_path, config(reuse_days=1)) is None
    assert reusable(tmp_path, config(reuse_days=0)) is None


def test_a_model_of_another_config_is_not_used_again(tmp_path: Path) -> None:
    written(tmp_path, "r1", "2026-03-08", config())
    assert reusable(tmp_path, config(reuse_days=7, dim=32)) is None
    assert reusable(tmp_path, config(reuse_days=7).model_copy(update={"unify": "both"})) is None
    assert reusable(tmp_path, config(reuse_days=7, processes=2)) is not None


def test_a_named_model_of_another_encoder_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, "r1", "2026-03-08", config())
    learning.check_encoder(folder, config(dim=32))
    other = config().model_copy(update={"embed": config().embed.model_copy(update={"dim": 64})})
    with pytest.raises(LakeError, match="was taught with encoder"):
        learning.check_encoder(folder, other)
    with pytest.raises(LakeError, match="no learnt model"):
        learning.check_encoder(str(tmp_path / "nothing"), config())
