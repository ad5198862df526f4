"""What the search of one night proved, in the lake's folder, for the next one."""

from collections import Counter

from xlrec import searches
from xlrec.config import Config
from xlrec.pipeline.run import Run
from xlrec.stages.retrieve import Lists
from xlrec.tasks import shuffle_tasks


def pays(config: Config) -> bool:
    """Whether vectors may be the same tomorrow, so that it is worth keeping what was found among them."""
    neutral = config.embed.neutral
    same_texts = not neutral.enabled or neutral.reuse_days > 0
    proves = config.retrieve.search == "exact" and config.retrieve.incremental.enabled
    return proves and same_texts and not config.train.factors.enabled


def lists_of(run: Run) -> Lists:
    """Folders of the last night's lists and of tonight's."""
    keep = pays(run.config)
    last = run.ledger.newest("recommend.recommendations") if keep else None
    return Lists(_folder(run, last["run_id"]) if last else None, _folder(run, run.run_id), keep)


def _folder(run: Run, run_id: str) -> str:
    return f"{run.lake.folder}/{searches.KEPT}/{run_id}"


def share(run: Run, lists: Lists) -> float:
    """Share of the tasks that have told their end; each does as many users as the others."""
    n_tasks = shuffle_tasks(run.spark)
    return min(1.0, searches.n_told(lists.new) / n_tasks) if n_tasks else 0.0


def finish(run: Run, lists: Lists, index: str) -> str:
    """Makes tonight's lists whole and counts what the tasks told; a note on it, empty where all was searched."""
    counts: Counter[str] = Counter()
    paths: set[str] = set()
    for told in searches.finish(lists.new, index):
        counts.update(told["counts"])
        paths |= set(told["paths"])
    run.counts |= {f"search.{name}": n for name, n in counts.items()}
    run.search = ", ".join(sorted(paths))
    kept, users = counts["kept"], counts["users"]
    return f"{kept:,} of {users:,} lists brought up to date" if kept else ""
