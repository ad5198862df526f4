"""Encoders: texts in, unit vectors out. `load` gives the one that the config names, `fingerprint` its identity."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets, shipped, weights
from xlrec.encoders.base import Encoder

__all__ = ["BUILT_IN", "Encoder", "fingerprint", "load", "locate_model"]

#: Encoders that come with the package and need neither torch nor a device.
BUILT_IN: Final = (shipped.NAME,)


def _resolved(config: EmbedConfig | str) -> EmbedConfig:
    if isinstance(config, str):
        config = EmbedConfig.model_validate_json(config) if config.startswith("{") else EmbedConfig(encoder=config)
    return presets.resolve_preset(config)


def fingerprint(config: EmbedConfig | str) -> str:
    """Fingerprint that `load(config)` will have; loads no model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    config = _resolved(config)
    return shipped.fingerprint(config) if config.encoder in BUILT_IN else presets.fingerprint(config)


def locate_model(config: EmbedConfig | str) -> Path | None:
    """Folder of the model, downloaded if need be, as a driver does before workers load; None for a built-in encoder.

    Raises:
        EncoderError: the model is missing, not pinned, cannot be reached, or was changed.
    """
    config = _resolved(config)
    return None if config.encoder in BUILT_IN else weights.locate_folder(presets.weights_of(config))


@lru_cache(maxsize=1)
def _load(config: EmbedConfig, device: str, local_only: bool, _fingerprint: str) -> Encoder:
    if config.encoder in BUILT_IN:
        return shipped.ShippedEncoder(config)
    preset = presets.find_preset(config.encoder)
    if preset is not None and preset.package:
        from xlrec.encoders.use import UseEncoder

        return UseEncoder(config, device, local_only=local_only)
    from xlrec.encoders.sentence import SentenceEncoder

    return SentenceEncoder(config, device, local_only=local_only)


def load(
    config: EmbedConfig | str, device: str | None = None, n_threads: int | None = None, *, local_only: bool = False
) -> Encoder:
    """The encoder; the last one stays in the process, so that a worker loads its model once.

    Args:
        config: the config, its JSON (as workers get it), or the bare name of an encoder.
        device: torch device; default: the config's, where `auto` is the CPU outside a Spark task.
        n_threads: threads of torch on the CPU, for the whole process; tokenizers then use one; default: their own.
        local_only: never download: for workers, which may have no network.

    Raises:
        EncoderError: the model is missing, not pinned, not safetensors, or its device is.
    """
    config = _resolved(config)
    if n_threads is not None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if config.encoder in BUILT_IN:
        return _load(config, "cpu", local_only, "")
    if n_threads is not None:
        import torch

        torch.set_num_threads(n_threads)
    device = device or ("cuda" if config.device == "cuda" else "cpu")
    return _load(config, device, local_only, presets.fingerprint(config))
