"""Every table of the lake in flow order: schema with comments, partitioning, producer and consumers.

A stage takes and returns DataFrames in these schemas; `xlrec.lake.delta` refuses to write another one. `*_id` is
the external string, `*_num` a 0-based row number, timestamps are UTC.
"""

from dataclasses import dataclass, field

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from xlrec.kernels.base.names import FALLBACK as FALLBACK
from xlrec.kernels.base.names import SOURCES as SOURCES
from xlrec.kernels.base.names import UNKNOWN_LANGUAGE as UNKNOWN_LANGUAGE
from xlrec.kernels.base.names import UNKNOWN_MARKET as UNKNOWN_MARKET

STRING, INT, LONG, DOUBLE, BOOL = StringType(), IntegerType(), LongType(), DoubleType(), BooleanType()
DATE, TIMESTAMP, BINARY = DateType(), TimestampType(), BinaryType()


def column(name: str, kind: DataType, comment: str, required: bool = False) -> StructField:
    """A column with its comment; `required` makes it non-null."""
    return StructField(name, kind, not required, {"comment": comment})


@dataclass(frozen=True)
class Table:
    """One table of the lake: schema, partitions, producer and consumers."""

    name: str
    comment: str
    schema: StructType
    producer: str
    consumers: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)


# --- inputs: Parquet that the user brings; `columns:` in the config maps other names onto these ----------------------

CATALOG = StructType(
    [
        column("item_id", STRING, "item", required=True),
        column("title", STRING, "name of the item in this language", required=True),
        column("description", STRING, "text about the item in this language"),
        column("language", STRING, "BCP 47; detected where null"),
        column("categories", ArrayType(STRING), "categories of the item"),
        column("markets", ArrayType(STRING), "where it may be recommended; null = everywhere, empty = nowhere"),
        column("available_from", TIMESTAMP, "first moment at which it may be recommended"),
        column("available_until", TIMESTAMP, "first moment at which it may no longer be recommended"),
    ]
)
INTERACTIONS = StructType(
    [
        column("user_id", STRING, "user", required=True),
        column("item_id", STRING, "item", required=True),
        column("timestamp", TIMESTAMP, "event time, UTC", required=True),
        column("event", STRING, "view, click, cart, purchase, rating, …"),
        column("value", DOUBLE, "rating, dwell seconds, quantity"),
        column("market", STRING, "where it happened"),
    ]
)
USERS_INPUT = StructType(
    [
        column("user_id", STRING, "user", required=True),
        column("market", STRING, "else the market of the latest interactions"),
        column("languages", ArrayType(STRING), "that the user reads; else inferred from history"),
        column("opted_out", BOOL, "true: gets no list, and no trace in training"),
    ]
)

TRANSLATIONS_INPUT = StructType(
    [
        column("item_id", STRING, "item", required=True),
        column("language", STRING, "BCP 47", required=True),
        column("title", STRING, "name of the item in this language", required=True),
        column("description", STRING, "text about the item in this language"),
    ]
)

# --- the lake ---------------------------------------------------------------------------------------------------------

REJECTS = Table(
    "rejects",
    "Quarantine: every input row that was not used, with the rule it broke.",
    StructType(
        [
            column("run_id", STRING, "run that rejected the row"),
            column("run_date", DATE, "logical date of that run"),
            column("input", STRING, "catalog, interactions or users"),
            column("rule", STRING, "short name of the rule, such as unknown_item"),
            column("reason", STRING, "what was seen and what is allowed"),
            column("row", STRING, "the rejected row as JSON"),
        ]
    ),
    "prepare",
    ("report",),
    partition_by=("run_date",),
)
TEXTS = Table(
    "texts",
    "One row per item and language: the cleaned text that is embedded.",
    StructType(
        [
            column("item_id", STRING, "item"),
            column("language", STRING, "canonical BCP 47; und where nobody knows"),
            column("language_detected", BOOL, "true where the input gave none"),
            column("title", STRING, "cleaned title"),
            column("description", STRING, "cleaned description; null where there is none"),
            column("text", STRING, "title and description as the encoder gets them"),
            column("text_hash", STRING, "SHA-256 of text, hex"),
        ]
    ),
    "prepare",
    ("translate", "embed", "index", "report", "explain", "adapt-encoder"),
)
ITEMS = Table(
    "items",
    "One row per item that may be recommended or was interacted with.",
    StructType(
        [
            column("item_id", STRING, "item"),
            column("item_num", INT, "0-based row in item_id order: its row in every vector file of the run"),
            column("languages", ArrayType(STRING), "languages that have a text, sorted"),
            column("categories", ArrayType(STRING), "categories, sorted, without duplicates; empty where none"),
            column("markets", ArrayType(STRING), "where it may be recommended; null = everywhere, empty = nowhere"),
            column("available_from", TIMESTAMP, "first moment at which it may be recommended; null = always could"),
            column("available_until", TIMESTAMP, "first moment at which it may no longer be; null = no end"),
            column("available", BOOL, "true where run_date lies in the item's availability"),
        ]
    ),
    "prepare",
    ("index", "train", "evaluate", "report", "adapt-encoder"),
)
EVENTS = Table(
    "events",
    "Valid interactions of users who have not opted out.",
    StructType(
        [
            column("user_id", STRING, "user"),
            column("item_id", STRING, "item"),
            column("item_num", INT, "row of the item in items"),
            column("timestamp", TIMESTAMP, "event time, UTC"),
            column("event", STRING, "kind of event; unknown where the input gave none"),
            column("value", DOUBLE, "value as it came"),
            column("market", STRING, "where it happened; ZZ where nobody knows"),
            column("weight", DOUBLE, "strength of the preference; 0 = seen, but no preference"),
        ]
    ),
    "prepare",
    ("train", "retrieve", "split", "adapt-encoder"),
    properties={"delta.dataSkippingNumIndexedCols": "0"},  # every file holds users, items and times of all kinds
)
USERS = Table(
    "users",
    "Everyone who gets a list: all users of the input who have not opted out.",
    StructType(
        [
            column("user_id", STRING, "user"),
            column("market", STRING, "market whose items the user gets; ZZ where nobody knows"),
            column(
                "languages", ArrayType(STRING), "languages that the user reads, heaviest first; empty: nobody knows"
            ),
            column("language_weights", ArrayType(DOUBLE), "share of each of languages; sums to 1"),
            column("languages_stated", BOOL, "true where the input stated them, false where history tells"),
        ]
    ),
    "prepare",
    ("retrieve", "evaluate", "report"),
)
TRANSLATIONS = Table(
    "translations",
    "Cache of translations by content: one row per text, its language, pivot language and translator.",
    StructType(
        [
            column("text_hash", STRING, "SHA-256 of the text, hex"),
            column("language", STRING, "language of the text, canonical BCP 47"),
            column("pivot", STRING, "language of the translation, canonical BCP 47"),
            column("translator", STRING, "brought (the newest that the user brought), or the model: weights, search"),
            column("text", STRING, "the translation; empty where the model gave none"),
        ]
    ),
    "translate",
    ("embed", "index"),
    partition_by=("pivot", "translator"),
)
EMBEDDINGS = Table(
    "embeddings",
    "Cache of vectors by content: one row per text and encoder, kept from run to run.",
    StructType(
        [
            column("text_hash", STRING, "SHA-256 of the text, hex"),
            column("fingerprint", STRING, "encoder: weights, revision, prompt, pooling and dimension"),
            column("vector", BINARY, "dim little-endian float32, unit norm"),
        ]
    ),
    "embed",
    ("index",),
    partition_by=("fingerprint",),
)
LANGUAGE_PARTS = Table(
    "language_parts",
    "What only tells the language in the vectors of an encoder: taken out when item vectors are made.",
    StructType(
        [
            column("fingerprint", STRING, "encoder whose vectors it is taken out of"),
            column("neutral", STRING, "fingerprint of all rows of the fit"),
            column("kind", STRING, "offset: mean of a language; direction: along which the means differ"),
            column(
                "language",
                STRING,
                "BCP 47 of an offset; null for that of all languages without one, and for a direction",
            ),
            column("number", INT, "0-based row of the offset or direction in the fit"),
            column("n_texts", LONG, "texts of the language in the catalogue"),
            column("vector", BINARY, "dim little-endian float32"),
        ]
    ),
    "embed",
    ("index",),
    partition_by=("fingerprint",),
)
NEIGHBOURS = Table(
    "neighbours",
    "Item to item, in each market: how much an item of the history speaks for an item sold there.",
    StructType(
        [
            column("market", STRING, "market of the user; neighbour_num is sold there"),
            column("item_num", INT, "item of the history"),
            column("neighbour_num", INT, "item that it speaks for"),
            column("score", DOUBLE, "regression weight and weighed closeness in histories, > 0"),
        ]
    ),
    "train",
    ("index",),
)
POPULARITY = Table(
    "popularity",
    "Decayed popularity of each item in each market, smoothed by its popularity everywhere.",
    StructType(
        [
            column("market", STRING, "market"),
            column("item_num", INT, "item"),
            column("score", DOUBLE, "expected share of the market's decayed event weight, > 0"),
        ]
    ),
    "train",
    ("index",),
)
CANDIDATES = Table(
    "candidates",
    "One row per user: the union of the best items of every source, each with its score in all of them.",
    StructType(
        [
            column("user_id", STRING, "user"),
            column("market", STRING, "market whose items the user gets"),
            column("languages", ArrayType(STRING), "languages that the user reads, heaviest first"),
            column("language_weights", ArrayType(DOUBLE), "share of each of languages"),
            column("history", ArrayType(INT), "item_num of the history, latest first"),
            column("history_weights", ArrayType(DOUBLE), "decayed weight of each history item, sums to 1"),
            column("attention", ArrayType(DOUBLE), "weight of each history item in the query of similar"),
            column("item_nums", ArrayType(INT), "candidates, ascending item_num"),
            column("similar", ArrayType(DOUBLE), "inner product of the user's query and each candidate's vector"),
            column("covisited", ArrayType(DOUBLE), "weighted co-visitation of the history with each candidate"),
            column("popular", ArrayType(DOUBLE), "popularity of each candidate in the user's market"),
            column("fallback", ArrayType(INT), "next most popular eligible items, best first, to fill the list"),
        ]
    ),
    "retrieve",
    ("rank",),
)
REASON = StructType(
    [
        column("kind", STRING, "similar, covisited, popular or fallback: what weighed most in the score"),
        column("because", ArrayType(STRING), "item_ids of the history whose terms weigh most in it, heaviest first"),
    ]
)
RECOMMENDATIONS = Table(
    "recommendations",
    "The product: ranked lists, one row per user and rank. Read the run that the newest row of _releases names.",
    StructType(
        [
            column("run_id", STRING, "run that made the list"),
            column("run_date", DATE, "logical date of that run"),
            column("market", STRING, "market whose items the user gets; ZZ where nobody knows"),
            column("user_id", STRING, "user"),
            column("rank", INT, "1 = best, without gaps"),
            column("item_id", STRING, "item; eligible in the market, not seen before where so configured"),
            column("score", DOUBLE, "fused score, falls along rank, which also weighs diversity and languages"),
            column("item_language", STRING, "language of the item's text that suits the user best, BCP 47"),
            column("source", STRING, "similar, covisited, popular or fallback"),
            column("reason", REASON, "why the item is in the list"),
        ]
    ),
    "rank",
    ("audit", "publish", "evaluate", "report", "readers"),
    partition_by=("run_date",),
    properties={"delta.dataSkippingNumIndexedCols": "1"},  # run_id; every file of a run holds users of all kinds
)
RUNS = Table(
    "_runs",
    "One row per run: holder, status, config, counts of every stage.",
    StructType(
        [
            column("run_id", STRING, "run"),
            column("run_date", DATE, "logical date"),
            column(
                "status",
                STRING,
                "running, finished (a stage alone), published, rejected (by the audit), failed or abandoned (killed)",
            ),
            column("holder", STRING, "host and process that hold the lake while it runs"),
            column("started_at", TIMESTAMP, "wall clock, UTC"),
            column("ended_at", TIMESTAMP, "wall clock, UTC"),
            column("config", STRING, "the effective config as JSON"),
            column(
                "versions",
                MapType(STRING, STRING),
                "xlrec, Spark, Delta, libraries; model: the learnt recommender; search: the workers' first passes",
            ),
            column("counts", MapType(STRING, LONG), "rows by stage and meaning, such as prepare.events"),
            column("seconds", MapType(STRING, DOUBLE), "wall seconds by stage"),
            column("content_hash", STRING, "order-free hash of the run's recommendations without run_id and run_date"),
            column("message", STRING, "why the run failed"),
        ]
    ),
    "publish",
    ("publish", "report", "readers"),
)
RELEASES = Table(
    "_releases",
    "What readers shall see: the newest row (highest release) names the live run.",
    StructType(
        [
            column("release", LONG, "1, 2, 3, …"),
            column("run_id", STRING, "run that is live from here on"),
            column("run_date", DATE, "logical date of that run: partition of recommendations"),
            column("released_at", TIMESTAMP, "wall clock, UTC"),
            column("kind", STRING, "release or rollback"),
            column("note", STRING, "why, for a rollback"),
        ]
    ),
    "publish",
    ("readers", "audit"),
)
HOLDOUT = Table(
    "holdout",
    "What an evaluation holds out: one row per user and item to be foretold.",
    EVENTS.schema,
    "split",
    ("evaluate",),
)
METRICS = Table(
    "metrics",
    "Offline evaluation: one row per system, slice and metric.",
    StructType(
        [
            column("evaluated_at", TIMESTAMP, "wall clock, UTC"),
            column("split", STRING, "how history and holdout were cut"),
            column("system", STRING, "xlrec, one of its sources, or a baseline"),
            column("slice", STRING, "all, or dimension=value such as market=JP"),
            column("metric", STRING, "such as ndcg@10"),
            column("value", DOUBLE, "mean over the users of the slice"),
            column("low", DOUBLE, "lower end of the 95 % bootstrap interval; null where there is none"),
            column("high", DOUBLE, "upper end of the 95 % bootstrap interval"),
            column("n_users", LONG, "users with ground truth: the denominator"),
            column("difference", DOUBLE, "xlrec minus this system, paired over users; null for xlrec"),
            column("difference_low", DOUBLE, "lower end of the 95 % interval of the paired difference"),
            column("difference_high", DOUBLE, "upper end of the 95 % interval of the paired difference"),
            column("p_value", DOUBLE, "two-sided paired bootstrap test that the difference is 0"),
        ]
    ),
    "evaluate",
    ("report",),
)

# --- the similarity program: tables of any texts, outside of the lake's nights ---------------------------------------

SIMILARITY_INPUT = StructType(
    [
        column("id", STRING, "row; unique with its language", required=True),
        column("text", STRING, "text of any language", required=True),
        column("language", STRING, "BCP 47; detected where null"),
    ]
)
SIMILARITIES = Table(
    "similarities",
    "The most similar right rows of every left row: (score desc, right_id asc, right_language asc).",
    StructType(
        [
            column("left_id", STRING, "id of the left row"),
            column("right_id", STRING, "id of the right row, or of another left row where there is no right table"),
            column("rank", INT, "1 = most similar, without gaps"),
            column("score", DOUBLE, "cosine of the two texts' vectors, in [-1, 1]"),
            column("left_language", STRING, "BCP 47 of the left text, stated or detected; und where nobody knows"),
            column("right_language", STRING, "BCP 47 of the right text, likewise"),
        ]
    ),
    "similarity",
    ("readers",),
)

#: Every table of the lake in flow order.
TABLES = (
    REJECTS,
    TEXTS,
    ITEMS,
    EVENTS,
    USERS,
    TRANSLATIONS,
    EMBEDDINGS,
    LANGUAGE_PARTS,
    NEIGHBOURS,
    POPULARITY,
    CANDIDATES,
    RECOMMENDATIONS,
    RUNS,
    RELEASES,
    HOLDOUT,
    METRICS,
)
