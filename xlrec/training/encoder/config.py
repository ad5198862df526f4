"""Settings of the encoder's training: one strict, frozen model per part, as in `xlrec.config.models`."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from xlrec.config.models import Count, Positive, Section, Share, SparkConfig, Weight


class LakeConfig(Section):
    """The user's own lake: items with texts in several languages, and pairs of items that the same users chose.

    Sources `lake-texts` and `lake-choices` in `texts.source_weights`. An item is a concept, its item_id the concept_id.
    """

    folder: str
    """Folder of the Delta lake that `xlrec run` writes: tables texts, items and events."""
    min_letters: Count = 2
    """Texts with fewer letters and digits are left out, as are those in an unknown language."""
    max_items: Count = 1_000_000
    """Items at most, about, chosen by hash: their texts are kept in memory."""
    max_pairs: Count = 200_000
    """Pairs of items at most, about, chosen by hash."""
    pairs_per_item: Count = 10
    """Items that are most often chosen soon after an item, which make pairs with it."""
    min_users: Count = 2
    """Pairs that fewer users chose are left out."""
    window_items: Count = 5
    """Pairs reach this many events ahead in a user's history."""
    max_gap_days: Positive = 7.0
    """Pairs reach this many days ahead."""
    until: date | None = None
    """Events from this day on (UTC) make no pairs: the day of an evaluation's cut. null: all events."""
    copied: str | None = None
    """Folder with texts and choices as Parquet, once Spark has read the lake: the program sets it."""


class WordListsConfig(Section):
    """Words by frequency, without translations: the vocabulary counts them, and a teacher teaches them one by one."""

    path: str
    """Parquet file or folder: language, text, count (how often it is met, as the parallel texts are counted)."""
    source: str
    """Origin of the words, for the card."""
    licence: str
    """Their licence, for the card."""


class TextsConfig(Section):
    """Training texts and their weights: parallel texts, a lake's own, or both."""

    path: str | None = None
    """Parquet file or folder, also a URL: concept_id, language, text; optional source, licence, split (train, dev)."""
    lake: LakeConfig | None = None
    """Texts and choices of the user's own lake; null: none."""
    word_lists: WordListsConfig | None = None
    """Words without a translation; null: none."""
    exclude_licences: tuple[str, ...] = ()
    """Rows whose licence starts with one of these are left out."""
    exclude_sources: tuple[str, ...] = ()
    """Sources that are left out altogether."""
    measure_sources: tuple[str, ...] = ()
    """Sources whose concepts are all dev: never trained on, only measured."""
    dev_share: Share = 0.02
    """Share of the concepts that are dev, chosen by hash, where there is no `split` column."""
    source_weights: dict[str, Weight] = Field(default_factory=dict)
    """Weight of a source against the others, 1 where it is not named; 0 never trains on it."""
    language_weights: dict[str, Weight] = Field(default_factory=dict)
    """Weight of a language against the others, besides its temperature."""
    temperature: Share = 0.5
    """Exponent of the number of texts of a source and language: 1 draws as they come, 0 draws all alike."""

    def model_post_init(self, _context: Any, /) -> None:
        """Checks that there is anything to read."""
        if self.path is None and self.lake is None:
            raise ValueError("texts names neither `path` nor `lake`: name Parquet files, the folder of a lake, or both")


class VocabularyConfig(Section):
    """Tokens of an encoder that is trained from scratch: whole words, frequent pieces, characters, bytes."""

    words: Count = 160_000
    """Whole words, shared out among the languages."""
    pieces: Count = 60_000
    """Pieces of words that are not whole words of the vocabulary."""
    running_pieces: Count = 40_000
    """Pieces of the scripts without spaces (Chinese, Japanese, Thai, Khmer, Lao, Burmese)."""
    min_count: Count = 2
    """Rarer words and characters are no tokens."""
    language_weights: dict[str, Weight] = Field(default_factory=dict)
    """Weight of a language where words are shared out; empty: those of `texts`."""
    language_exponent: Share = 0.5
    """Exponent of a language's number of distinct words in its share of the words; 0: equal shares."""


class StaticConfig(Section):
    """The bag of tokens whose vectors are sums of an own part and of shared character n-grams."""

    dim: Annotated[int, Field(ge=16, le=1024)] = 256
    """Numbers in a vector."""
    buckets: Count = 200_000
    """Rows of the hashed table of n-gram vectors."""
    max_grams: Annotated[int, Field(ge=0)] = 24
    """N-grams of a token, at most; 0: tokens share nothing."""
    learning_rate: Positive = 0.05
    """Of row-wise Adagrad; falls linearly to zero over the run."""


class TeacherConfig(Section):
    """An encoder whose vectors the texts are taught, mode static only."""

    encoder: str
    """Preset or folder, as `embed.encoder`."""
    licence: str
    """Licence of its weights, for the card."""
    languages: tuple[str, ...]
    """Languages that it knows."""
    texts_per_concept: Count = 3
    """Texts of a concept, each in another language, the pivot's first, whose mean vector is taught."""
    weight: Weight = 1.0
    """Weight of its loss beside that of the pairs."""
    words: Annotated[int, Field(ge=0)] = 2048
    """Words of `texts.word_lists` in a step."""
    max_words: Count = 25_000
    """First words of a list that are taught."""


class FineTuneConfig(Section):
    """Fine-tuning of a sentence-transformers model."""

    model: str
    """A folder of sentence-transformers, also as a URL."""
    freeze_embeddings: bool = False
    """Whether the table of token vectors stays as it is: less to learn, and unseen words stay in place."""
    learning_rate: Positive = 2e-5
    """Of AdamW; warms up over the first tenth of the steps, then falls linearly to zero."""
    max_tokens: Count = 128
    """Longer texts are cut."""
    processes: Count = 1
    """Processes of TorchDistributor; each draws its own batches, and gradients are averaged. With a local master they
    run on this machine; else as tasks on the executors, with a GPU where spark.task.resource.gpu.amount is 1."""


class LossConfig(Section):
    """The contrastive loss."""

    temperature: Positive = 0.05
    """Of the cross-lingual InfoNCE."""
    matryoshka_dims: tuple[Count, ...] = ()
    """Shorter cuts of the vectors that are trained too; each step draws one of them."""
    matryoshka_weight: Weight = 0.3
    """Weight of the cut that is drawn."""


class BatchConfig(Section):
    """Pairs of a training step."""

    pairs: Count = 2048
    """Pairs of texts; every other pair of the batch is a negative unless it says the same."""
    sources: Count = 4
    """Sources that a batch draws from: few make harder negatives."""
    pivot: str = "en"
    """Language of one side of most pairs."""
    pivot_share: Share = 0.8
    """Share of the pairs that have the pivot on one side."""
    joined_share: Share = 0.4
    """Share of the pairs that are several texts of one pair of languages, joined."""
    max_joined: Count = 5
    """Texts that are joined, at most."""
    same_language_share: Share = 0.1
    """Share of the pairs of `lake-choices` whose two texts may be in one language; more makes languages cluster."""
    max_tokens: Count = 64
    """Longer texts are cut."""


class MeasureConfig(Section):
    """Dev retrieval while training."""

    every_steps: Count = 500
    """Steps between two measurements and checkpoints."""
    candidates: Count = 1000
    """Pivot texts of one source among which the translation is looked for."""
    min_pairs: Count = 100
    """A source and language with fewer dev pairs is not measured."""
    languages: tuple[str, ...] = ("zh", "ja", "ko", "de", "fr", "es", "it", "pt", "ru", "ar", "tr", "vi", "th", "hi",
                                  "id", "pl")  # fmt: skip
    """Languages of the mean that decides early stopping; all are measured at the end."""
    patience: Count = 10
    """Measurements without a better mean after which training stops."""


class CompressConfig(Section):
    """Small form of a static encoder, as it is shipped: product-quantised rows and a packed tokenizer."""

    output: str
    """Folder for it."""
    bytes_per_token: Count = 64
    """Parts of a row, each one of 256; divides static.dim."""
    finer_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens that get a second code for the error of the first: those whose rows training moved most."""


class AdaptConfig(Section):
    """One training of an encoder."""

    output: str
    """Folder for the sentence-transformers model."""
    work: str
    """Folder for tokens and checkpoints: a run that finds its own checkpoint there goes on from it."""
    mode: Literal["static", "finetune"] = "static"
    """static: a bag of tokens from scratch, on the CPU; finetune: an existing model, on the GPU if there is one."""
    seed: int = 0
    """Seed of all random draws."""
    steps: Count = 5000
    """Steps of the whole run."""
    texts: TextsConfig
    vocabulary: VocabularyConfig = VocabularyConfig()
    static: StaticConfig = StaticConfig()
    teacher: TeacherConfig | None = None
    finetune: FineTuneConfig | None = None
    batch: BatchConfig = BatchConfig()
    loss: LossConfig = LossConfig()
    measure: MeasureConfig = MeasureConfig()
    spark: SparkConfig = SparkConfig()
    """The session, which is started only for a lake or for several processes."""
    compress: CompressConfig | None = None
    """static only: the quantised table is then measured and written at the end. null: the exact one."""
    licence: str = "cc-by-sa-4.0"
    """Licence of the weights, for the card."""
    name: str = "xlrec encoder"
    """Title of the card."""

    def model_post_init(self, _context: Any, /) -> None:
        """Checks what spans sections."""
        if (self.mode == "finetune") != (self.finetune is not None):
            raise ValueError("mode finetune needs the section `finetune`, and mode static has none: set or remove it")
        if self.compress is not None and self.static.dim % self.compress.bytes_per_token:
            raise ValueError(f"compress.bytes_per_token must divide static.dim = {self.static.dim}: change one of them")
        if self.compress is not None and self.mode != "static":
            raise ValueError("compress is for mode static: remove it")
        if self.teacher is not None and self.mode != "static":
            raise ValueError("teacher is for mode static: remove it")
        if self.mode == "static" and any(cut >= self.static.dim for cut in self.loss.matryoshka_dims):
            raise ValueError(f"loss.matryoshka_dims: every cut is less than static.dim = {self.static.dim}: lower it")
