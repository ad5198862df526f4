"""One strict, frozen model per stage. Reading files, environment and overrides is `xlrec.config.loading`."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the config: unknown keys are errors, values cannot change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Inputs(Section):
    """Where the Parquet inputs lie: a file, a folder (flat or Hive partitions) or a glob each."""

    catalog: str
    """One row per item and language."""
    interactions: str
    """One row per event."""
    users: str | None = None
    """Optional: market, languages and opt-out of users."""
    translations: str | None = None
    """Optional: texts of items in other languages (item_id, language, title, description), for unify pivot and both."""


class Columns(Section):
    """Names of the input columns where they differ from the layout: `{item_id: asin}` reads asin as item_id."""

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
    """Strength of the preference that an event shows; 0 counts as seen only."""
    default_event_weight: Weight = 1.0
    """Weight of an event that event_weights does not name, and of rows without event."""
    rating_events: tuple[str, ...] = ("rating",)
    """Events whose value is a rating."""
    positive_rating: float = 4.0
    """Ratings below it get weight 0: seen, but no preference. On stars up to 5; rating_scale says where it counts."""
    rating_scale: Literal["auto", "threshold", "quantile"] = "auto"
    """Which ratings show a preference. threshold: those of at least positive_rating. quantile: the upper half of the
    market's ratings of the same event, ties by mid-rank (thumbs and stars of 1 to 10 work). auto: quantile where a
    market's ratings reach above 5 or never above 1, threshold elsewhere."""
    max_market_distance: Share = 0.5
    """Markets whose mix of events is further than this (total variation) from that of all others together are named by
    prepare and the report, as are those whose ratings are on another scale. 1: no mix is too far."""
    min_timestamp: date = date(1990, 1, 1)
    """Events before this day are rejected as impossible."""
    max_gap_days: Count = 30
    """Newest rows that follow a gap this long and are under 0.1 % of all are impossible (clocks set wrongly); they do
    not move the default run_date, and are rejected."""
    max_events_per_user_day: Count | None = 2000
    """Users with more events on one day are bots: all their events are rejected. null: no limit."""
    detect_languages: bool = True
    """Detect the language of texts that have none, among the catalogue's own languages."""
    checked_texts: Annotated[int, Field(ge=0)] = 2000
    """Texts, spread evenly over the languages, that are checked for being cut by the encoder and for being in another
    language than stated. 0: none."""
    max_title_chars: Count = 500
    """Longer titles are cut at a word."""
    max_description_chars: Count = 5000
    """Longer descriptions are cut at a word."""
    max_rejected_share: Share = 0.5
    """The job stops where more than this share of an input is rejected."""


class NeutralConfig(Section):
    """What only tells the language is taken out of the vectors before items are compared."""

    enabled: bool = True
    """false: vectors stay as the encoder gives them."""
    directions: Annotated[int, Field(ge=0, le=64)] = 0
    """Leading directions between the languages' means that are taken out too; 0: the means alone."""
    min_texts: Count = 20
    """Languages with fewer texts have no mean of their own."""
    prior_texts: Weight = 50.0
    """Texts of the mean of all that are added to a language's own: its mean counts the less, the fewer texts it has."""
    reuse_days: Annotated[int, Field(ge=0)] = 0
    """A fit made at most so many days before run_date is used again, so that vectors stay. 0: fitted every night."""


class EmbedConfig(Section):
    """The encoder and how it runs."""

    encoder: str = "default"
    """`default` (shipped, multilingual), a preset (`xlrec encoders` lists them), or a folder or hub name for
    sentence-transformers."""
    revision: str | None = None
    """40-hex commit of a hub model. null: the preset's; required for a hub name that is no preset."""
    folder: str | None = None
    """Where the files of the preset or hub model lie, for machines without a hub; every worker sees it."""
    prompt: str | None = None
    """Put before every text, as some models need (`passage: `). null: the preset's, else the model's default."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Numbers of the model's weights; a preset refuses what its model cannot bear."""
    dim: Annotated[int, Field(ge=32, le=4096)] | None = None
    """Keep the first dim numbers of each vector (Matryoshka models). null: the model's own."""
    max_tokens: Count = 256
    """Longer texts are cut; at most what the model takes."""
    batch_tokens: Count = 8192
    """Tokens per batch, padding included."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU for each task where executors have some (`spark.executor.resource.gpu.amount`), else the CPU."""
    texts_per_task: Count | None = None
    """Size of a Spark task: smaller gives finer progress, larger less overhead. null: 10,000; for a shipped encoder,
    whose texts take microseconds, 100,000, or fewer where cores would stay idle."""
    neutral: NeutralConfig = NeutralConfig()


class TranslateConfig(Section):
    """Pivot translation, for unify pivot and both: brought translations first, the model for what is left."""

    pivot: str = "en"
    """BCP 47 tag of the language into which every text goes."""
    model: str | None = None
    """Folder or hub name of an M2M100, NLLB or Marian (OPUS) model. null: only brought translations."""
    revision: str | None = None
    """40-hex commit of the model; required where `model` is a hub name."""
    max_tokens: Count = 256
    """Longer texts are cut."""
    batch_tokens: Count = 4096
    """Tokens per batch, padding included."""
    beams: Annotated[int, Field(ge=1, le=16)] = 1
    """Beams of the search; 1 is greedy."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """As `embed.device`."""
    texts_per_task: Count = 500
    """Size of a Spark task: smaller gives finer progress, larger less overhead."""


class CovisitationConfig(Section):
    """Which items are chosen together, in each market: a regression of each item on others, and closeness in time."""

    other_markets: Share = 0.1
    """What a user of another market counts beside one of the market itself; 1 pools all markets."""
    regression: bool = True
    """false: closeness alone."""
    penalty: Positive = 10.0
    """Ridge of the regression, in users: the larger, the more alike the weights of items that come together."""
    predictors: Count = 100
    """History items that make up an item's score; the cost of a regression grows with its cube."""
    sequence: Weight = 0.1
    """Weight of closeness beside the regression, which predicts 1 for what a user chooses."""
    window_items: Count = 20
    """Items at most this many places apart in a user's history are close."""
    max_gap_days: Positive = 60.0
    """Items at most this many days apart are close."""
    gap_half_life_days: Positive = 30.0
    """Items this many days apart are half as close."""
    distance_decay: Weight = 1.0
    """Items d places apart are close by d to this power less; 0: all in the window alike."""
    normalisation: Share = 0.75
    """Closeness is divided by the history item's users to this power, and the other item's users to what is left to 1:
    0.5 is the cosine, 1 the share of the history item's users."""
    neighbours: Count = 100
    """Of an item of a history, the best are laid into the index; bounds what a history costs."""
    max_history: Count = 500
    """Newest items of a user that are counted; bounds what a heavy user costs to its square."""


class PopularityConfig(Section):
    """Popularity per market."""

    half_life_days: Positive = 30.0
    """An event this long ago counts half."""
    prior_strength: Weight = 200.0
    """Decayed event weight, spread as everywhere's popularity, that is added to each market: serves scarce markets."""


class FactorsConfig(Section):
    """The learnt recommender: matrix factorisation whose item factors lean on the texts, in closed form."""

    enabled: bool = True
    """false: nearness of the texts alone, without anything learnt."""
    dim: Annotated[int, Field(ge=2, le=1024)] = 128
    """Numbers of a vector."""
    sweeps: Count = 6
    """Rounds of least squares: users, text map, items."""
    unseen: Positive = 0.03
    """Weight of a pair of user and item that nobody saw, for a score of 0; a seen one weighs its events' weights,
    at most 1."""
    penalty: Positive = 0.2
    """Ridge of users and items, times √(unseen · how many there are of the other)."""
    text_penalty: Positive = 3.0
    """Ridge of the map from texts to factors."""
    half_visits: Positive = 10.0
    """Users who chose an item at which it weighs half in the fit of that map."""
    boost: Positive = 1.5
    """Norm of items that had no chance to be chosen, against that of those that were."""
    max_visits: Count = 5_000_000
    """Events that are learnt from, about: of users drawn by hash where there are more. 2 KB of memory each."""
    models: dict[str, str] = {}
    """Folder of the model (of `xlrec transfer`) that serves a market instead, by market."""


class FusionConfig(Section):
    """Search for the weights of the sources in each market, where `rank.weights` is null."""

    users: Count = 1000
    """Users of a market, at most, whose newest choice is held out and asked for."""


class TrainConfig(Section):
    """What is learnt from interactions."""

    factors: FactorsConfig = FactorsConfig()
    covisitation: CovisitationConfig = CovisitationConfig()
    popularity: PopularityConfig = PopularityConfig()
    fusion: FusionConfig = FusionConfig()


class AnnConfig(Section):
    """The approximate search, where retrieve.search is ann; up to 200,000 items the exact one is as fast."""

    n_lists: Count | None = None
    """Lists that the items are put into. null: four times the root of their number."""
    n_probe: Count | None = None
    """Lists that a user looks at, to begin with: doubled, market by market, until min_recall is reached on the sample;
    a market that would need more than a quarter of the lists is searched exactly. null: a 128th of the lists."""
    min_recall: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of the exact search's candidates that must be found on the sample, in every market."""
    sample_users: Annotated[int, Field(ge=1, le=5000)] = 1000
    """Users, spread evenly over the markets, who are also searched exactly to measure the recall; drawn by the seed."""


class RetrieveConfig(Section):
    """Profiles and the search."""

    half_life_days: Positive = 30.0
    """A history event this long before the user's newest one counts half."""
    half_life_items: Positive = 10.0
    """A history item this many places after the newest one counts half."""
    max_history: Count = 100
    """Newest distinct items of a user that make the profile."""
    candidates: Count = 200
    """Best items of each source that enter the ranking; at least k."""
    exclude_seen: bool = True
    """Never recommend what the user has interacted with."""
    search: Literal["exact", "ann"] = "exact"
    """exact: every item is looked at. ann: a few lists of items, whose recall every night measures, for very many
    items; scores stay exact, lists stay whole. Needs `pip install 'xlrec[ann]'` where the driver runs."""
    ann: AnnConfig = AnnConfig()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where an exact search runs; no result changes. auto: the GPU that Spark assigned to the task, else the CPU. cuda:
    asks Spark for a GPU for each task, so that as many run at once as there are GPUs: pays where the search, not the
    ranking, takes the time (`xlrec plan`)."""
    user_block: Count = 1024
    """Users per matrix product; bounds memory, never changes a result."""
    item_block: Count = 2048
    """Items per matrix product; bounds memory, never changes a result."""


class FusionWeights(Section):
    """Weights of the sources in the score."""

    similar: Weight = 1.0
    """The preference that the learnt recommender predicts; without it, nearness of the texts to the history."""
    covisited: Weight = 1.0
    """What others chose with and soon after the history's items."""
    popular: Weight = 1.0
    """The item's share of the market's events: little, but it orders the lists of who has no history."""


class RankConfig(Section):
    """From candidates to lists."""

    weights: FusionWeights | None = None
    """null: what `train` finds for each market, on choices that it holds out."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.97
    """Items whose vectors have at least this cosine are one item: only the better is listed. 1: exact copies only."""
    diversity: Share = 0.05
    """MMR: 0 orders by score alone, 1 by distance to what is already in the list alone."""
    languages: Literal["any", "calibrated", "only"] = "calibrated"
    """calibrated: the list's languages follow the user's (Steck 2018), and items that the user cannot read only fill it
    up; a user reads what is stated, and what the items of the history are in. only: what is stated, or told by the
    history's larger part, and no other language. any: no regard."""
    calibration: Share = 0.2
    """Weight of the language mix against the score, where languages is calibrated."""
    max_per_category: Count | None = None
    """Most items of one category in a list. null: no limit."""
    n_because: Annotated[int, Field(ge=0)] = 2
    """History items named in a reason, at most."""


class AuditConfig(Section):
    """Bars that a new run must pass before readers see it; drift is against the live run."""

    min_coverage: Share = 0.9
    """Share of the users who have a list; the others have no eligible item left."""
    max_short_lists: Share = 1.0
    """Share of the lists with fewer than k rows (their market has fewer eligible items)."""
    max_row_drop: Share = 0.5
    """Largest drop of the row count."""
    max_language_drift: Share = 0.5
    """Total variation distance of the lists' languages."""
    max_score_drift: Share = 0.5
    """Kolmogorov-Smirnov distance of the scores at rank 1."""


class PublishConfig(Section):
    """The release."""

    heartbeat_s: Positive = 15.0
    """Seconds between signs of life of a run: after four that do not come, a run on another host takes the lake. That a
    process of the same host is gone is seen at once."""
    kept_indexes: Count = 3
    """Runs, the newest, whose item index stays in the lake's folder; older ones go after a release."""


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
    """time: the newest holdout_share of the events are held out; last: each user's newest holdout_last positives."""
    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the events after the cut."""
    holdout_last: Count = 1
    """Held-out positives per user, for split last."""
    cutoffs: tuple[Count, ...] = (5, 10, 20)
    """The k of the metrics."""
    baselines: tuple[Literal["popular", "text", "itemknn", "als"], ...] = ("popular", "text", "itemknn", "als")
    """Baselines through the same stages."""
    sources: bool = True
    """Also score each source of xlrec alone."""
    bootstrap: Count = 1000
    """Poisson bootstrap replicates over users."""
    als: AlsConfig = AlsConfig()
    """The ALS baseline."""
    inner: bool = False
    """Split the history once more and score on that: tune on it, and keep the holdout for one last look."""
    history_slices: tuple[Count, ...] = (1, 3, 10, 30)
    """Lower bounds of the slices by history length; 0 is always one."""


class TransferConfig(Section):
    """What `xlrec transfer` measures by."""

    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Newest share of the target's visits, that is foretold."""
    min_users: Count = 100
    """With fewer users with a history in that share, each target user's newest meeting is foretold."""
    max_users: Count = 5000
    """Users who are measured, at most, of those with a history and of newcomers each; drawn by the seed."""
    bootstrap: Count = 1000
    """Poisson bootstrap replicates over users."""


class SparkConfig(Section):
    """The session, where xlrec starts it itself; spark-submit's own settings win."""

    master: str = "local[*]"
    """Spark master."""
    driver_memory: str = "4g"
    """Heap of the driver, which in local mode is all of Spark."""
    shuffle_partitions: Count | None = None
    """null: twice the cores."""
    executor_within_s: Positive = 300.0
    """On a cluster, seconds until the first task must have run."""
    scratch: str | None = None
    """Folder on the driver's disk for copies of files, where the lake is no folder; null: the temporary one."""
    conf: dict[str, str] = {}
    """Any further Spark setting."""


class Limits(Section):
    """What may be brought to the driver."""

    driver_rows: Count = 100_000
    """Rows of report samples, per-market tables and the like; more is an error, not a crash."""


class Config(Section):
    """One nightly run. The smallest config names lake, inputs and k."""

    lake: str
    """Delta lake: a folder that all machines see, or a URL such as s3a://bucket/lake or hdfs://host:8020/lake."""
    inputs: Inputs
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Rows per user."""
    run_date: date | None = None
    """Logical date: governs decay, availability and the partition. null: the day after the newest interaction."""
    seed: int = 0
    """Seed of everything random."""
    unify: Literal["vectors", "pivot", "both"] = "vectors"
    """Vectors of an item: of its own texts, of their translations into translate.pivot, or of both, averaged."""
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
    limits: Limits = Limits()

    def model_post_init(self, _context: Any, /) -> None:
        """Checks what spans sections."""
        if self.retrieve.candidates < self.k:
            raise ValueError(f"retrieve.candidates is {self.retrieve.candidates}, less than k = {self.k}: raise it")
        if self.unify != "vectors" and not (self.inputs.translations or self.translate.model):
            raise ValueError(
                f"unify is {self.unify}, but nothing translates: set inputs.translations (Parquet) or translate.model, "
                "or unify to vectors"
            )
