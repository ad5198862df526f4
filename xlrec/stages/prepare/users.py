"""Users: everyone who gets a list, with market and languages, stated or inferred from the history."""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from xlrec.lake.inputs import BAD
from xlrec.runtime.sums import exact_sum
from xlrec.runtime.tasks import spread_by_hash
from xlrec.stages.prepare.languages import canonical_lists_udf, market_code
from xlrec.stages.prepare.rules import OPTED_OUT, bad_cast, broken_rule, is_blank, mark_more, mark_rows
from xlrec.tables import UNKNOWN_LANGUAGE, UNKNOWN_MARKET

#: Languages under this share of a history are left out: everyone clicks on something foreign once.
_MIN_SHARE: Final = 0.15


def mark_users(users: DataFrame) -> DataFrame:
    """The users input with canonical `_market` and `_languages`, and the rule each row broke.

    A user with several rows is opted out where any row says so; of the others that with a market, then with languages,
    then the first by content is kept.
    """
    rows = users.withColumns({"_market": market_code(F.col("market")), "_languages": canonical_lists_udf("languages")})
    everyone = Window.partitionBy("user_id")
    rows = rows.withColumn("_out", F.coalesce(F.max(F.col("opted_out").cast("int")).over(everyone), F.lit(0)) == 1)
    marked = mark_rows(
        rows,
        [
            broken_rule(OPTED_OUT, F.col("_out") & F.col("user_id").isNotNull(), ""),
            bad_cast(F.col(BAD)),
            broken_rule("missing_user_id", is_blank("user_id"), "user_id is null or blank"),
        ],
    ).drop("_out")
    fullest = (F.col("_market").asc_nulls_last(), F.coalesce(F.size("_languages"), F.lit(0)) <= 0)
    same = Window.partitionBy("user_id", F.col("_broken").isNull()).orderBy(
        *fullest, "_languages", "market", "languages", "opted_out"
    )
    return mark_more(marked, broken_rule("duplicate_user", F.row_number().over(same) > 1, "the user has another row"))


def users_of(stated: DataFrame, events: DataFrame, items: DataFrame) -> DataFrame:
    """Table users: all stated users and all users of the events.

    Market: stated, else that of the latest event that has one, else ZZ. Languages: as stated, weighing half evenly and
    half by the history; where none is stated, those of the history's items (an item with several gives each an equal
    share), without shares under 0.15. Heaviest first, ties by tag.
    """
    place = F.when(F.col("market") != UNKNOWN_MARKET, F.struct("timestamp", "item_num", "market"))  # null: no say
    history = events.groupBy("user_id").agg(F.max_by("market", place).alias("latest_market"))
    known = stated.select("user_id", F.col("_market").alias("stated_market"), F.col("_languages").alias("stated"))
    rows = (
        known.join(history, "user_id", "full")
        .join(_shares(events, items), "user_id", "left")
        .withColumn("stated", F.when(F.size("stated") > 0, F.col("stated")))
        .withColumns({"kept": _kept(), "wanted": _wanted()})  # columns, as each is looked at several times a row
    )
    mix = F.sort_array(F.when(F.col("stated").isNotNull(), _blended()).otherwise(_inferred()), asc=True)
    return rows.withColumn("mix", mix).select(
        "user_id",
        F.coalesce("stated_market", "latest_market", F.lit(UNKNOWN_MARKET)).alias("market"),
        F.transform("mix", lambda part: part["language"]).alias("languages"),
        F.transform("mix", lambda part: -part["minus"]).alias("language_weights"),
        F.col("stated").isNotNull().alias("languages_stated"),
    )


def _shares(events: DataFrame, items: DataFrame) -> DataFrame:
    """user_id, shares: the history's languages as array<struct<language, share>>; positives only."""
    tongues = items.select("item_num", F.array_remove("languages", UNKNOWN_LANGUAGE).alias("languages"))
    read = events.where("weight > 0").join(tongues, "item_num").where(F.size("languages") > 0)
    read = spread_by_hash(read.select("user_id", "weight", "languages"), "user_id")  # one shuffle for both groupings
    parts = read.select(
        "user_id", F.explode("languages").alias("language"), (F.col("weight") / F.size("languages")).alias("part")
    )
    sums = parts.groupBy("user_id", "language").agg(exact_sum(F.col("part")).alias("part"))
    lists = sums.groupBy("user_id").agg(F.sort_array(F.collect_list(F.struct("language", "part"))).alias("parts"))
    return lists.select("user_id", _normalised(F.col("parts"), "part").alias("shares"))


def _normalised(parts: Column, name: str) -> Column:
    """array<struct<language, share>> that sums to 1, in the given order."""
    return F.transform(parts, lambda part: _part(part["language"], part[name] / _total(parts, name)))


def _part(language: Column, share: Column) -> Column:
    return F.struct(language.alias("language"), share.alias("share"))


def _total(parts: Column, name: str = "share") -> Column:
    return F.aggregate(parts, F.lit(0.0), lambda sum_, part: sum_ + part[name])


def _kept() -> Column:
    """Shares that are not small; all of them where all are small."""
    large = F.filter("shares", lambda part: part["share"] >= _MIN_SHARE)
    return F.when(F.size(large) > 0, large).otherwise(F.col("shares"))


def _wanted() -> Column:
    """array<struct<language, share>>: the stated languages' shares of the history."""

    def share(language: Column) -> Column:
        return F.coalesce(_total(F.filter("shares", lambda part: part["language"] == language)), F.lit(0.0))

    return F.transform("stated", lambda language: _part(language, share(language)))


def _inferred() -> Column:
    nothing = F.array().cast("array<struct<minus:double,language:string>>")
    return F.coalesce(_heaviest(_normalised(F.col("kept"), "share")), nothing)


def _blended() -> Column:
    even, total = F.lit(1.0) / F.size("stated"), _total(F.col("wanted"))

    def share(part: Column) -> Column:
        return F.when(total > 0, (even + part["share"] / total) / 2).otherwise(even)

    return _heaviest(F.transform("wanted", lambda part: _part(part["language"], share(part))))


def _heaviest(shares: Column) -> Column:
    """Sorts by share desc, then language: as structs whose natural order is that."""
    return F.transform(
        shares, lambda part: F.struct((-part["share"]).alias("minus"), part["language"].alias("language"))
    )


def no_users(events: DataFrame) -> DataFrame:
    """Stated users where there is no users input: none."""
    nothing = events.where(F.lit(False)).select("user_id")
    return nothing.withColumns({"_market": F.lit(None).cast("string"), "_languages": F.lit(None).cast("array<string>")})


def opted_out_of(marked: DataFrame) -> DataFrame:
    """user_id of the users who opted out."""
    return marked.where(F.col("_broken")["rule"] == OPTED_OUT).select("user_id").distinct()
