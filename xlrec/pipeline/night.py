"""The nightly run, and its stages one by one."""

import sys

from pyspark.sql import SparkSession

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.lake.delta import Lake
from xlrec.lake.releases import Ledger
from xlrec.pipeline import steps, translation
from xlrec.pipeline.housekeeping import tidy
from xlrec.pipeline.run import index_of, running
from xlrec.runtime.progress import Progress


def nightly(spark: SparkSession, config: Config, *, evaluating: bool = False, config_file: str | None = None) -> str:
    """Prepare → translate → embed → train → retrieve → rank → audit → publish, then the report; returns the run's id.

    Args:
        spark: The session.
        config: The whole config.
        evaluating: also score the same stages on history against a holdout, before the report.
        config_file: named in what is printed at the end.

    Raises:
        XlrecError: as its subclasses say; the live release is untouched.
    """
    from xlrec.pipeline.evaluation import score
    from xlrec.pipeline.reports import finish

    progress = Progress(spark)
    inputs, run_date = steps.dated_inputs(spark, config)
    with running(spark, config, progress, run_date) as run:
        steps.prepare(run, inputs)
        translation.translate(run)
        steps.embed(run)
        steps.train(run)
        steps.recommend(run)
        verdicts = steps.publish(run)
        tidy(run.lake, config.publish.kept_indexes)
        run.ledger.forget_abandoned()
        if evaluating:
            score(run, inputs)
    progress.print_summary()
    finish(run, verdicts, config_file)
    return run.run_id


def stage_alone(spark: SparkSession, config: Config, name: str) -> str:
    """One stage, on what the earlier ones left in the lake; returns the run's id.

    Raises:
        LakeError: an earlier stage has not run yet.
    """
    progress = Progress(spark)
    ledger = Ledger(Lake(spark, config.lake), config.publish.heartbeat_s)
    if name == "prepare":
        inputs, run_date = steps.dated_inputs(spark, config)
        with running(spark, config, progress, run_date) as run:
            steps.prepare(run, inputs)
    elif name == "publish":
        source = _newest(ledger, "recommend.recommendations", "recommend", ("finished", "rejected"))
        with running(spark, config, progress, None) as run:
            steps.publish(run, source)
    else:
        with running(spark, config, progress, None) as run:
            if name == "recommend":
                trained = _newest(ledger, "index.items", "train")
                steps.recommend(run, index_of(run.lake, trained))
            else:
                {"translate": translation.translate, "embed": steps.embed, "train": steps.train}[name](run)
    progress.print_summary()
    print(run.run_id, file=sys.stdout)  # noqa: T201  # the id, for scripts
    return run.run_id


def _newest(ledger: Ledger, counted: str, job: str, status: tuple[str, ...] | None = None) -> str:
    row = ledger.newest(counted, status) if status else ledger.newest(counted)
    if row is None:
        raise LakeError(f"{ledger.lake.root} has nothing from {job} to go on with: run `xlrec {job}` first")
    return str(row["run_id"])
