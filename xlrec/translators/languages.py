"""Codes of languages in the vocabularies of translation models, from canonical BCP 47 tags.

languages.json has those that differ: NLLB names the standard variety of a language that a tag names as a whole
(FLORES-200; NLLB Team 2022, table 1), M2M100 has some codes of its own.
"""

import json
from functools import cache
from importlib import resources
from typing import cast

import langcodes


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
