"""The nightly run, and its stages one by one."""

import sys

from pyspark.sql import SparkSession

from xlrec.config.models import Config
from xlrec.errors import LakeError
from xlrec.lake.releases import ENDED, Ledger
from xlrec.pipeline.embed import embed
from xlrec.pipeline.housekeeping import delete_old_indexes
from xlrec.pipeline.prepare import dated_inputs, prepare
from xlrec.pipeline.publish import publish
from xlrec.pipeline.recommend import recommend
from xlrec.pipeline.run import index_of, open_lake, running_on
from xlrec.pipeline.train import train
from xlrec.pipeline.translation import translate
from xlrec.runtime.progress import Progress

#: Stages that need nothing but the tables of the earlier ones.
_ALONE = {"translate": translate, "embed": embed, "train": train}


def nightly(spark: SparkSession, config: Config, *, evaluating: bool = False, config_file: str | None = None) -> str:
    """Id of the run: prepare → translate → embed → train → retrieve → rank → audit → publish, then the report.

    `evaluating` also scores the same stages on history against a holdout, before the report; `config_file` is named in
    the lines printed at the end. After an XlrecError the live release is untouched.
    """
    from xlrec.pipeline.evaluation import score_systems
    from xlrec.pipeline.reports import Results, finish_report

    progress, lake = Progress(spark), open_lake(spark, config)
    inputs, run_date = dated_inputs(lake, config)
    with running_on(lake, config, progress, run_date) as run:
        market_logs = prepare(run, inputs)
        translate(run)
        embed(run)
        trained = train(run)
        recommend(run)
        published = publish(run)
        delete_old_indexes(lake, config.publish.kept_indexes)
        run.ledger.delete_abandoned()
        if evaluating:
            score_systems(run, inputs)
    progress.print_summary()
    finish_report(run, Results(market_logs, trained.weighing, published), config_file)
    return run.run_id


def stage_alone(spark: SparkSession, config: Config, name: str) -> str:
    """Id of the run of one stage, on the tables that the earlier ones left in the lake.

    Raises:
        LakeError: an earlier stage has not run yet.
    """
    progress, lake = Progress(spark), open_lake(spark, config)
    ledger = Ledger(lake, config.publish.heartbeat_s)
    if name == "prepare":
        inputs, run_date = dated_inputs(lake, config)
        with running_on(lake, config, progress, run_date) as run:
            prepare(run, inputs)
    elif name == "publish":
        source = _newest(ledger, "recommend", ("finished", "rejected"))
        with running_on(lake, config, progress, None) as run:
            publish(run, source)
    else:
        with running_on(lake, config, progress, None) as run:
            if name == "recommend":
                recommend(run, index_of(lake, _newest(ledger, "train")))
            else:
                _ALONE[name](run)
    progress.print_summary()
    print(run.run_id, file=sys.stdout)  # noqa: T201  # the id, for scripts
    return run.run_id


def _newest(ledger: Ledger, stage: str, status: tuple[str, ...] = ENDED) -> str:
    """Id of the newest run in which the stage ended."""
    record = ledger.newest_run(stage, status)
    if record is None:
        raise LakeError(f"{ledger.lake.root} has nothing from {stage} to go on with: run `xlrec {stage}` first")
    return record.run_id
