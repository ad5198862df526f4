"""Translators: texts of many languages in, texts of the pivot language out."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from xlrec.config.models import TranslateConfig
from xlrec.encoders import weights
from xlrec.encoders.weights import Weights
from xlrec.errors import ConfigError
from xlrec.translators.seq2seq import Seq2SeqTranslator

__all__ = ["Seq2SeqTranslator", "fingerprint", "load", "locate_model"]

#: Raise it whenever a translation changes.
_VERSION = 1


def _weights(config: TranslateConfig) -> Weights:
    if config.model is None:
        raise ConfigError("translate.model is not set: name a folder or hub name of an M2M100, NLLB or Marian model")
    return Weights(config.model, config.revision, section="translate")


def fingerprint(config: TranslateConfig) -> str:
    """Identity of the translations: weights, limit of tokens and beams; loads no model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    facts = [_VERSION, weights.content_identity(_weights(config)), config.max_tokens, config.beams]
    return f"seq2seq-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}"


def locate_model(config: TranslateConfig, *, local_only: bool = False) -> Path:
    """Folder of the model on this machine, downloaded if need be; see `weights.locate_folder`.

    Raises:
        EncoderError: the model is missing, not pinned, cannot be reached, or may run code.
    """
    return weights.locate_folder(_weights(config), local_only=local_only)


@lru_cache(maxsize=1)
def _load(config: TranslateConfig, device: str, local_only: bool, identity: str) -> Seq2SeqTranslator:
    return Seq2SeqTranslator(config, locate_model(config, local_only=local_only), device, identity)


def load(
    config: TranslateConfig, device: str = "cpu", n_threads: int | None = None, *, local_only: bool = False
) -> Seq2SeqTranslator:
    """The translator; the last one stays in the process. Arguments are those of `encoders.load`.

    Raises:
        EncoderError: the model is missing, not pinned, no safetensors, of another family, or cannot write the pivot.
    """
    if n_threads is not None:
        import torch

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        torch.set_num_threads(n_threads)
    return _load(config, device, local_only, fingerprint(config))
