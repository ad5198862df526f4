"""The models that a name alone is enough for: prompts, pooling, cuts, limits, revision and licence of each.

Facts are of the models' cards and repositories, of `mteb` 2.26.24 (its ModelMeta: revision, size, dimension, licence,
limits) and of the hub's own pages, as `checked` says; what could not be seen stands in `unchecked`.
"""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from xlrec.config.models import EmbedConfig
from xlrec.encoders.weights import Weights, content_identity
from xlrec.errors import EncoderError

#: Raise it whenever the vectors of a sentence encoder change.
_VERSION = 4


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One model and what it needs: a row of presets.json."""

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
    pooling: Literal["mean", "cls", "lasttoken"] = "mean"
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
    trained_on: tuple[str, ...] = ()
    """The languages, where the card lists them and they are few: a night counts texts in others."""
    package: str = ""
    """Folder of the files in a Python package, `package/folder`, of the extra that has the preset's name; empty: they
    are on the hub."""
    pickled: bool = False
    """The repository has no safetensors at this revision: the files must be converted and named in embed.folder."""
    checked: str
    """Which facts were seen where."""
    unchecked: tuple[str, ...] = ()
    """Fields whose source could not be seen."""
    note: str = ""
    """What users trip over."""
    sha256: tuple[tuple[str, str], ...] = ()
    """Published checksums of files, by path."""


@cache
def load_presets() -> tuple[Preset, ...]:
    """All presets, in the order of presets.json."""
    rows = resources.files("xlrec.encoders").joinpath("presets.json").read_bytes()
    return TypeAdapter(tuple[Preset, ...]).validate_json(rows)


def find_preset(encoder: str) -> Preset | None:
    """The preset of this name, or of this name on the hub; case does not matter."""
    wanted = encoder.lower()
    return next((preset for preset in load_presets() if wanted in (preset.name, preset.hub.lower())), None)


def resolve_preset(config: EmbedConfig) -> EmbedConfig:
    """The config with what its preset knows; what the config says wins. Other encoders stay as they are.

    Resolving twice changes nothing. Items get the passage prompt, and users' vectors come from items.

    Raises:
        EncoderError: `dim` is no cut of the model, or `precision` is not safe for it.
    """
    preset = find_preset(config.encoder)
    if preset is None:
        return config
    any_cut = preset.name.startswith("qwen3") and (config.dim or 0) < preset.dim
    if not any_cut and config.dim not in (None, preset.dim, *preset.cuts):
        allowed = ", ".join(str(number) for number in (preset.dim, *preset.cuts))
        why = "" if preset.cuts else " (it was not trained to be cut)"
        raise EncoderError(f"embed.dim: {config.dim} is no dimension of {preset.name}{why}; allowed: {allowed}")
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


def weights_of(config: EmbedConfig) -> Weights:
    """Name, revision, folder and checksums of the model's files.

    Raises:
        EncoderError: the preset's revision could not be learnt and the config gives none, or its hub has pickles only.
    """
    preset = find_preset(config.encoder)
    if preset is None:
        return Weights(config.encoder, config.revision, config.folder)
    revision = config.revision or preset.revision
    if config.folder is None and revision is None and not preset.package:
        raise EncoderError(
            f"embed.revision: the commit of {preset.hub} (preset {preset.name}) could not be checked: set it to the "
            "40-hex commit that you trust, or embed.folder to the model's files"
        )
    if config.folder is None and preset.pickled and revision == preset.revision:
        raise EncoderError(
            f"embed.encoder: {preset.hub} (preset {preset.name}) has no safetensors at {preset.revision}: where you "
            f"trust its pickle, run `python -c 'from sentence_transformers import SentenceTransformer as S; "
            f'S("{preset.hub}").save_pretrained("FOLDER")\'`, and set embed.folder to FOLDER'
        )
    if preset.package and config.revision:
        raise EncoderError(f"embed.revision is set, but {preset.name} comes from a package: remove it")
    sums = dict(preset.sha256) if revision == preset.revision else {}
    return Weights(preset.name if preset.package else preset.hub, revision, config.folder, preset.package, sha256=sums)


def fingerprint(config: EmbedConfig) -> str:
    """Identity of the vectors, from preset and config: weights, prompt, dim, cut, precision, pooling; loads no model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    config = resolve_preset(config)
    preset = find_preset(config.encoder)
    facts = [_VERSION, content_identity(weights_of(config)), config.prompt, config.dim, config.max_tokens]
    facts += [config.precision, preset.pooling if preset else None]
    return f"sentence-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}"
