"""Encoders: texts in, unit vectors out. `load` gives the one that the config names, `fingerprint` what names it."""

import os
from collections.abc import Callable
from functools import lru_cache

from xlrec.config.models import EmbedConfig
from xlrec.encoders import hashing, presets, shipped, source
from xlrec.encoders.base import Encoder

__all__ = ["BUILT_IN", "Encoder", "fetch", "fingerprint", "load"]

#: Encoders that come with the package and need neither torch nor a device.
BUILT_IN: dict[str, Callable[[EmbedConfig], Encoder]] = {
    hashing.NAME: hashing.HashingEncoder,
    shipped.NAME: shipped.ShippedEncoder,
}


def _config(config: EmbedConfig | str) -> EmbedConfig:
    """The config of an `EmbedConfig`, of its JSON, or of the encoder's bare name, with what its preset knows."""
    if isinstance(config, str):
        config = EmbedConfig.model_validate_json(config) if config.startswith("{") else EmbedConfig(encoder=config)
    return presets.resolve(config)


def fingerprint(config: EmbedConfig | str) -> str:
    """What `load(config).fingerprint` will be, without loading the model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    config = _config(config)
    if config.encoder == shipped.NAME:
        return shipped.fingerprint(config)
    return hashing.fingerprint(config) if config.encoder == hashing.NAME else source.fingerprint(config)


def fetch(config: EmbedConfig | str) -> None:
    """Brings the model's files to this machine, if they are not here: what a driver does before its workers load.

    Raises:
        EncoderError: the model is missing, not pinned, cannot be reached, or was changed.
    """
    config = _config(config)
    if config.encoder not in BUILT_IN:
        source.locate(config)


@lru_cache(maxsize=1)
def _load(config: EmbedConfig, device: str, local_only: bool, _stamp: str) -> Encoder:
    if config.encoder in BUILT_IN:
        return BUILT_IN[config.encoder](config)
    from xlrec.encoders.sentence import SentenceEncoder

    return SentenceEncoder(config, device, local_only=local_only)


def load(
    config: EmbedConfig | str, device: str | None = None, n_threads: int | None = None, *, local_only: bool = False
) -> Encoder:
    """The encoder; the one used last stays in the process, so that a worker loads its model once.

    Args:
        config: the config, its JSON (what workers get), or the bare name of an encoder.
        device: torch device; default: the config's, where `auto` is the CPU outside a Spark task.
        n_threads: threads of torch on the CPU, for the whole process; tokenizers then use one; default: their own.
        local_only: never download: for workers, which may have no network.

    Raises:
        EncoderError: the model is missing, not pinned, not safetensors, or its device is.
    """
    config = _config(config)
    if n_threads is not None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if config.encoder in BUILT_IN:
        return _load(config, "cpu", local_only, "")
    if n_threads is not None:
        import torch

        torch.set_num_threads(n_threads)
    device = device or ("cuda" if config.device == "cuda" else "cpu")
    return _load(config, device, local_only, source.stamp(config))
