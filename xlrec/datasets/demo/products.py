"""The 180 products of the demo world in twelve languages, and the words that tell their variants apart."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

#: Languages of every product; a mask of languages has bit l for the l-th of them.
LANGUAGES: Final = ("en", "zh", "ja", "ko", "de", "fr", "es", "pt", "ru", "ar", "hi", "tr")


class Product(NamedTuple):
    """One base product; its texts are in the order of LANGUAGES."""

    slug: str
    category: str
    path: tuple[str, ...]  # categories from broad to narrow, as the catalogue shows them
    titles: tuple[str, ...]
    descriptions: tuple[str, ...]


@dataclass(frozen=True)
class VariantWords:
    """Invented brands, and colours and sizes in every language, all languages in the same order."""

    brands: list[str]
    colours: dict[str, list[str]]
    sizes: dict[str, list[str]]
    patterns: dict[str, str]  # forms of a variant's title by language; the empty key stands for all other languages

    @property
    def n_combinations(self) -> int:
        """Count of the distinct variants of one product."""
        return len(self.brands) * len(self.colours["en"]) * len(self.sizes["en"])


@lru_cache(maxsize=1)
def products() -> tuple[Product, ...]:
    """Base products, the categories in turn: any first n of them span the categories."""
    folder = files("xlrec.datasets.demo") / "products"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    by_category = [_category_products(_package_json(f"products/{name}")) for name in names]
    return tuple(filter(None, chain.from_iterable(zip_longest(*by_category))))


@lru_cache(maxsize=1)
def categories() -> tuple[str, ...]:
    """Short names of the categories, sorted."""
    return tuple(sorted({product.category for product in products()}))


@lru_cache(maxsize=1)
def variant_words() -> VariantWords:
    """Words of `words.json`, read once a process."""
    return VariantWords(**_package_json("words.json"))


def variant_title(num: int, language_num: int) -> str:
    """Title of item `num` in LANGUAGES[language_num]: a base product's, or its variant's with brand, colour, size."""
    words, language = variant_words(), LANGUAGES[language_num]
    variant, product_num = divmod(num, len(products()))
    title = products()[product_num].titles[language_num]
    if variant == 0:
        return title
    # 2741 and n_combinations have no common factor: every combination comes once before any comes again.
    combination = (variant * 2741 + product_num * 97) % words.n_combinations
    rest, brand = divmod(combination, len(words.brands))
    size, colour = divmod(rest, len(words.colours["en"]))
    colour_word, size_word = words.colours[language][colour], words.sizes[language][size]
    pattern = words.patterns.get(language, words.patterns[""])
    return pattern.format(brand=words.brands[brand], title=title, colour=colour_word, size=size_word)


def _package_json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files("xlrec.datasets.demo") / name).read_text("utf-8"))
    return content


def _category_products(content: dict[str, Any]) -> list[Product]:
    category, path = content["category"], tuple(content["path"])
    texts = [(row["slug"], [row["texts"][language] for language in LANGUAGES]) for row in content["products"]]
    return [Product(slug, category, path, *map(tuple, zip(*pairs, strict=True))) for slug, pairs in texts]
