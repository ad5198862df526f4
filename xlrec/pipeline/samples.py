"""A few users' lists with titles, histories and reasons, for the report and for `xlrec explain`."""

from collections.abc import Mapping

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from xlrec.config.models import Config
from xlrec.lake.delta import Lake
from xlrec.reporting.data import Listed, Read, UserList, masked_label
from xlrec.tables import EVENTS, TEXTS, USERS

#: History items shown of a user.
_N_HISTORY = 8
_N_SAMPLES = 6


def sample_lists(lake: Lake, lists: DataFrame, config: Config) -> tuple[UserList, ...]:
    """Lists of a few users with a history: the first by hash of (seed, user_id) in each of several markets."""
    order = F.xxhash64(F.lit(config.seed), "user_id")
    busy = lake.read_table(EVENTS).where("weight > 0").groupBy("user_id").agg(F.count_distinct("item_num").alias("n"))
    shown = lists.where("rank = 1").select("user_id", "market").join(busy.where("n >= 3"), "user_id")
    chosen = shown.groupBy("market").agg(F.min_by("user_id", order).alias("user_id")).orderBy(order).take(_N_SAMPLES)
    return user_lists(lake, lists, {row["user_id"]: masked_label(row["user_id"]) for row in chosen})


def user_lists(lake: Lake, lists: DataFrame, labels: Mapping[str, str]) -> tuple[UserList, ...]:
    """Lists of a few users with titles, newest history and reasons, in the order of `labels` (user_id to shown name).

    The users must be in the table users. As many Spark jobs as for one user.
    """
    named = F.col("user_id").isin(*labels)
    users = {row["user_id"]: row for row in lake.read_table(USERS).where(named).collect()}
    listed = lists.where(named).orderBy("user_id", "rank").collect()
    past = _newest(lake.read_table(EVENTS).where(named)).collect()
    needed = {row["item_id"] for row in (*listed, *past)}.union(*(row["reason"]["because"] for row in listed))
    texts: dict[str, dict[str, str]] = {}
    titles = lake.read_table(TEXTS).where(F.col("item_id").isin(*sorted(needed))).select("item_id", "language", "title")
    for row in titles.collect():
        texts.setdefault(row["item_id"], {})[row["language"]] = row["title"]
    return tuple(
        _user_list(label, users.get(user_id), _own(user_id, listed), _own(user_id, past), texts)
        for user_id, label in labels.items()
    )


def _own(user_id: str, rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["user_id"] == user_id]


def _newest(events: DataFrame) -> DataFrame:
    """(user_id, item_id, place, n), newest first: the items of the newest part of each history, and how long it is."""
    past = events.where("weight > 0").groupBy("user_id", "item_id").agg(F.max("timestamp").alias("at"))
    own = Window.partitionBy("user_id")
    place = F.row_number().over(own.orderBy(F.desc("at"), "item_id"))
    counted = past.select("user_id", "item_id", place.alias("place"), F.count("*").over(own).alias("n"))
    return counted.where(F.col("place") <= _N_HISTORY).orderBy("user_id", "place")


def _user_list(
    label: str, user: Row | None, listed: list[Row], past: list[Row], texts: dict[str, dict[str, str]]
) -> UserList:
    reads = list(user["languages"]) if user else []
    return UserList(
        label=label,
        market=user["market"] if user else "",
        languages=tuple(reads),
        history=tuple(Read(row["item_id"], *_title(texts, row["item_id"], reads)) for row in past),
        items=tuple(_listed(row, texts, reads) for row in listed),
        n_history=past[0]["n"] if past else 0,
    )


def _listed(row: Row, texts: dict[str, dict[str, str]], reads: list[str]) -> Listed:
    item, language = row["item_id"], row["item_language"]
    because = tuple(_title(texts, other, reads)[0] for other in row["reason"]["because"])
    title = texts.get(item, {}).get(language, item)
    return Listed(row["rank"], item, title, language, row["score"], row["source"], because)


def _title(texts: dict[str, dict[str, str]], item: str, reads: list[str]) -> tuple[str, str]:
    """(title, language) in the first language that the user reads, else in the item's first."""
    titles = texts.get(item, {})
    language = next((name for name in reads if name in titles), min(titles, default="und"))
    return titles.get(language, item), language
