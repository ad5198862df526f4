"""The ranker's training: the inner split of an evaluation, its shortlists, trees, and how they do beside the fusion."""

from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from xlrec.config import Config
from xlrec.errors import ConfigError
from xlrec.pipeline import evaluation, learning, steps
from xlrec.pipeline.run import Run, running, versions
from xlrec.progress import Progress
from xlrec.recommenders import ranking
from xlrec.reporting import ranker as reporting
from xlrec.stages import evaluate as scoring
from xlrec.stages import rank as ranks
from xlrec.stages import split as splitting
from xlrec.stages.retrieve import retrieve
from xlrec.tables import EVENTS, HOLDOUT, ITEMS, USERS

#: Most candidates that come to the driver, 120 MB of features. Bounds the users learnt from, and the training's time.
MOST_ROWS: Final = 1_000_000


def check(output: str | None) -> None:
    """Refuses what cannot end well, before anything starts.

    Raises:
        MachineError: LightGBM is missing.
        ConfigError: the output holds a ranker already.
    """
    ranking.require()
    if output and (Path(output) / ranking.FACTS).exists():
        raise ConfigError(f"--output {output} holds a ranker already: name another folder")


def train_ranker(
    spark: SparkSession, config: Config, output: str | None = None, config_file: str | None = None
) -> Path:
    """Prepares what the lake lacks, splits, learns, writes the artefact, prints how it does; the artefact's folder.

    Releases nothing.

    Raises:
        ConfigError: the output holds a ranker already.
        InputError: inputs cannot be read, or too few users chose one of their candidates.
        MachineError: LightGBM is missing.
    """
    check(output)
    config = config.model_copy(
        update={
            "evaluate": config.evaluate.model_copy(update={"inner": True}),
            "rank": config.rank.model_copy(update={"ranker": None}),
        }
    )
    progress = Progress(spark)
    inputs, run_date = steps.dated_inputs(spark, config)
    with running(spark, config, progress, run_date) as run:
        if not steps.prepared(run.lake):
            steps.prepare(run, inputs)
        steps.translate(run)
        steps.embed(run)
        apart = evaluation.split_apart(run, inputs, "_ranker")
        with run.stage("ranker") as shown:
            shards = _write_examples(apart)
            model = _learn(apart, shards)
            folder = Path(output) if output else learning.models_folder(run) / f"ranker-{run.run_id}"
            _write(model, folder)
            run.counts["ranker.users"] = n_users = int(model.facts["n_users"])
            shown.done(rows_in=int(model.facts["n_rows"]), rows_out=n_users, note=f"ranker {model.fingerprint}")
    progress.print_summary()
    reporting.print_ranker(model, str(folder), config_file or "CONFIG")
    return folder


def _write_examples(apart: Run) -> str:
    """Folder of the examples as Parquet: at most `MOST_ROWS` candidates, of users drawn by the hash of their ids."""
    lake, config = apart.lake, apart.config
    index = evaluation.learn_own(apart, config)
    events, users, items = lake.read(EVENTS), lake.read(USERS), lake.read(ITEMS)
    truth = scoring.ground_truth(lake.read(HOLDOUT), events, users, items, config.evaluate)
    most = max(1, MOST_ROWS // ranks.shortlist_of(config.k))
    drawn = truth.select("user_id", "relevant").orderBy(F.xxhash64("user_id"), "user_id").limit(most).persist()
    asked = users.join(drawn, "user_id", "left_semi")
    candidates = retrieve(asked, events, config, index=index, run_date=apart.run_date)
    folder = f"{lake.folder}/examples"
    ranks.examples(candidates, drawn, config, index=index).write.mode("overwrite").parquet(f"file://{folder}")
    drawn.unpersist()
    return folder


def _learn(apart: Run, shards: str) -> ranking.RankingModel:
    from xlrec.training.ranker import learn, read

    config = apart.config
    told = {
        "sources": ranks.weighted(config.rank), "learnt": config.train.hybrid.enabled,
        "shortlist": ranks.shortlist_of(config.k), "split": splitting.describe(config.evaluate),
        "run_date": apart.run_date.isoformat(),
        "versions": versions() | {"lightgbm": ranking.require().__version__},
    }  # fmt: skip
    return learn(read(shards), told, seed=config.seed, n_bootstrap=config.evaluate.bootstrap)


def _write(model: ranking.RankingModel, folder: Path) -> None:
    """Writes the artefact with its card."""
    from xlrec.training.ranker import card

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(card(model), encoding="utf-8")
    model.save(folder)
