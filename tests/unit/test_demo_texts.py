"""The texts of the demo world: complete, in the right script, natural, and unlike each other."""

import re
import unicodedata
from collections import Counter

import pytest

from xlrec.datasets.demo.products import LANGUAGES, categories, products, variant_title, variant_words

SCRIPTS = {
    "en": ("LATIN",), "de": ("LATIN",), "fr": ("LATIN",), "es": ("LATIN",), "pt": ("LATIN",), "tr": ("LATIN",),
    "zh": ("CJK",), "ja": ("HIRAGANA", "KATAKANA", "CJK"), "ko": ("HANGUL",), "ru": ("CYRILLIC",),
    "ar": ("ARABIC",), "hi": ("DEVANAGARI",),
}  # fmt: skip


def _texts(place: int) -> list[str]:
    return [text for product in products() for text in (product.titles[place], product.descriptions[place])]


def _scripts(text: str) -> Counter[str]:
    """Letters of a text by the first word of their Unicode name."""
    names = (unicodedata.name(letter, "?").split()[0] for letter in text if unicodedata.category(letter)[0] == "L")
    return Counter("CJK" if name.startswith("CJK") else name for name in names)


def test_there_are_at_least_160_products_in_18_categories_of_10() -> None:
    assert len(products()) >= 160
    assert set(Counter(product.category for product in products()).values()) == {10}
    assert len(categories()) == 18


def test_at_least_twelve_languages_in_at_least_six_scripts() -> None:
    assert len(LANGUAGES) >= 12
    assert len(set(SCRIPTS.values())) >= 6
    assert set(SCRIPTS) == set(LANGUAGES)


def test_every_product_has_a_title_and_a_description_in_every_language() -> None:
    for product in products():
        assert len(product.titles) == len(product.descriptions) == len(LANGUAGES)
        assert all(text == text.strip() and text for text in product.titles + product.descriptions), product.slug


def test_slugs_are_unique_and_can_stand_in_an_address() -> None:
    slugs = [product.slug for product in products()]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in slugs)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_in_the_script_of_its_language(language: str) -> None:
    place = LANGUAGES.index(language)
    for text in _texts(place):
        found = _scripts(text)
        share = sum(found[script] for script in SCRIPTS[language]) / max(1, found.total())
        assert share >= 0.5, f"{language}: {text}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_title_and_no_description_comes_twice_in_a_language(language: str) -> None:
    place = LANGUAGES.index(language)
    for texts in ([p.titles[place] for p in products()], [p.descriptions[place] for p in products()]):
        twice = [text for text, n in Counter(text.casefold() for text in texts).items() if n > 1]
        assert not twice


@pytest.mark.parametrize("language", LANGUAGES)
def test_descriptions_are_sentences_and_no_word_lists(language: str) -> None:
    for product in products():
        text = product.descriptions[LANGUAGES.index(language)]
        assert len(text) > len(product.titles[LANGUAGES.index(language)]) / 2, text
        assert len(text) >= 15, text
        assert text[-1] in '.!?。！？।…»”")）', text


def test_no_text_is_left_in_another_language() -> None:
    for product in products():
        distinct = Counter(product.descriptions)
        assert max(distinct.values()) == 1, product.slug


def test_no_text_holds_a_placeholder_or_markup() -> None:
    # "todo" is a Spanish word, TODO is not.
    marks = re.compile(r"(?i:lorem|ipsum|xxx|placeholder|<[a-z/]|&[a-z]+;)|TODO|TBD|[{}\uFFFD]|\?\?\?")
    for place in range(len(LANGUAGES)):
        for text in _texts(place):
            assert not marks.search(text), text
            assert unicodedata.is_normalized("NFC", text), text


def test_words_for_variants_exist_in_every_language_and_differ() -> None:
    words_of_variants = variant_words()
    for words in (words_of_variants.colours, words_of_variants.sizes):
        assert tuple(words) == LANGUAGES
        assert len({len(of_language) for of_language in words.values()}) == 1
        for language, of_language in words.items():
            assert len(set(of_language)) == len(of_language), language
            for word in of_language:
                assert set(_scripts(word)) & {*SCRIPTS[language], "LATIN"}, f"{language}: {word}"
    assert len(set(words_of_variants.brands)) == len(words_of_variants.brands)


@pytest.mark.parametrize("language", LANGUAGES)
def test_variants_of_a_product_have_titles_of_their_own_that_hold_the_products_title(language: str) -> None:
    place = LANGUAGES.index(language)
    n = variant_words().n_combinations
    titles = [variant_title(5 + variant * len(products()), place) for variant in range(n)]
    assert len(set(titles)) == n
    assert all(products()[5].titles[place] in title for title in titles)
