"""Train: neighbours, popularity and the learnt recommender, and the item index that workers map into memory."""

from typing import TYPE_CHECKING, NamedTuple

from xlrec import encoders
from xlrec.index.files import PAIRS
from xlrec.index.items import ItemIndex
from xlrec.index.writer import write_index
from xlrec.pipeline import approximation, learning
from xlrec.pipeline.embed import item_vectors
from xlrec.pipeline.run import Run
from xlrec.runtime.files import Files
from xlrec.stages.train import train_counts as training
from xlrec.tables import EVENTS, ITEMS, NEIGHBOURS, POPULARITY

if TYPE_CHECKING:
    from xlrec.training.recommender.fusion_weights import FusionFit


class Trained(NamedTuple):
    """Result of `learn`."""

    n_rows: int
    """Rows of neighbours and popularity."""
    model: str | None
    """Fingerprint of the learnt recommender; None without one."""
    weighing: "FusionFit | None"
    """Weights of the sources in each market, where they were fitted, and their figures."""


def train(run: Run) -> Trained:
    """The night's models, learnt and written into the run's item index."""
    with run.stage("train") as progress:
        trained = learn_models(run, run.index)
        model = f"model {trained.model}, {run.counts['train.model_visits']:,} visits" if trained.model else ""
        if trained.model:
            run.log.versions["model"] = trained.model
        note = " · ".join(filter(None, (model, approximation.recall_line(run.counts, run.config))))
        progress.record_result(rows_in=run.counts.get("prepare.events"), rows_out=trained.n_rows, note=note)
    return trained


def learn_models(run: Run, index: Files) -> Trained:
    """`train` without its progress: the models, written into this index, which is then kept in the lake."""
    lake, config = run.lake, run.config
    items, pairs = lake.read_table(ITEMS), index.subfolder(PAIRS)
    neighbours, popularity = training(lake.read_table(EVENTS), items, config.train, run.run_date, pairs)
    n_rows = run.replace_table("train", NEIGHBOURS, neighbours) + run.replace_table("train", POPULARITY, popularity)
    pairs.delete_everywhere(run.spark)
    dim = encoders.load(config.embed).dim
    tables, most = [lake.read_table(table) for table in (NEIGHBOURS, POPULARITY)], config.train.covisitation.neighbours
    write_index(index, items, item_vectors(run), *tables, dim=dim, n_neighbours=most)
    run.counts["index.items"] = ItemIndex.open_folder(index.folder).n_items
    model, weighing = learning.learn_recommender(run, index, learning.progress_writer("train"))
    approximation.write_lists(run, index.folder)
    index.delete_rows_folder(learning.LOGS)
    index.keep_in_lake(run.spark)
    return Trained(n_rows, model, weighing)
