"""The learnt recommender of a run: trained on what it prepared, and laid into the index."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.index.items import FUSION, ItemIndex
from xlrec.index.learnt import write_learnt
from xlrec.pipeline.run import Run
from xlrec.recommenders import factors
from xlrec.recommenders.factors import FactorModel
from xlrec.runtime.arrays import replace
from xlrec.runtime.files import Files, fetched
from xlrec.stages.train import first_moments, user_logs
from xlrec.tables import EVENTS, ITEMS, USERS

Say = Callable[[str], None]
#: Folder in that of the index which holds what users met, by hashes of their ids.
LOGS: Final = "logs"
#: Folder of the lake below which models lie.
MODELS: Final = "_models"
#: What the facts of a model of `xlrec transfer` hold besides.
TRANSFER: Final = "transfer"
#: Parts of the users that a hash draws from.
_DRAWN: Final = 1_000_000


def learn(run: Run, index: Files, say: Say) -> str | None:
    """Lays the learnt vectors into the index; the model's fingerprint, None where the config turns it off.

    Raises:
        LakeError: a model that the config names is missing, of another encoder, or for a market that is not here.
    """
    config = run.config.train.factors
    if not config.enabled:
        return None
    opened = ItemIndex.open(index.folder)
    theirs: dict[str | None, FactorModel] = {}
    for market, folder in config.models.items():
        if market not in opened.markets:
            raise LakeError(f"train.factors.models names market {market!r}, the lake has {', '.join(opened.markets)}")
        folder = fetched(run.spark, folder)
        check_encoder(folder, run.config)
        theirs[market] = factors.load(folder)
    first_micros = ages_of(first_moments(run.lake.read(ITEMS), run.lake.read(EVENTS)), opened.n_items)
    model = _train(run, index, first_micros, say)
    write_learnt(index.folder, {None: model, **theirs}, first_micros)
    run.counts["train.model_visits"] = int(model.facts["n_visits"])
    return model.fingerprint


def model_files(run: Run, name: str) -> Files:
    """Folder of one of the lake's models."""
    return run.lake.files(f"{MODELS}/{name}")


def identity(config: Config) -> dict[str, Any]:
    """What a model hangs on besides the logs."""
    return {
        "encoder": encoders.fingerprint(config.embed), "unify": config.unify,
        "neutral": config.embed.neutral.model_dump(mode="json", exclude={"reuse_days"}),
        "train": config.train.factors.model_dump(mode="json", exclude={"models", "enabled"}), "seed": config.seed,
    }  # fmt: skip


def check_encoder(folder: str, config: Config) -> None:
    """Refuses a model that was taught on other vectors.

    Raises:
        LakeError: there is no such model, or its encoder is another.
    """
    facts, wanted = factors.facts_of(folder), identity(config)
    for name in ("encoder", "unify", "neutral"):
        if facts[name] != wanted[name]:
            raise LakeError(
                f"model {folder} was taught with {name} = {facts[name]!r}, this config has {wanted[name]!r}: "
                "train again, or use the config of the training"
            )


def _train(run: Run, index: Files, first_micros: NDArray[np.float64], say: Say) -> FactorModel:
    from xlrec.training.recommender import learn as learnt
    from xlrec.training.recommender.fusion_weights import weigh
    from xlrec.training.recommender.logs import items_of, read_shards

    config, files = run.config, model_files(run, run.run_id)
    users, events = run.lake.read(USERS), run.lake.read(EVENTS)
    share = config.train.factors.max_visits / max(1, events.where("weight > 0").count())
    drawn = users if share >= 1 else users.where(F.abs(F.xxhash64("user_id") % _DRAWN) < int(share * _DRAWN))
    if share < 1:
        say(f"learning from {share:.1%} of the users, by hash: train.factors.max_visits bounds the memory")
    shards, opened = index.collect_rows(user_logs(drawn, events), LOGS), ItemIndex.open(index.folder)
    told = {**identity(config), "run_date": run.run_date.isoformat()}
    logs, items = read_shards(shards, opened), items_of(opened, first_micros)
    model = learnt(
        logs, items, config.train.factors, markets=opened.markets, item_ids=opened.item_ids, facts=told,
        seed=config.seed,
    )  # fmt: skip
    save_with_card(model, Path(files.folder))
    files.keep(run.spark)
    if config.rank.weights is None:
        say("weighing the sources in each market on held-out choices")
        found = weigh(logs, items, config, markets=opened.markets, item_ids=opened.item_ids)
        whole = json.dumps(found.told(), ensure_ascii=False).encode()
        replace(Path(index.folder) / FUSION, lambda file: file.write(whole))
        run.weighing = found
    return model


def save_with_card(model: FactorModel, folder: Path) -> None:
    """Writes a model and its card."""
    from xlrec.training.recommender.card import card

    model.save(folder)
    (folder / "README.md").write_text(card(model), encoding="utf-8")


def ages_of(moments: DataFrame, n_items: int) -> NDArray[np.float64]:
    """(n_items,) first_micros by item_num, NaN where nobody knows; 12 bytes an item reach the driver, as Arrow."""
    found = np.full(n_items, np.nan)
    table = moments.toArrow()
    found[table["item_num"].to_numpy()] = table["first_micros"].to_numpy()
    return found


def teller(stage: str) -> Say:
    """Writes lines of a training to stderr, under the stage's name."""

    def say(line: str) -> None:
        print(f"{stage:<10} {line}", file=sys.stderr, flush=True)  # noqa: T201  # progress, as the other stages'

    return say
