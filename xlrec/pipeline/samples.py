"""A few users' lists with titles, histories and reasons, for the report and for `xlrec explain`."""

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.config import Config
from xlrec.lake import Lake
from xlrec.reporting.data import Listed, Read, UserList, masked
from xlrec.tables import EVENTS, TEXTS, USERS

#: History items shown of a user.
_N_HISTORY = 8
_N_SAMPLES = 6


def sample_lists(lake: Lake, lists: DataFrame, config: Config) -> tuple[UserList, ...]:
    """Lists of a few users with a history: the first by hash of (seed, user_id) in each of several markets."""
    order = F.xxhash64(F.lit(config.seed), "user_id")
    busy = lake.read(EVENTS).where("weight > 0").groupBy("user_id").agg(F.count_distinct("item_num").alias("n"))
    shown = lists.select("user_id", "market").distinct().join(busy.where("n >= 3"), "user_id")
    chosen = shown.groupBy("market").agg(F.min_by("user_id", order).alias("user_id")).orderBy(order).take(_N_SAMPLES)
    return tuple(user_list(lake, lists, row["user_id"], masked(row["user_id"])) for row in chosen)


def user_list(lake: Lake, lists: DataFrame, user_id: str, label: str) -> UserList:
    """One user's list, newest history and reasons with titles; the user must be in the table users."""
    user = lake.read(USERS).where(F.col("user_id") == user_id).first()
    listed = lists.where(F.col("user_id") == user_id).orderBy("rank").collect()
    events = lake.read(EVENTS).where((F.col("user_id") == user_id) & (F.col("weight") > 0))
    past = events.groupBy("item_id").agg(F.max("timestamp").alias("at")).orderBy(F.desc("at"), "item_id").take(500)
    recent = [row["item_id"] for row in past[:_N_HISTORY]]
    needed = {*recent, *(row["item_id"] for row in listed)} | {i for row in listed for i in row["reason"]["because"]}
    texts: dict[str, dict[str, str]] = {}
    for row in (
        lake.read(TEXTS).where(F.col("item_id").isin(*sorted(needed))).select("item_id", "language", "title").collect()
    ):
        texts.setdefault(row["item_id"], {})[row["language"]] = row["title"]
    reads = list(user["languages"]) if user else []
    return UserList(
        label=label,
        market=user["market"] if user else "",
        languages=tuple(reads),
        history=tuple(Read(item, *_title(texts, item, reads)) for item in recent),
        items=tuple(_listed(row, texts, reads) for row in listed),
        n_history=len(past),
    )


def _listed(row: Any, texts: dict[str, dict[str, str]], reads: list[str]) -> Listed:
    return Listed(
        rank=row["rank"],
        item_id=row["item_id"],
        title=texts.get(row["item_id"], {}).get(row["item_language"], row["item_id"]),
        language=row["item_language"],
        score=row["score"],
        source=row["source"],
        because=tuple(_title(texts, item, reads)[0] for item in row["reason"]["because"]),
    )


def _title(texts: dict[str, dict[str, str]], item: str, reads: list[str]) -> tuple[str, str]:
    """(title, language) in the first language that the user reads, else in the item's first."""
    titles = texts.get(item, {})
    language = next((name for name in reads if name in titles), min(titles, default="und"))
    return titles.get(language, item), language
