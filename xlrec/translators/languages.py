"""Codes of languages in the vocabularies of translation models, from canonical BCP 47 tags."""

import langcodes

#: Where NLLB names the standard variety of a language that BCP 47 tags name as a whole.
#: Source: FLORES-200 codes (NLLB Team 2022, table 1).
_NLLB = {
    "ar": "arb_Arab", "az": "azj_Latn", "ay": "ayr_Latn", "et": "est_Latn", "fa": "pes_Arab", "fil": "tgl_Latn",
    "gn": "grn_Latn", "ku": "kmr_Latn", "lv": "lvs_Latn", "mg": "plt_Latn", "mn": "khk_Cyrl", "ms": "zsm_Latn",
    "ko": "kor_Hang", "ne": "npi_Deva", "om": "gaz_Latn", "or": "ory_Orya", "ps": "pbt_Arab", "qu": "quy_Latn",
    "sq": "als_Latn", "sw": "swh_Latn", "tl": "tgl_Latn", "uz": "uzn_Latn", "yi": "ydd_Hebr", "zh": "zho_Hans",
    "zh-Hant": "zho_Hant",
}  # fmt: skip
#: Where M2M100 has another code than BCP 47.
_M2M100 = {"nb": "no", "nn": "no", "fil": "tl", "nso": "ns"}


def nllb_code(tag: str) -> str:
    """Such as `deu_Latn` for de: ISO 639-3 and script."""
    if tag in _NLLB:
        return _NLLB[tag]
    language = langcodes.Language.get(tag)
    try:
        letters = language.to_alpha3()
    except LookupError:
        letters = language.language or tag
    return f"{letters}_{language.maximize().script}"


def m2m100_code(tag: str) -> str:
    """Such as `de` for de, `zh` for zh-Hant: the language without its script."""
    base = langcodes.Language.get(tag).language or tag
    return _M2M100.get(base, base)


def marian_codes(tag: str) -> tuple[str, ...]:
    """Codes under which OPUS models with several targets may know a language: `deu`, `deu_Latn`, `de`."""
    language = langcodes.Language.get(tag)
    base = language.language or tag
    try:
        letters = language.to_alpha3()
    except LookupError:
        letters = base
    return letters, f"{letters}_{language.maximize().script}", base
