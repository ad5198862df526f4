"""Codes and tokens of languages in the vocabularies of M2M100, NLLB and Marian (OPUS) models.

languages.json has those that differ: NLLB names the standard variety of a language that a tag names as a whole
(FLORES-200; NLLB Team 2022, table 1), M2M100 has some codes of its own.
"""

import json
from collections.abc import Callable
from functools import cache, partial
from importlib import resources
from typing import Any, NamedTuple, cast

import langcodes

from xlrec.errors import EncoderError
from xlrec.kernels.text.text import canonical_language


@cache
def _exceptions() -> dict[str, dict[str, str]]:
    text = resources.files("xlrec.translators").joinpath("languages.json").read_text(encoding="utf-8")
    return cast("dict[str, dict[str, str]]", json.loads(text))


def nllb_code(tag: str) -> str:
    """Such as `deu_Latn` for de: ISO 639-3 and script."""
    return _exceptions()["nllb"].get(tag) or marian_codes(tag)[1]


def m2m100_code(tag: str) -> str:
    """Such as `de` for de, `zh` for zh-Hant: the language without its script."""
    base = langcodes.Language.get(tag).language or tag
    return _exceptions()["m2m100"].get(base, base)


def marian_codes(tag: str) -> tuple[str, ...]:
    """Codes under which OPUS models with several targets may know a language: `deu`, `deu_Latn`, `de`."""
    language = langcodes.Language.get(tag)
    base = language.language or tag
    try:
        letters = language.to_alpha3()
    except LookupError:
        letters = base
    return letters, f"{letters}_{language.maximize().script}", base


class Family(NamedTuple):
    """Tokens around a text, and the first token of its translation."""

    source: Callable[[str], list[int] | None]
    """Token ids of a text's language, empty where the model needs none; None: the model does not read it."""
    forced: int | None = None
    """First token id of every translation: the pivot language."""
    prefix: tuple[int, ...] = ()
    """Token ids before every text: the pivot language, where the text carries it."""


def family_of(tokenizer: Any, kind: str, pivot: str, model: str) -> Family:
    """Family of a model that writes the pivot, by its type and by the language tokens of its vocabulary.

    Raises:
        EncoderError: the pivot is no language, or the model cannot write it.
    """
    tag = canonical_language(pivot)
    if tag is None:
        raise EncoderError(f"translate.pivot: {pivot!r} is no language: set a BCP 47 tag such as en")
    if kind == "marian":
        return _marian(tokenizer, tag, model)
    for name in (lambda language: f"__{m2m100_code(language)}__", nllb_code):
        forced = _token(tokenizer, name(tag))
        if forced is not None:
            return Family(partial(_source_token, tokenizer, name), forced)
    raise EncoderError(
        f"translate.model: {model} (model type {kind}) has no token for {tag}: name an M2M100, NLLB or Marian model "
        "that writes it, or another translate.pivot"
    )


def _source_token(tokenizer: Any, name: Callable[[str], str], tag: str) -> list[int] | None:
    number = _token(tokenizer, name(tag))
    return None if number is None else [number]


def _marian(tokenizer: Any, pivot: str, model: str) -> Family:
    """One pair of languages, or groups of them: several targets are told apart by a token such as `>>eng<<`."""
    named = [number for code in marian_codes(pivot) if (number := _token(tokenizer, f">>{code}<<")) is not None]
    reads, writes = (canonical_language(tokenizer.init_kwargs.get(key)) for key in ("source_lang", "target_lang"))
    if not named and writes not in (None, pivot):
        raise EncoderError(
            f"translate.model: {model} translates into {writes}, not into translate.pivot = {pivot}: name another"
        )
    return Family(lambda tag: [] if reads in (None, tag) else None, prefix=tuple(named[:1]))


def _token(tokenizer: Any, text: str) -> int | None:
    number = tokenizer.convert_tokens_to_ids(text)
    return None if number is None or number == tokenizer.unk_token_id else int(number)
