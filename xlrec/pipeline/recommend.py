"""Recommend: candidates of every user, ranked into the run's own rows, which no reader sees yet."""

from xlrec.pipeline import approximation
from xlrec.pipeline.listing import ranked_lists
from xlrec.pipeline.run import Run
from xlrec.runtime.files import Files
from xlrec.runtime.tasks import shuffle_tasks, task_messages
from xlrec.tables import EVENTS, RECOMMENDATIONS, USERS


def recommend(run: Run, index: Files | None = None) -> None:
    """Writes the lists of all users by the item index of an earlier run; None: the run's own.

    Raises:
        LakeError: the index is absent, or was made without the approximate search that the config asks for.
    """
    lake, index = run.lake, index or run.index
    index.fetch_from_lake(run.spark)
    approximation.require_lists(index.folder, run.config)
    users = lake.read_table(USERS)
    n_users = run.counts.get("prepare.users") or users.count()
    with run.stage("recommend", total=n_users, unit="users") as progress:
        messages, n_tasks = task_messages(run.spark), shuffle_tasks(run.spark)
        # Each of these tasks has as many users.
        progress.follow_share(lambda: len({task for task, _ in messages.value}) / n_tasks if n_tasks else 0.0)
        lists = ranked_lists(
            users, lake.read_table(EVENTS), run.config, index=index.share_with_workers(run.spark), run_id=run.run_id,
            run_date=run.run_date, first_passes=messages,
        )  # fmt: skip
        rows = run.replace_table("recommend", RECOMMENDATIONS, lists)
        run.counts["recommend.users"] = n_users
        run.log.versions["search"] = ", ".join(sorted({path for _, path in messages.value if path}))
        progress.record_result(rows_in=n_users, rows_out=rows)
