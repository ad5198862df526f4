"""Translators: texts of many languages in, texts of the pivot language out."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from pydantic import SecretStr

from xlrec.config.models import TranslateConfig
from xlrec.encoders import weights
from xlrec.encoders.weights import Weights
from xlrec.errors import ConfigError
from xlrec.kernels.text.text import canonical_language
from xlrec.translators.base import Translation, Translator
from xlrec.translators.causal import CausalModel
from xlrec.translators.chat import ChatTranslator
from xlrec.translators.conversation import opening_messages, text_message
from xlrec.translators.endpoint import Endpoint
from xlrec.translators.seq2seq import Seq2SeqTranslator

__all__ = [
    "ChatTranslator", "Seq2SeqTranslator", "Translation", "Translator", "check_endpoint", "connect", "fingerprint",
    "load", "locate_model", "pivot_of", "server_key",
]  # fmt: skip

#: Raise one whenever its kind's translations change.
_VERSION, _CHAT_VERSION = 1, 1


def pivot_of(config: TranslateConfig) -> str:
    """The canonical tag of the pivot language.

    Raises:
        ConfigError: it names no language.
    """
    tag = canonical_language(config.pivot)
    if tag is None:
        raise ConfigError(f"translate.pivot is {config.pivot!r}, which is no language: set a BCP 47 tag such as en")
    return tag


def _weights(config: TranslateConfig) -> Weights:
    if config.model is None:
        raise ConfigError("translate.model is not set: name a folder or hub name of a model, or a server's model")
    return Weights(config.model, config.revision, section="translate")


def fingerprint(config: TranslateConfig) -> str:
    """Identity of the translations: model, limits, and search or conversation; loads no model, asks no server.

    A server's model is known by its name alone.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    model = ["endpoint", config.model] if config.endpoint else weights.content_identity(_weights(config))
    if config.is_chat:
        chat, pivot = config.chat, pivot_of(config)
        opening = opening_messages(config, pivot)
        facts = [_CHAT_VERSION, model, config.max_tokens, chat.style, opening, chat.retries, chat.request]
    else:
        facts = [_VERSION, model, config.max_tokens, config.beams]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    return f"{'chat' if config.is_chat else 'seq2seq'}-{digest}"


def locate_model(config: TranslateConfig, *, local_only: bool = False) -> Path:
    """Folder of the model on this machine, downloaded if need be; see `weights.locate_folder`.

    Raises:
        EncoderError: the model is missing, not pinned, cannot be reached, or may run code.
    """
    return weights.locate_folder(_weights(config), local_only=local_only)


@lru_cache(maxsize=1)
def _load(config_json: str, device: str, local_only: bool, identity: str) -> Translator:
    config = TranslateConfig.model_validate_json(config_json)
    folder = locate_model(config, local_only=local_only)
    if config.is_chat:
        return ChatTranslator(config, pivot_of(config), CausalModel(config, folder, device), identity)
    return Seq2SeqTranslator(config, folder, device, identity)


def load(
    config: TranslateConfig, device: str = "cpu", n_threads: int | None = None, *, local_only: bool = False
) -> Translator:
    """The translator of a folder; the last one stays in the process. Arguments are those of `encoders.load`.

    Raises:
        EncoderError: the model is missing, not pinned, no safetensors, of another kind, or cannot write the pivot.
    """
    if n_threads is not None:
        import torch

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        torch.set_num_threads(n_threads)
    return _load(config.model_dump_json(), device, local_only, fingerprint(config))


def server_key(config: TranslateConfig) -> SecretStr | None:
    """The server's key, from the variable that the config names; None where it names none.

    Raises:
        ConfigError: the variable is not set, or holds what no header can.
    """
    name = config.chat.key_variable
    if config.endpoint is None or name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        fault = "is not set" if not key else "holds other characters than a key has"
        raise ConfigError(
            f"translate.chat.key_variable: the environment variable {name} {fault}: set it where the driver runs"
        )
    return SecretStr(key)


def connect(config: TranslateConfig, key: SecretStr | None, n_threads: int) -> Translator:
    """The translator of a server, for so many requests at once."""
    return ChatTranslator(config, pivot_of(config), Endpoint(config, key, n_threads), fingerprint(config))


def check_endpoint(config: TranslateConfig, key: SecretStr | None) -> None:
    """Sends a first text, and stops where the server cannot be had; a busy one passes.

    Raises:
        EncoderError: there is no server, or it wants another URL, model, key or request.
    """
    pivot = pivot_of(config)
    Endpoint(config, key, 1).check_reachable([*opening_messages(config, pivot), text_message("1, 2, 3", pivot)])
