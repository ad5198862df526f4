"""Checks of what comes in: texts that tell less than they should, markets whose logs disagree with the others'.

Of texts: what the encoder cuts, what is in another language than stated, what tells no items apart, what cleaning left
empty.
"""

from collections import Counter
from typing import Final

from pyspark.sql import Row
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.encoders.lengths import cut
from xlrec.kernels.text.text import canonical_language
from xlrec.pipeline.run import Run
from xlrec.stages import embed as embedding
from xlrec.stages import prepare as preparing
from xlrec.tables import EVENTS, ITEMS, REJECTS, TEXTS, UNKNOWN_LANGUAGE

#: What is counted by language, as `quality.<what>.<language>` among the run's counts.
COUNTED: Final = ("texts", "checked", "cut", "other_language", "mute", "empty")
#: Rule of rows whose title cleaning left empty.
_EMPTY: Final = "empty_after_cleaning"
#: Most markets that a note names.
_NAMED: Final = 3


def check_markets(run: Run) -> str:
    """Compares how the markets log, for the report; returns what to say of those that disagree, '' where none does."""
    most = run.config.limits.driver_rows
    rows = preparing.logs_by_market(run.lake.read(EVENTS), run.config.prepare).take(most + 1)
    if len(rows) > most:
        return f"the markets' logs are not compared: more than limits.driver_rows = {most} markets and kinds of events"
    run.markets = preparing.compare_markets(map(Row.asDict, rows), run.config.prepare.max_market_distance)
    odd = [log for log in run.markets if log.said]
    run.counts |= {"prepare.markets": len(run.markets), "prepare.markets_that_disagree": len(odd)}
    if not odd:
        return ""
    named = "; ".join(f"{log.market}: {', '.join(log.said)}" for log in odd[:_NAMED])
    more = f"; and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    return f"{len(odd)} of {len(run.markets)} markets log otherwise: {named}{more}"


def check_texts(run: Run) -> str:
    """Counts, by language, texts that tell less than they should; returns what to say of them, '' where all is well.

    The sample comes to the driver, where the encoder is loaded anyway: `prepare.checked_texts` bounds it.
    """
    config, texts = run.config, run.lake.read(TEXTS)
    mute = embedding.mute_texts(run.lake.read(ITEMS), texts)
    sizes = preparing.texts_by_language(texts, mute).collect()  # a row per language
    found: dict[str, Counter[str]] = {what: Counter() for what in COUNTED}
    found["texts"].update({row["language"]: row["n"] for row in sizes})
    found["mute"].update({row["language"]: row["n_mute"] for row in sizes})
    found["empty"].update(_emptied(run))
    if sizes and config.prepare.checked_texts:
        stated = tuple(sorted(row["language"] for row in sizes if row["n_stated"]))
        rows = preparing.text_sample(texts, found["texts"], config.prepare.checked_texts).collect()
        found["checked"].update(row["language"] for row in rows)
        flags = cut(encoders.load(config.embed), [row["text"] for row in rows])
        found["cut"].update(row["language"] for row, flag in zip(rows, flags, strict=True) if flag)
        found["other_language"].update(
            row["language"]
            for row in rows
            if not row["language_detected"] and preparing.differs(row["text"], row["language"], stated)
        )
    for what, counts in found.items():
        run.counts.update({f"quality.{what}.{language}": n for language, n in sorted(counts.items()) if n})
    return _said(found)


def _emptied(run: Run) -> Counter[str]:
    """Catalogue rows of which cleaning left no title, by stated language."""
    found: Counter[str] = Counter()
    if run.lake.exists(REJECTS):
        rejects = run.lake.read(REJECTS).where((F.col("run_id") == run.run_id) & (F.col("rule") == _EMPTY))
        tag = F.get_json_object("row", "$.language").alias("tag")
        for row in rejects.groupBy(tag).count().take(run.config.limits.driver_rows):
            found[canonical_language(row["tag"]) or UNKNOWN_LANGUAGE] += row["count"]
    return found


def _said(found: dict[str, Counter[str]]) -> str:
    checked = found["checked"].total()
    said = [
        f"{found[what].total():,} of {checked:,} texts {words}"
        for what, words in (("cut", "are cut"), ("other_language", "in another language than stated"))
        if found[what].total()
    ]
    if found["mute"].total():
        said.append(f"{found['mute'].total():,} of {found['texts'].total():,} texts tell no items apart")
    return ", ".join(said)
