"""Output of `xlrec explain` and `xlrec releases`."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from xlrec.config.models import Config
from xlrec.errors import ConfigError
from xlrec.lake.delta import Lake
from xlrec.lake.readers import read_recommendations
from xlrec.pipeline.samples import user_lists
from xlrec.reporting.console import print_explanation
from xlrec.tables import RELEASES, RUNS, USERS


def explain_user(spark: SparkSession, config: Config, user_id: str) -> None:
    """Prints a user's live list, history and reasons; ConfigError where the lake has no such user."""
    lake = Lake(spark, config.lake)
    lists = read_recommendations(spark, config.lake)
    if lake.read_table(USERS).where(F.col("user_id") == user_id).isEmpty():
        raise ConfigError(f"{config.lake} has no user {user_id}: not in the inputs, rejected, or opted out")
    (shown,) = user_lists(lake, lists, {user_id: user_id})
    print_explanation(shown)


def releases(spark: SparkSession, config: Config) -> None:
    """Prints the releases and the newest runs."""
    lake = Lake(spark, config.lake)
    console = Console()
    for table, order in ((RELEASES, "release"), (RUNS, "started_at")):
        names = [n for n in table.schema.names if n not in ("config", "versions", "counts", "seconds")]
        shown = Table(*names, title=table.name, box=None, padding=(0, 2, 0, 0), title_justify="left")
        for row in lake.read_table(table).orderBy(F.desc(order)).select(*names).take(20):
            shown.add_row(*("" if value is None else str(value) for value in row))
        console.print(shown)
