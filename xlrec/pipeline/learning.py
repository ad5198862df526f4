"""The learnt recommender of a run: trained on what it prepared, or an older one again; laid into the index."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from xlrec import encoders
from xlrec.config import Config
from xlrec.errors import LakeError
from xlrec.index import ItemIndex
from xlrec.index_learnt import write_learnt
from xlrec.pipeline.run import Run
from xlrec.recommenders import hybrid
from xlrec.stages.train import first_moments, user_logs
from xlrec.tables import EVENTS, ITEMS, USERS

Say = Callable[[str], None]
#: What the facts of a model of `xlrec transfer` hold besides.
TRANSFER: Final = "transfer"


def learn(run: Run, index: str, say: Say) -> str | None:
    """Lays the learnt vectors into the index; the model's fingerprint, None where the config turns it off.

    Raises:
        LakeError: the model that the config names is missing, or of another encoder.
    """
    config = run.config.train.hybrid
    if not config.enabled:
        return None
    moments = first_moments(run.lake.read(ITEMS), run.lake.read(EVENTS)).persist()
    folder = config.model or _reusable(run) or _train(run, index, moments, say)
    check_encoder(folder, run.config)
    write_learnt(index, folder, moments, micros_of(run.run_date))
    moments.unpersist()
    facts = hybrid.facts_of(folder)
    run.counts["train.model_visits"] = int(facts.get("n_visits", 0))
    run.guard = tuple(facts.get("guard", ()))
    return str(facts["fingerprint"])


def micros_of(day: date) -> float:
    """First moment of a day, in microseconds."""
    return datetime.combine(day, time(), UTC).timestamp() * 1e6


def models_folder(run: Run) -> Path:
    """Folder of the lake's models: files that driver and workers see under this path."""
    return Path(run.lake.folder) / "_models"


def identity(config: Config) -> dict[str, Any]:
    """What a model hangs on besides the logs."""
    train = config.train.hybrid.model_dump(mode="json", exclude={"reuse_days", "model", "enabled", "processes"})
    neutral = config.embed.neutral.model_dump(mode="json", exclude={"reuse_days"})
    return {
        "encoder": encoders.fingerprint(config.embed), "unify": config.unify, "neutral": neutral, "train": train,
        "popularity": config.train.popularity.model_dump(mode="json"), "seed": config.seed,
    }  # fmt: skip


def check_encoder(folder: str, config: Config) -> None:
    """Refuses a model that was taught on other vectors.

    Raises:
        LakeError: there is no such model, or its encoder is another.
    """
    facts, wanted = hybrid.facts_of(folder), identity(config)
    for name in ("encoder", "unify", "neutral"):
        if facts[name] != wanted[name]:
            raise LakeError(
                f"model {folder} was taught with {name} = {facts[name]!r}, this config has {wanted[name]!r}: "
                "train again, or use the config of the training"
            )


def _reusable(run: Run) -> str | None:
    """The newest model of the lake that the config allows to use again."""
    days = run.config.train.hybrid.reuse_days
    wanted, found = identity(run.config), []
    for facts_file in models_folder(run).glob(f"*/{hybrid.FACTS}") if days else ():
        facts = hybrid.facts_of(str(facts_file.parent))
        age = (run.run_date - date.fromisoformat(facts["run_date"])).days
        if (
            TRANSFER not in facts
            and 0 <= age <= days
            and all(facts.get(name) == value for name, value in wanted.items())
        ):
            found.append((facts["run_date"], facts_file.parent.name, str(facts_file.parent)))
    return max(found)[2] if found else None


def _train(run: Run, index: str, moments: DataFrame, say: Say) -> str:
    shards = f"{index}/logs"
    user_logs(run.lake.read(USERS), run.lake.read(EVENTS)).write.mode("overwrite").parquet(f"file://{shards}")
    folder = models_folder(run) / run.run_id
    opened = ItemIndex.open(index)
    ages = ages_of(moments, opened.n_items)
    told = {**identity(run.config), "run_date": run.run_date.isoformat(), "market_names": list(opened.markets)}
    if run.config.train.hybrid.processes > 1:
        from xlrec.training.recommender.distributed import train_in_processes

        facts = {"folder": str(folder), "told": told}
        n_processes = run.config.train.hybrid.processes
        train_in_processes(n_processes, index, shards, ages, run.config.model_dump_json(), facts)
    else:
        from xlrec.training.recommender.task import task_of, teach

        with one_thread():
            teach(task_of(run.config, index, shards, ages), index, told, say, folder)
    finish_model(folder)
    return str(folder)


def finish_model(folder: Path) -> None:
    """Writes the card of a saved model, and drops the checkpoints."""
    import shutil

    from xlrec.training.recommender.card import card
    from xlrec.training.transfer.card import card as transferred

    model = hybrid.load(str(folder))
    told = transferred(model) if TRANSFER in model.facts else card(model)
    (folder / "README.md").write_text(told, encoding="utf-8")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def ages_of(moments: DataFrame, n_items: int) -> NDArray[np.float64]:
    """(n_items,) first_micros by item_num, NaN where nobody knows; 12 bytes an item reach the driver, as Arrow."""
    found = np.full(n_items, np.nan)
    table = moments.toArrow()
    found[table["item_num"].to_numpy()] = table["first_micros"].to_numpy()
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: sums keep their order, whatever the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def teller(stage: str) -> Say:
    """Writes lines of a training to stderr, under the stage's name."""

    def say(line: str) -> None:
        print(f"{stage:<10} {line}", file=sys.stderr, flush=True)  # noqa: T201  # progress, as the other stages'

    return say
