"""Checks of the inputs: texts that tell less than they should, markets whose logs disagree with the others'.

A text is counted where the encoder cuts it, its language is not the stated one or none that the encoder was trained on,
it tells no items apart, or cleaning left nothing of it.
"""

from collections import Counter
from typing import Final

from pyspark.sql import Row
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.encoders.presets import find_preset
from xlrec.kernels.text.text import canonical_language
from xlrec.pipeline.rows import MAX_DRIVER_ROWS
from xlrec.pipeline.run import Run
from xlrec.stages import embed as embedding
from xlrec.stages import prepare as preparing
from xlrec.tables import EVENTS, ITEMS, REJECTS, TEXTS, UNKNOWN_LANGUAGE

#: Counts by language, as `quality.<what>.<language>` among the run's counts.
COUNTED: Final = ("texts", "checked", "cut", "other_language", "mute", "empty", "untrained")
#: Texts that are checked, spread evenly over the languages.
CHECKED_TEXTS: Final = 2000
#: Rule of rows whose title cleaning left empty.
_EMPTY: Final = "empty_after_cleaning"
#: Most markets or languages that a note names.
_NAMED: Final = 3


def check_markets(run: Run) -> tuple[tuple[preparing.MarketLog, ...], str]:
    """How the markets log, those that disagree first, and a note on these, '' where none does."""
    rows = preparing.logs_by_market(run.lake.read_table(EVENTS), run.config.prepare).take(MAX_DRIVER_ROWS + 1)
    if len(rows) > MAX_DRIVER_ROWS:
        return (), f"the markets' logs are not compared: more than {MAX_DRIVER_ROWS:,} markets and kinds of events"
    markets = preparing.compare_markets(map(Row.asDict, rows))
    odd = [log for log in markets if log.disagreements]
    run.counts.update({"prepare.markets": len(markets), "prepare.markets_that_disagree": len(odd)})
    if not odd:
        return markets, ""
    named = "; ".join(f"{log.market}: {', '.join(log.disagreements)}" for log in odd[:_NAMED])
    more = f"; and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    return markets, f"{len(odd)} of {len(markets)} markets log otherwise: {named}{more}"


def check_texts(run: Run) -> str:
    """Note on texts that tell less than they should, '' where all is well; counted by language.

    The sample comes to the driver, where the encoder is loaded anyway: `CHECKED_TEXTS` bounds it.
    """
    config, texts = run.config, run.lake.read_table(TEXTS)
    mute = embedding.shared_texts(run.lake.read_table(ITEMS), texts)
    sizes = preparing.texts_by_language(texts, mute).collect()  # a row per language
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in COUNTED}
    counts["texts"].update({row["language"]: row["n"] for row in sizes})
    counts["mute"].update({row["language"]: row["n_mute"] for row in sizes})
    counts["empty"].update(_emptied(run))
    preset = find_preset(config.embed.encoder)
    if preset is not None and preset.trained_on and config.unify != "pivot":
        counts["untrained"] = _untrained(counts["texts"], preset.trained_on)
    if sizes:
        stated = tuple(sorted(row["language"] for row in sizes if row["n_stated"]))
        rows = preparing.text_sample(texts, counts["texts"], CHECKED_TEXTS).collect()
        counts["checked"].update(row["language"] for row in rows)
        flags = encoders.load(config.embed).truncated_texts([row["text"] for row in rows])
        counts["cut"].update(row["language"] for row, flag in zip(rows, flags, strict=True) if flag)
        counts["other_language"].update(
            row["language"]
            for row in rows
            if not row["language_detected"] and preparing.language_differs(row["text"], row["language"], stated)
        )
    for kind, by_language in counts.items():
        run.counts.update({f"quality.{kind}.{language}": n for language, n in sorted(by_language.items()) if n})
    return _note(counts)


def _emptied(run: Run) -> Counter[str]:
    """Catalogue rows of which cleaning left no title, by stated language."""
    counts: Counter[str] = Counter()
    if run.lake.has_table(REJECTS):
        rejects = run.lake.read_table(REJECTS).where((F.col("run_id") == run.run_id) & (F.col("rule") == _EMPTY))
        tag = F.get_json_object("row", "$.language").alias("tag")
        for row in rejects.groupBy(tag).count().take(MAX_DRIVER_ROWS):
            counts[canonical_language(row["tag"]) or UNKNOWN_LANGUAGE] += row["count"]
    return counts


def _untrained(texts: Counter[str], trained_on: tuple[str, ...]) -> Counter[str]:
    """Texts by language, of the languages that are none of those trained on, nor unknown."""
    known = {*trained_on, UNKNOWN_LANGUAGE}
    return Counter({language: n for language, n in texts.items() if language.partition("-")[0] not in known})


def _note(counts: dict[str, Counter[str]]) -> str:
    checked = counts["checked"].total()
    notes = [
        f"{counts[kind].total():,} of {checked:,} texts {words}"
        for kind, words in (("cut", "are cut"), ("other_language", "in another language than stated"))
        if counts[kind].total()
    ]
    if counts["mute"].total():
        notes.append(f"{counts['mute'].total():,} of {counts['texts'].total():,} texts tell no items apart")
    if untrained := counts["untrained"]:
        named = ", ".join(language for language, _ in untrained.most_common(_NAMED))
        notes.append(
            f"{untrained.total():,} of {counts['texts'].total():,} texts in {len(untrained):,} languages that the "
            f"encoder was not trained on ({named}{', …' if len(untrained) > _NAMED else ''}): name another encoder for "
            "these"
        )
    return ", ".join(notes)
