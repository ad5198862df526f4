"""Marked rows: a marked frame keeps all its rows, with the first rule that each one broke."""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from xlrec.errors import InputError

#: Struct of the rule a row broke and why, null for a valid row.
BROKEN = "_broken"
#: Rule of users who opted out: counted, never written anywhere.
OPTED_OUT = "opted_out"


def broken_rule(rule: str, condition: Column, *reason: Column | str) -> Column:
    """Struct (rule, reason) where the condition holds, else null; the reason's parts are joined."""
    parts = [F.lit(p) if isinstance(p, str) else F.coalesce(p.cast("string"), F.lit("null")) for p in reason]
    return F.when(condition, F.struct(F.lit(rule).alias("rule"), F.concat(*parts).alias("reason")))


def is_blank(name: str) -> Column:
    """Whether an id is null or blank."""
    return F.coalesce(F.trim(name), F.lit("")) == ""


def bad_cast(bad: Column) -> Column:
    """The rule of values that `xlrec.lake.inputs` could not read as the layout's type."""
    return broken_rule("bad_cast", F.size(bad) > 0, "cannot be read as the layout's type: ", F.concat_ws(", ", bad))


def mark_rows(frame: DataFrame, rules: Iterable[Column]) -> DataFrame:
    """The frame with `_broken`: the first rule, in this order, that each row breaks."""
    return frame.withColumn(BROKEN, F.coalesce(*rules))


def mark_more(frame: DataFrame, rule: Column) -> DataFrame:
    """The marked frame with one more rule for the rows that broke none so far."""
    return frame.withColumn(BROKEN, F.coalesce(BROKEN, rule))


def valid_rows(marked: DataFrame) -> DataFrame:
    """The rows that broke no rule."""
    return marked.where(F.col(BROKEN).isNull())


def rejects_of(
    marked: Mapping[str, DataFrame], layout: Mapping[str, list[str]], run_id: str, run_date: date
) -> DataFrame:
    """Table rejects: the rows that broke a rule, as JSON of their `layout` columns; none of users who opted out.

    `marked` holds a marked frame by input name; at least one.
    """
    run = (F.lit(run_id).alias("run_id"), F.lit(run_date).alias("run_date"))
    frames = [
        frame.where(F.col(BROKEN)["rule"] != OPTED_OUT).select(
            *run, F.lit(name).alias("input"), f"{BROKEN}.rule", f"{BROKEN}.reason",
            F.to_json(F.struct(*layout[name])).alias("row"),
        )
        for name, frame in marked.items()
    ]  # fmt: skip
    return reduce(DataFrame.unionByName, frames)


def counts_by_rule(marked: Mapping[str, DataFrame]) -> DataFrame:
    """Rows by input and rule: input, rule ('' for valid rows), n. At least one input; a handful of rows."""
    rule = F.coalesce(F.col(BROKEN)["rule"], F.lit("")).alias("rule")
    frames = [frame.select(F.lit(name).alias("input"), rule) for name, frame in marked.items()]
    return reduce(DataFrame.unionByName, frames).groupBy("input", "rule").agg(F.count("*").alias("n"))


def check_rejected(counts: Mapping[tuple[str, str], int], max_share: float) -> None:
    """Stops a run with an input that is too bad, by the rows by (input, rule); rule '' holds the valid ones.

    Raises:
        InputError: more than `max_share` of an input is rejected, or catalog or interactions have no valid row.
    """
    for name in sorted({name for name, _ in counts}):
        rules = {rule: n for (input_name, rule), n in counts.items() if input_name == name}
        n_valid, n_out = rules.pop("", 0), rules.pop(OPTED_OUT, 0)
        n_rejected = sum(rules.values())
        n_all = n_valid + n_out + n_rejected
        worst = ", ".join(f"{rule} {n}" for rule, n in sorted(rules.items(), key=lambda pair: (-pair[1], pair[0]))[:3])
        if n_rejected > max_share * n_all:
            raise InputError(
                f"{n_rejected} of {n_all} rows of {name} are bad ({worst}), allowed is a share of {max_share:g}: "
                f"look into the table rejects, mend the input, or raise prepare.max_rejected_share"
            )
        if not n_valid and name != "users":
            raise InputError(f"{name} has no valid row (of {n_all}{': ' + worst if worst else ''}): correct the input")
