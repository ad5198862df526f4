"""Files and fingerprint of a sentence-transformers model: a preset's facts, overridden by the config."""

import hashlib
import json

from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets, weights
from xlrec.encoders.weights import Weights
from xlrec.errors import EncoderError

#: Raise it whenever the vectors of a sentence encoder change.
_VERSION = 4


def weights_of(config: EmbedConfig) -> Weights:
    """Name, revision, folder and checksums of the model's files.

    Raises:
        EncoderError: the preset's revision could not be learnt and the config gives none, or its hub has pickles only.
    """
    preset = presets.find_preset(config.encoder)
    if preset is None:
        return Weights(config.encoder, config.revision, config.folder)
    revision = config.revision or preset.revision
    if config.folder is None and revision is None:
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
    sums = dict(preset.sha256) if revision == preset.revision else {}
    return Weights(preset.hub, revision, config.folder, sha256=sums)


def fingerprint(config: EmbedConfig) -> str:
    """Identity of the vectors, from preset and config: weights, prompt, dim, cut, precision, pooling; loads no model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    config = presets.resolve_preset(config)
    preset = presets.find_preset(config.encoder)
    facts = [_VERSION, weights.content_identity(weights_of(config)), config.prompt, config.dim, config.max_tokens]
    facts += [config.precision, preset.pooling if preset else None]
    return f"sentence-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}"
