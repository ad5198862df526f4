"""Catalogue rows of the demo world: one per item and language, with the untidiness that real ones have."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xlrec.datasets.demo.files import CATALOG, TRANSLATIONS, TRUTH_ITEMS
from xlrec.datasets.demo.products import LANGUAGES, categories, products
from xlrec.datasets.demo.randomness import Bools, uniform
from xlrec.datasets.demo.vocabulary import variant_title
from xlrec.datasets.demo.world import MARKET_CODES, OPEN_END, World, items_of

#: Share of the rows of a language that carry the tag as some shops write it.
_REGION_TAGS: Final = {"pt": ("pt-BR", 0.4), "zh": ("zh_CN", 0.3), "en": ("en-US", 0.15)}
_SHARE_UNTAGGED: Final = 0.08
_SHARE_MARKUP: Final = 0.06

Row = dict[str, Any]


def catalogue_rows(world: World, first: int, last: int) -> tuple[pa.Table, Counter[str]]:
    """Rows of the items first to last - 1, and how many rows carry what."""
    counts: Counter[str] = Counter()
    rows = [row for num in range(first, last) for row in _rows_of(world, num, counts)]
    return pa.Table.from_pylist(rows, CATALOG), counts


def item_row(world: World, num: int, language_num: int) -> Row:
    """One tidy row: an item in one language."""
    items, product = items_of(world), products()[items_of(world).product[num]]
    return {
        "item_id": items.ids[num],
        "title": variant_title(product, int(items.product[num]), int(items.variant[num]), language_num),
        "description": product.descriptions[language_num],
        "language": LANGUAGES[language_num],
        "categories": list(product.path),
        "markets": None if items.everywhere[num] else _names(int(items.sold[num]), MARKET_CODES),
        "available_from": _moment(world, int(items.first_day[num])) if items.first_day[num] else None,
        "available_until": _moment(world, int(items.last_day[num])) if items.last_day[num] != OPEN_END else None,
    }


def translations(world: World) -> pa.Table:
    """Every base product of the world in every language."""
    rows = [
        {key: row[key] for key in ("item_id", "language", "title", "description")}
        for num in range(min(world.items, len(products())))
        for language_num in range(len(LANGUAGES))
        for row in [item_row(world, num, language_num)]
    ]
    return pa.Table.from_pylist(rows, TRANSLATIONS)


def truth_items(world: World, first: int, last: int) -> pa.Table:
    """What nobody outside the world knows of its items: hidden quality and what is chosen soon after."""
    items = items_of(world)
    rows = [
        {
            "item_id": items.ids[num],
            "category": categories()[items.category[num]],
            "home_market": MARKET_CODES[items.home[num]],
            "quality": float(items.quality[num]),
            "follow_ups": [items.ids[other] for other in items.follow_ups[num] if other >= 0],
        }
        for num in range(first, last)
    ]
    return pa.Table.from_pylist(rows, TRUTH_ITEMS)


def languages_of(world: World, num: int) -> list[int]:
    """Positions in LANGUAGES of the item's texts."""
    mask = int(items_of(world).languages[num])
    return [bit for bit in range(len(LANGUAGES)) if mask >> bit & 1]


def _rows_of(world: World, num: int, counts: Counter[str]) -> Iterator[Row]:
    known = languages_of(world, num)
    for language_num, untagged, region, markup in zip(
        known,
        _draw(world, "untagged", num, known, _SHARE_UNTAGGED),
        _draw(world, "region", num, known, 1.0),
        _draw(world, "markup", num, known, _SHARE_MARKUP),
        strict=True,
    ):
        row = item_row(world, num, language_num)
        tag, share = _REGION_TAGS.get(LANGUAGES[language_num], ("", 0.0))
        if untagged >= 0:
            row["language"] = None
            counts["catalog_without_language"] += 1
        elif region < share:
            row["language"] = tag
            counts["catalog_region_tags"] += 1
        if markup >= 0:
            row["description"] = f"<p>{row['description']}</p><br/>&nbsp;&#9733;&amp;&#9733;"
            counts["catalog_markup"] += 1
        yield row


def _draw(world: World, purpose: str, num: int, known: list[int], share: float) -> list[float]:
    """A draw for each language, -1 where it is not under the share."""
    draws = uniform(world.seed, purpose, num, np.array(known))
    hit: Bools = draws < share
    found: list[float] = np.where(hit, draws, -1.0).tolist()
    return found


def _names(mask: int, names: tuple[str, ...]) -> list[str]:
    return [name for bit, name in enumerate(names) if mask >> bit & 1]


def _moment(world: World, day: int) -> datetime:
    start = datetime.combine(world.end_date, time(), UTC) - timedelta(days=world.days)
    return start + timedelta(days=day)
