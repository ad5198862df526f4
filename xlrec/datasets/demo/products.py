"""The 180 products of the demo world: each named and described in twelve languages, written for this project."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import chain, zip_longest
from typing import Final

#: Languages of every product, as bit positions in the masks of the world.
LANGUAGES: Final = ("en", "zh", "ja", "ko", "de", "fr", "es", "pt", "ru", "ar", "hi", "tr")


@dataclass(frozen=True)
class Product:
    """One base product with its texts."""

    slug: str
    category: str
    path: tuple[str, ...]
    """Categories from broad to narrow, as the catalogue shows them."""
    titles: tuple[str, ...]
    """In the order of LANGUAGES."""
    descriptions: tuple[str, ...]
    """In the order of LANGUAGES."""


@lru_cache(maxsize=1)
def products() -> tuple[Product, ...]:
    """All base products, the categories in turn, so that any first n of them span the categories."""
    folder = files("xlrec.datasets.demo") / "products"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    by_category = [_category(json.loads((folder / name).read_text("utf-8"))) for name in names]
    return tuple(product for product in chain.from_iterable(zip_longest(*by_category)) if product is not None)


@lru_cache(maxsize=1)
def categories() -> tuple[str, ...]:
    """Short names of the categories, sorted."""
    return tuple(sorted({product.category for product in products()}))


def _category(content: dict[str, object]) -> list[Product]:
    path, rows = content["path"], content["products"]
    assert isinstance(path, list) and isinstance(rows, list)  # noqa: S101, PT018 - our own file, not a user's
    return [
        Product(
            slug=row["slug"],
            category=str(content["category"]),
            path=tuple(path),
            titles=tuple(row["texts"][language][0] for language in LANGUAGES),
            descriptions=tuple(row["texts"][language][1] for language in LANGUAGES),
        )
        for row in rows
    ]
