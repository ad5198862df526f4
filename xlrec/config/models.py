"""One strict, frozen model per stage. Reading files, environment and overrides is `xlrec.config.loading`."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Section of the config: unknown keys are errors, and values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Inputs(Section):
    """Paths of the Parquet inputs: each a file, a folder (flat or Hive partitions) or a glob."""

    catalog: str
    """Catalogue: one row per item and language."""
    interactions: str
    """Interaction log: one row per event."""
    users: str | None = None
    """Users' market, languages and opt-out. null: told by their interactions."""
    translations: str | None = None
    """Texts of items in other languages (item_id, language, title, description), for unify pivot and both."""


class Columns(Section):
    """Names of input columns that differ from the layout: `{item_id: asin}` reads asin as item_id."""

    catalog: dict[str, str] = {}
    """Layout name to input name."""
    interactions: dict[str, str] = {}
    """Layout name to input name."""
    users: dict[str, str] = {}
    """Layout name to input name."""
    translations: dict[str, str] = {}
    """Layout name to input name."""


class PrepareConfig(Section):
    """Cleaning of the inputs."""

    event_weights: dict[str, Weight] = {
        "view": 0.3, "click": 1.0, "like": 2.0, "cart": 2.0, "purchase": 3.0, "rating": 1.0,
    }  # fmt: skip
    """Strength of the preference that each event shows. 0: the item was seen, without a preference."""
    default_event_weight: Weight = 1.0
    """Weight of an event that event_weights does not name, and of rows without event."""
    rating_events: tuple[str, ...] = ("rating",)
    """Names of the events whose value is a rating."""
    positive_rating: float = 4.0
    """Lowest rating that shows a preference, on stars up to 5; lower ones get weight 0. See rating_scale."""
    rating_scale: Literal["auto", "threshold", "quantile"] = "auto"
    """Rule for ratings that show a preference. threshold: at least positive_rating. quantile: the upper half of the
    market's ratings of the same event, ties by mid-rank, which suits thumbs and stars of 1 to 10. auto: quantile where
    a market's ratings reach above 5 or never above 1, threshold elsewhere."""
    max_events_per_user_day: Count | None = 2000
    """Most events of a user on one day. A user with more is a bot, whose events are all rejected. null: no limit."""
    max_rejected_share: Share = 0.5
    """Largest share of an input that may be rejected. With more, the job stops: the input is probably broken."""


class NeutralConfig(Section):
    """Removal of the language's own part of the vectors, before items are compared."""

    enabled: bool = True
    """false: vectors stay as the encoder gives them."""
    directions: Annotated[int, Field(ge=0, le=64)] = 0
    """Number of leading directions between the languages' means that are removed as well. 0: the means alone."""
    min_texts: Count = 20
    """Fewest texts of a language that has a mean of its own."""
    prior_texts: Weight = 50.0
    """Weight of the mean of all texts in each language's mean, in texts: it shrinks the means of small languages."""


class EmbedConfig(Section):
    """The encoder and how it runs."""

    encoder: str = "default"
    """`default` (shipped, multilingual), a preset (`xlrec encoders` lists them), or a folder or hub name for
    sentence-transformers."""
    revision: str | None = None
    """40-hex commit of a hub model. null: the preset's; required for a hub name that is no preset."""
    folder: str | None = None
    """Folder with the files of the preset or hub model, seen by every worker, for machines without a hub."""
    prompt: str | None = None
    """Prefix of every text, as some models need (`passage: `). null: the preset's, else the model's default."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the model's weights. A preset refuses a format that its model cannot bear."""
    dim: Annotated[int, Field(ge=32, le=4096)] | None = None
    """Dimensions kept of each vector (Matryoshka models). null: the model's own."""
    max_tokens: Count = 256
    """Longest text, in tokens, at most the model's own limit. Longer texts are cut."""
    batch_tokens: Count = 8192
    """Tokens per batch, padding included."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the encoder. auto: a GPU for each task where executors have some
    (`spark.executor.resource.gpu.amount`), else the CPU."""
    texts_per_task: Count | None = None
    """Texts of a Spark task: fewer give finer progress, more cost less overhead. null: 10,000. For a shipped encoder,
    whose texts take microseconds, it is 100,000, or fewer where cores would stay idle."""
    neutral: NeutralConfig = NeutralConfig()


class ChatExample(Section):
    """An answer as the model should give it, shown before every text."""

    language: str
    """BCP 47 tag of the text's language."""
    text: str
    """A text such as the catalogue has."""
    answer: str
    """The text that is to be written for it."""


class ChatConfig(Section):
    """The chat model that writes the texts, in a folder or behind a server."""

    style: Literal["translation", "description"] = "translation"
    """translation: the whole text in the pivot language. description: a short text of type, use, material, audience."""
    prompt: str | None = None
    """Instructions to the model, `{pivot}` for the language's tag. They ask for a JSON object with the one key `text`.
    null: those of the style."""
    examples: tuple[ChatExample, ...] = ()
    """Examples, shown before every text; small models need a few."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """Times that a text is asked for again after an answer that is not valid."""
    texts_per_night: Count = 100_000
    """Most texts of a night, those of the lowest hashes. The others wait, and stand for themselves meanwhile."""
    tokens_per_night: Count | None = None
    """Most tokens of a night, read and written, by estimate; by the server's own count no further round of texts begins
    beyond them. null: no limit."""
    max_failed_share: Share = 0.5
    """Largest share of a night's texts without a valid answer. With more, the job stops: model, prompt or server is
    probably broken."""
    read_price: Weight = 0.0
    """Price of a million tokens that the model reads, in any currency, for `xlrec plan`."""
    written_price: Weight = 0.0
    """Price of a million tokens that the model writes."""
    requests_at_once: Count = 16
    """Most requests to a server at once, of all tasks together."""
    timeout_s: Positive = 60.0
    """Longest wait for one answer of a server, in seconds."""
    patience_s: Positive = 300.0
    """Seconds for which a text is sent again, after growing pauses, while the server is slow, busy or failing."""
    key_variable: str | None = None
    """Environment variable of the driver that holds the server's key. null: no key is sent."""
    request: dict[str, JsonValue] = {}
    """Further fields of each request to a server, such as `{reasoning_effort: low}`. null removes one of xlrec's."""

    @field_validator("key_variable")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(
                "translate.chat.key_variable is no name of an environment variable: set the key in the environment, "
                "and here the variable's name"
            )  # the value may be a key: it is not shown
        return name


class TranslateConfig(Section):
    """Pivot translation, for unify pivot and both: brought translations first, the model for what is left."""

    pivot: str = "en"
    """BCP 47 tag of the language into which every text goes."""
    model: str | None = None
    """Folder or hub name of the model, or its name at the endpoint. null: only brought translations."""
    kind: Literal["translation", "chat"] = "translation"
    """translation: an M2M100, NLLB or Marian (OPUS) model. chat: a causal model with a chat template. endpoint implies
    chat."""
    endpoint: str | None = None
    """URL of a server with OpenAI's API, up to `/v1`. null: the model's files are read."""
    revision: str | None = None
    """40-hex commit of the model; required where `model` is a hub name."""
    max_tokens: Count = 256
    """Longest text, in tokens, by estimate for a chat model. Longer texts are cut."""
    batch_tokens: Count = 4096
    """Tokens per batch, padding included."""
    beams: Annotated[int, Field(ge=1, le=16)] = 1
    """Beams of a translation model's search. 1: greedy, the fastest."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """As `embed.device`."""
    texts_per_task: Count = 500
    """Texts of a Spark task: fewer give finer progress, more cost less overhead."""
    chat: ChatConfig = ChatConfig()

    @property
    def is_chat(self) -> bool:
        """True where a chat model writes the texts."""
        return self.kind == "chat" or self.endpoint is not None

    @field_validator("endpoint")
    @classmethod
    def _is_plain(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", url):
            raise ValueError(
                "translate.endpoint is no plain URL: set one such as http://host:8000/v1, without user, password or "
                "query; a key comes from translate.chat.key_variable"
            )  # the value may hold a key: it is not shown
        return None if url is None else url.rstrip("/")

    def model_post_init(self, _context: Any, /) -> None:
        """Checks what spans fields."""
        if self.endpoint is not None and self.model is None:
            raise ValueError("translate.endpoint is set without translate.model: set the model's name at the server")


class CovisitationConfig(Section):
    """Co-visitation in each market: a regression of each item on others, plus closeness in time."""

    other_markets: Share = 0.1
    """Weight of a user of another market, against 1 for one of the market itself. 1: all markets are pooled."""
    regression: bool = True
    """false: closeness alone."""
    penalty: Positive = 10.0
    """Ridge of the regression, in users. A larger one evens out the weights of items that are chosen together."""
    predictors: Count = 100
    """Most predictors of an item. The cost of its regression grows with their cube."""
    sequence: Weight = 0.1
    """Weight of closeness, against a regression that predicts 1 for a chosen item."""
    window_items: Count = 20
    """Largest distance of two close items in a user's history, in places."""
    max_gap_days: Positive = 60.0
    """Largest distance of two close items in time, in days."""
    gap_half_life_days: Positive = 30.0
    """Days between two items after which their closeness is halved."""
    distance_decay: Weight = 1.0
    """Exponent of the decay of closeness with d places: d to the power of minus this. 0: no decay in the window."""
    normalisation: Share = 0.75
    """Exponent p of the divisor of closeness: (users of the history item)^p · (users of the other item)^(1 - p).
    0.5: the cosine. 1: the share of the history item's users."""
    neighbours: Count = 100
    """Neighbours of a history item in the index, the best ones. They bound the cost of a user."""
    max_history: Count = 500
    """Items of a user that are counted, the newest. The cost of a user grows with their square."""


class PopularityConfig(Section):
    """Popularity per market."""

    half_life_days: Positive = 30.0
    """Age at which an event counts half, in days."""
    prior_strength: Weight = 200.0
    """Weight of the popularity over all markets in each market's own, in decayed events: it serves scarce markets."""


class FactorsConfig(Section):
    """The learnt recommender: a matrix factorisation with item factors drawn to the texts, solved in closed form."""

    enabled: bool = True
    """false: the similarity of the texts alone, without learning."""
    dim: Annotated[int, Field(ge=2, le=1024)] = 128
    """Dimensions of a factor vector."""
    sweeps: Count = 6
    """Rounds of alternating least squares: users, text map, items."""
    unseen: Positive = 0.03
    """Weight of an unseen pair of user and item, whose score should be 0. A seen pair weighs the sum of its events'
    weights, at most 1."""
    penalty: Positive = 0.2
    """Ridge of users and items, times √(unseen · number of the other side)."""
    text_penalty: Positive = 3.0
    """Ridge of the map from texts to factors."""
    half_visits: Positive = 10.0
    """Users of an item at which it has half the weight in the fit of the text map."""
    boost: Positive = 1.5
    """Norm of items that had no chance to be chosen yet, against the norm of chosen ones."""
    max_visits: Count = 5_000_000
    """Approximate number of events to learn from, at 2 KB of memory each. With more, users are drawn by hash."""
    models: dict[str, str] = {}
    """Folders of models from `xlrec transfer`, by the market that each serves."""


class FusionConfig(Section):
    """Fit of the sources' weights in each market, where `rank.weights` is null."""

    users: Count = 1000
    """Most users of a market whose newest choice is held out for the fit."""


class TrainConfig(Section):
    """Models learnt from interactions; their constants are for experts."""

    factors: FactorsConfig = FactorsConfig()
    covisitation: CovisitationConfig = CovisitationConfig()
    popularity: PopularityConfig = PopularityConfig()
    fusion: FusionConfig = FusionConfig()


class AnnConfig(Section):
    """Approximate search, where retrieve.search is ann. Up to 200,000 items the exact search is as fast."""

    n_lists: Count | None = None
    """Number of inverted lists. null: four times the square root of the number of items."""
    n_probe: Count | None = None
    """Inverted lists scanned for a user at first. The number is doubled, market by market, until the sample reaches
    min_recall; a market that needs over a quarter of the lists is searched exactly. null: a 128th of the lists."""
    min_recall: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Least recall of the exact search's candidates on the sample, in every market."""
    sample_users: Annotated[int, Field(ge=1, le=5000)] = 1000
    """Users, spread evenly over the markets and drawn by the seed, who are also searched exactly for the recall."""


class RetrieveConfig(Section):
    """User profiles and the search for candidates."""

    half_life_days: Positive = 30.0
    """Age at which a history event counts half, in days before the user's newest event."""
    half_life_items: Positive = 10.0
    """Place at which a history item counts half, in items after the newest one."""
    max_history: Count = 100
    """Distinct items of a user's profile, the newest."""
    candidates: Count = 200
    """Best items of each source that enter the ranking, at least k."""
    exclude_seen: bool = True
    """Never recommend what the user has interacted with."""
    search: Literal["exact", "ann"] = "exact"
    """exact: all items are scored. ann: only a few inverted lists of items, with a recall measured every night, for
    very many items; scores stay exact and lists whole. ann needs `pip install 'xlrec[ann]'` where the driver runs."""
    ann: AnnConfig = AnnConfig()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of an exact search; no result depends on it. auto: the GPU that Spark assigned to the task, else the CPU.
    cuda: a GPU for each task, so that as many tasks run at once as there are GPUs. It pays where the search, not the
    ranking, takes the time (`xlrec plan`)."""
    user_block: Count = 1024
    """Users per matrix product: bounds memory, never changes a result."""
    item_block: Count = 2048
    """Items per matrix product: bounds memory, never changes a result."""


class FusionWeights(Section):
    """Weights of the sources in the score."""

    similar: Weight = 1.0
    """Weight of the learnt recommender's score, or of the texts' similarity to the history without one."""
    covisited: Weight = 1.0
    """Weight of the items that others chose with and soon after those of the history."""
    popular: Weight = 1.0
    """Weight of the item's share of the market's events, which orders the lists of users without a history."""


class RankConfig(Section):
    """From candidates to lists."""

    weights: FusionWeights | None = None
    """Weights of the sources, the same in all markets. null: `train` fits them for each market on held-out choices."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.97
    """Least cosine of near-duplicates, of which only the best is listed. 1: exact copies only."""
    diversity: Share = 0.05
    """Weight of diversity (MMR). 0: order by score alone. 1: by distance to the items already in the list alone."""
    languages: Literal["any", "calibrated", "only"] = "calibrated"
    """Languages of a list. calibrated: the list's mix follows the user's (Steck 2018), and items that the user cannot
    read only fill it up; a user reads the stated languages and those of the history. only: no language but the stated
    ones, or those of the larger part of the history. any: languages are ignored."""
    calibration: Share = 0.2
    """Weight of the language mix against the score, where languages is calibrated."""
    max_per_category: Count | None = None
    """Most items of one category in a list. null: no limit."""
    n_because: Annotated[int, Field(ge=0)] = 2
    """Most history items named in a reason."""


class AuditConfig(Section):
    """Bars that a new run must pass before readers see it; drift is against the live run."""

    min_coverage: Share = 0.9
    """Least share of users with a list. The others have no eligible item left."""
    max_short_lists: Share = 1.0
    """Largest share of lists with fewer than k rows, in markets with fewer eligible items. 1: any share."""
    max_row_drop: Share = 0.5
    """Largest drop of the row count, as a share of the live run's rows."""
    max_language_drift: Share = 0.5
    """Largest total variation distance of the lists' languages."""
    max_score_drift: Share = 0.5
    """Largest Kolmogorov-Smirnov distance of the scores at rank 1."""


class PublishConfig(Section):
    """The release."""

    heartbeat_s: Positive = 15.0
    """Seconds between two heartbeats of a run. After four missing ones, a run on another host may take the lake; on
    the same host a dead process is noticed at once."""
    kept_indexes: Count = 3
    """Newest runs whose item index stays in the lake's folder. Older indexes are deleted after a release."""


class AlsConfig(Section):
    """Spark ALS on implicit feedback (Hu, Koren, Volinsky 2008)."""

    rank: Count = 64
    """Factors."""
    iterations: Count = 15
    """Sweeps."""
    regularisation: Positive = 0.1
    """Lambda."""
    alpha: Positive = 10.0
    """Confidence of one unit of event weight."""


class EvaluateConfig(Section):
    """The time split, the metrics and the baselines."""

    split: Literal["time", "last"] = "time"
    """Rule of the split. time: the newest holdout_share of the events is held out. last: each user's newest
    holdout_last positives are."""
    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the events after the time cut."""
    holdout_last: Count = 1
    """Held-out positives per user, for split last."""
    cutoffs: tuple[Count, ...] = (5, 10, 20)
    """Cutoffs k of the metrics."""
    baselines: tuple[Literal["popular", "text", "itemknn", "als"], ...] = ("popular", "text", "itemknn", "als")
    """Baselines, made by the same stages."""
    sources: bool = True
    """true: each source of xlrec is scored alone as well."""
    bootstrap: Count = 1000
    """Poisson bootstrap replicates over users."""
    als: AlsConfig = AlsConfig()
    """The ALS baseline."""
    inner: bool = False
    """true: the history is split once more and scored on that part. For tuning: the holdout stays unseen."""
    history_slices: tuple[Count, ...] = (1, 3, 10, 30)
    """Lower bounds of the slices by history length, in items. 0 is always one."""


class TransferConfig(Section):
    """Measurement of `xlrec transfer`."""

    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Newest share of the target's visits, which is held out."""
    min_users: Count = 100
    """Fewest users with a history in that share. With fewer, each target user's newest visit is held out instead."""
    max_users: Count = 5000
    """Most users measured, each of those with a history and of newcomers, drawn by the seed."""
    bootstrap: Count = 1000
    """Poisson bootstrap replicates over users."""


class SparkConfig(Section):
    """The session, where xlrec starts it itself; spark-submit's own settings win."""

    master: str = "local[*]"
    """Spark master."""
    driver_memory: str = "4g"
    """Heap of the driver, which is all of Spark in local mode."""
    shuffle_partitions: Count | None = None
    """Tasks after a shuffle. null: twice the cores."""
    executor_within_s: Positive = 300.0
    """Seconds until the first task must have run on a cluster."""
    scratch: str | None = None
    """Folder on the driver's disk for copies of files, where the lake is no folder. null: the temporary folder."""
    conf: dict[str, str] = {}
    """Any further Spark setting."""


class Config(Section):
    """One nightly run. The smallest config names lake, inputs and k."""

    lake: str
    """Delta lake: a folder that all machines see, or a URL such as s3a://bucket/lake or hdfs://host:8020/lake."""
    inputs: Inputs
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Rows per user."""
    run_date: date | None = None
    """Logical date, for decay, availability and the partition. null: the day after the newest interaction."""
    seed: int = 0
    """Seed of all random choices."""
    unify: Literal["vectors", "pivot", "both"] = "vectors"
    """Texts of an item's vector: its own, their translations into translate.pivot, or both, averaged."""
    columns: Columns = Columns()
    prepare: PrepareConfig = PrepareConfig()
    translate: TranslateConfig = TranslateConfig()
    embed: EmbedConfig = EmbedConfig()
    train: TrainConfig = TrainConfig()
    retrieve: RetrieveConfig = RetrieveConfig()
    rank: RankConfig = RankConfig()
    audit: AuditConfig = AuditConfig()
    publish: PublishConfig = PublishConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    transfer: TransferConfig = TransferConfig()
    spark: SparkConfig = SparkConfig()

    def model_post_init(self, _context: Any, /) -> None:
        """Checks what spans sections."""
        if self.retrieve.candidates < self.k:
            raise ValueError(f"retrieve.candidates is {self.retrieve.candidates}, less than k = {self.k}: raise it")
        if self.unify != "vectors" and not (self.inputs.translations or self.translate.model):
            raise ValueError(
                f"unify is {self.unify}, but nothing translates: set inputs.translations (Parquet) or translate.model, "
                "or unify to vectors"
            )
