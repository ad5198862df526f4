"""The learnt recommender of a run: trained on its tables, and written into its item index."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
from xlrec.runtime.arrays import replace_file
from xlrec.runtime.files import Files, fetched_copy
from xlrec.stages.train import first_moments, logs_by_user
from xlrec.tables import EVENTS, ITEMS, USERS

if TYPE_CHECKING:
    from xlrec.training.recommender.fusion_weights import FusionFit

LogLine = Callable[[str], None]
#: Folder below the index with the users' logs, by hashes of their ids.
LOGS: Final = "logs"
#: Folder of the lake below which models lie.
MODELS: Final = "_models"
#: Key of a model's facts about `xlrec transfer`.
TRANSFER: Final = "transfer"
#: Number of hash values from which users are drawn.
_DRAWN: Final = 1_000_000


def learn_recommender(run: Run, index: Files, log: LogLine) -> tuple[str | None, "FusionFit | None"]:
    """Fingerprint of the model whose vectors are now in the index, and the fitted weights of the sources.

    Both are None where the config turns the recommender off; the weights also where `rank.weights` states them.

    Raises:
        LakeError: a model that the config names is missing, of another encoder, or for a market that is not here.
    """
    config = run.config.train.factors
    if not config.enabled:
        return None, None
    opened = ItemIndex.open_folder(index.folder)
    by_market: dict[str | None, FactorModel] = {}
    for market, folder in config.models.items():
        if market not in opened.markets:
            raise LakeError(f"train.factors.models names market {market!r}, the lake has {', '.join(opened.markets)}")
        folder = fetched_copy(run.spark, folder)
        check_encoder(folder, run.config)
        by_market[market] = factors.load(folder)
    first_micros = first_moments_array(
        first_moments(run.lake.read_table(ITEMS), run.lake.read_table(EVENTS)), opened.n_items
    )
    model, weighing = _train(run, index, first_micros, log)
    write_learnt(index.folder, {None: model, **by_market}, first_micros)
    run.counts["train.model_visits"] = int(model.facts["n_visits"])
    return model.fingerprint, weighing


def model_files(run: Run, name: str) -> Files:
    """Folder of one of the lake's models."""
    return run.lake.folder_of_files(f"{MODELS}/{name}")


def model_identity(config: Config) -> dict[str, Any]:
    """Facts that a model depends on besides the logs."""
    return {
        "encoder": encoders.fingerprint(config.embed), "unify": config.unify,
        "neutral": config.embed.neutral.model_dump(mode="json"),
        "train": config.train.factors.model_dump(mode="json", exclude={"models", "enabled"}), "seed": config.seed,
    }  # fmt: skip


def check_encoder(folder: str, config: Config) -> None:
    """Refuses a model that was trained on other vectors.

    Raises:
        LakeError: there is no such model, or its encoder is another.
    """
    facts, wanted = factors.model_facts(folder), model_identity(config)
    for name in ("encoder", "unify", "neutral"):
        if facts[name] != wanted[name]:
            raise LakeError(
                f"model {folder} was taught with {name} = {facts[name]!r}, this config has {wanted[name]!r}: "
                "train again, or use the config of the training"
            )


def _train(
    run: Run, index: Files, first_micros: NDArray[np.float64], log: LogLine
) -> "tuple[FactorModel, FusionFit | None]":
    from xlrec.training.recommender import fit_factor_model as learnt
    from xlrec.training.recommender.fusion_weights import fit_fusion_weights
    from xlrec.training.recommender.logs import items_from_index, read_logs

    config, files = run.config, model_files(run, run.run_id)
    users, events = run.lake.read_table(USERS), run.lake.read_table(EVENTS)
    share = config.train.factors.max_visits / max(1, events.where("weight > 0").count())
    drawn = users if share >= 1 else users.where(F.abs(F.xxhash64("user_id") % _DRAWN) < int(share * _DRAWN))
    if share < 1:
        log(f"learning from {share:.1%} of the users, by hash: train.factors.max_visits bounds the memory")
    shards, opened = index.collect_rows(logs_by_user(drawn, events), LOGS), ItemIndex.open_folder(index.folder)
    facts = {**model_identity(config), "run_date": run.run_date.isoformat()}
    logs, items = read_logs(shards, opened), items_from_index(opened, first_micros)
    model = learnt(
        logs, items, config.train.factors, markets=opened.markets, item_ids=opened.item_ids, facts=facts,
        seed=config.seed,
    )  # fmt: skip
    save_with_card(model, Path(files.folder))
    files.keep_in_lake(run.spark)
    if config.rank.weights is not None:
        return model, None
    log("weighing the sources in each market on held-out choices")
    weighing = fit_fusion_weights(logs, items, config, markets=opened.markets, item_ids=opened.item_ids)
    content = json.dumps(weighing.told(), ensure_ascii=False).encode()
    replace_file(Path(index.folder) / FUSION, lambda file: file.write(content))
    return model, weighing


def save_with_card(model: FactorModel, folder: Path) -> None:
    """Writes a model and its card."""
    from xlrec.training.recommender.quality import recommender_card

    model.save_model(folder)
    (folder / "README.md").write_text(recommender_card(model), encoding="utf-8")


def first_moments_array(moments: DataFrame, n_items: int) -> NDArray[np.float64]:
    """First moments of items by item_num: (n_items,) float64 microseconds, NaN where unknown; 12 bytes each."""
    micros = np.full(n_items, np.nan)
    table = moments.toArrow()
    micros[table["item_num"].to_numpy()] = table["first_micros"].to_numpy()
    return micros


def progress_writer(stage: str) -> LogLine:
    """Writes lines of a training to stderr, under the stage's name."""

    def log(line: str) -> None:
        print(f"{stage:<10} {line}", file=sys.stderr, flush=True)  # noqa: T201  # progress, as the other stages'

    return log
