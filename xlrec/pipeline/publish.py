"""Publish: the audit of a run's lists against the live ones, and their release in one commit."""

from typing import NamedTuple

from xlrec.errors import AuditError
from xlrec.lake.releases import Release
from xlrec.pipeline.rows import one_row
from xlrec.pipeline.run import Run
from xlrec.stages import audit as auditing
from xlrec.tables import USERS


class Published(NamedTuple):
    """Result of `publish`."""

    verdicts: tuple[auditing.Verdict, ...]
    replaced: Release | None
    """The release that was live before; None for the first."""
    content_hash: str


def publish(run: Run, source: str | None = None) -> Published:
    """The release of the run's lists, or of those of an older run that only recommended.

    Raises:
        AuditError: a bar is missed; the live release stays.
        LeaseError: the run no longer holds the lake.
    """
    lake, ledger, source = run.lake, run.ledger, source or run.run_id
    with run.stage("publish") as progress:
        new, live = ledger.rows_of(source, run.run_date), ledger.live_release()
        old = ledger.rows_of(live.run_id, live.run_date) if live else None
        measured = one_row(auditing.measure_lists(new, old, lake.read_table(USERS), run.config.k))
        for name in ("rows", "users_with_list", "short_lists", *(["live_rows"] if live else [])):
            run.counts[f"audit.{name}"] = int(measured[name])
        verdicts = auditing.audit_verdicts(measured, run.config.audit)
        failed = [str(verdict) for verdict in verdicts if not verdict.passed]
        if failed:
            raise AuditError(f"run {source} is not released, readers keep the last one: {'; '.join(failed)}")
        content_hash = str(one_row(auditing.content_hash(new))["content_hash"])
        ledger.check_held(run.run_id)  # a run that lost the lake meanwhile releases nothing
        ledger.release(source, run.run_date)
        run.log.status, run.log.content_hash = "published", content_hash
        progress.record_result(rows_in=int(measured["rows"]), rows_out=int(measured["rows"]))
    return Published(tuple(verdicts), live, content_hash)
