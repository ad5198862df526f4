"""What names the weights and the fingerprint of a sentence encoder: a preset's facts, overridden by the config."""

import hashlib
import json
from pathlib import Path

from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets, weights
from xlrec.encoders.weights import Weights, check

__all__ = ["check", "fingerprint", "locate", "stamp", "weights_of"]

#: Raise it whenever the vectors of a sentence encoder change.
_VERSION = 4


def weights_of(config: EmbedConfig) -> Weights:
    """Names the model's files.

    Raises:
        EncoderError: the preset's revision could not be learnt and the config gives none, or its hub has pickles only.
    """
    preset = presets.find(config.encoder)
    if preset is None:
        return Weights(config.encoder, config.revision, config.folder)
    presets.check_reachable(preset, config)
    revision = config.revision or preset.revision
    sums = dict(preset.sha256) if revision == preset.revision else {}
    return Weights(preset.hub, revision, config.folder, sha256=sums)


def locate(config: EmbedConfig, *, local_only: bool = False) -> Path:
    """The folder of the model; see `weights.locate`.

    Raises:
        EncoderError: folder or hub model is missing, cannot be reached, was changed, or may run code.
    """
    return weights.locate(weights_of(config), local_only=local_only)


def stamp(config: EmbedConfig) -> str:
    """Changes whenever a file of a model folder does; empty for a hub model, whose revision is pinned."""
    return weights.stamp(weights_of(config))


def fingerprint(config: EmbedConfig) -> str:
    """Names all that a vector depends on, whether a preset or the config says it; loads no model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    config = presets.resolve(config)
    preset = presets.find(config.encoder)
    facts = [_VERSION, weights.identity(weights_of(config)), config.prompt, config.dim, config.max_tokens]
    facts += [config.precision, preset.pooling if preset else None]
    return f"sentence-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}"
