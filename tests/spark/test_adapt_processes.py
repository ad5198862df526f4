"""Fine-tuning in several processes: one model, learnt from the batches of all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds.parallel_texts import settings, write_world
from worlds.tiny_models import build_encoder

from xlrec import encoders
from xlrec.errors import EncoderError
from xlrec.pipeline.adapting import adapt_encoder
from xlrec.training.encoder import AdaptConfig, adapt_in_process
from xlrec.training.encoder.finetune import FineTuneBackend
from xlrec.training.processes import process_placement

TEXTS = ["abde lmno", "бгд жзк", "helmet", "bike"]


def silent(_: str) -> None:
    """Takes no line."""


def config(folder: Path, model: Path, processes: int, **changes: Any) -> AdaptConfig:
    write_world(folder / "texts", n_concepts=200)
    finetune = {
        "model": str(model),
        "learning_rate": 1.0,
        "max_tokens": 32,
        "processes": processes,
    }  # warms up from 1e-3 of it
    measure = {"every_steps": 10, "candidates": 50, "min_pairs": 1000, "languages": ["xx"]}  # the last step is kept
    found = settings(folder, mode="finetune", finetune=finetune, measure=measure, batch={"pairs": 16}, steps=1)
    return AdaptConfig.model_validate({**found, **changes})


def averaged_by_hand(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The model after one step with the mean of the gradients of two ranks, worked out in this process."""
    gradients: list[Any] = []

    def keep(backend: FineTuneBackend) -> None:
        gradients.extend(None if one.grad is None else one.grad.clone() for one in backend._parameters)

    def average(backend: FineTuneBackend) -> None:
        for one, other in zip(backend._parameters, gradients, strict=True):
            if one.grad is not None:
                one.grad = (one.grad + other) / 2

    for rank, step in ((1, keep), (0, average)):
        chosen = config(folder / str(rank), model, 1)
        monkeypatch.setattr(FineTuneBackend, "_average_gradients", step)
        adapt_in_process(chosen, silent, rank)
    monkeypatch.undo()
    return chosen.output


@pytest.mark.usefixtures("spark")
def test_two_processes_learn_from_the_batches_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_encoder(tmp_path / "base", "bert-mean")
    expected = averaged_by_hand(tmp_path / "by-hand", model, monkeypatch)
    both = config(tmp_path / "both", model, 2)
    assert adapt_encoder(both, silent) == {}
    alone = config(tmp_path / "alone", model, 1)
    adapt_encoder(alone, silent)
    found = {name: encoders.load(path).encode(TEXTS) for name, path in (("both", both.output), ("alone", alone.output))}
    np.testing.assert_allclose(found["both"], encoders.load(expected).encode(TEXTS), atol=1e-5)
    assert not np.allclose(found["both"], found["alone"], atol=1e-4)


@pytest.mark.usefixtures("spark")
def test_what_a_process_refuses_is_said_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"^finetune.model: no folder .* name a sentence-transformers folder$"):
        adapt_encoder(config(tmp_path, tmp_path / "none", 2), silent)


@pytest.mark.parametrize(
    ("master", "gpus", "expected"),
    [
        ("local[2]", "0", (True, False)),
        ("local", "1", (True, False)),
        ("local-cluster[2,1,1024]", "0", (False, False)),
        ("spark://host:7077", "1", (False, True)),
        ("yarn", "0.5", (False, False)),
    ],
)
def test_processes_run_here_where_the_master_is_local_else_on_executors(
    master: str, gpus: str, expected: tuple[bool, bool]
) -> None:
    found = process_placement(master, {"spark.task.resource.gpu.amount": gpus})
    assert (found["local_mode"], found["use_gpu"]) == expected
