"""Catalogue rows of the demo world: one per item and language, with the untidiness that real ones have."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any, Final

import pyarrow as pa

from xlrec.datasets.demo.products import LANGUAGES, categories, products, variant_title
from xlrec.datasets.demo.randomness import uniform
from xlrec.datasets.demo.schemas import CATALOG, TRANSLATIONS, TRUTH_ITEMS
from xlrec.datasets.demo.world import MARKET_CODES, OPEN_END, World, items_of

#: Share of the rows of a language that carry the tag as some shops write it.
_REGION_TAGS: Final = {"pt": ("pt-BR", 0.4), "zh": ("zh_CN", 0.3), "en": ("en-US", 0.15)}
_SHARE_UNTAGGED: Final = 0.08
_SHARE_MARKUP: Final = 0.06


def catalogue_rows(world: World, first: int, last: int) -> tuple[pa.Table, Counter[str]]:
    """Rows of the items first to last - 1, and counts of rows by what is untidy in them."""
    counts: Counter[str] = Counter()
    rows = [row for num in range(first, last) for row in _untidy_rows(world, num, counts)]
    return pa.Table.from_pylist(rows, CATALOG), counts


def item_tables(world: World, first: int, last: int) -> tuple[dict[str, pa.Table], Counter[str]]:
    """Rows of the items first to last - 1 by folder, and counts of rows by what is untidy in them."""
    rows, counts = catalogue_rows(world, first, last)
    return {"catalog": rows, "truth/items": truth_items(world, first, last)}, counts


def item_counts(world: World) -> Counter[str]:
    """Counts of the items that are sold or available otherwise than most."""
    items = items_of(world)
    return Counter(
        items_everywhere=int(items.everywhere.sum()),
        items_nowhere=int((items.sold == 0).sum()),
        items_ended=int((items.last_day <= world.days).sum()),
        items_not_yet=int((items.first_day > world.days).sum()),
    )


def item_row(world: World, num: int, language_num: int) -> dict[str, Any]:
    """One tidy row: an item in one language."""
    items, base = items_of(world), products()[num % len(products())]
    first_day, last_day, sold = int(items.first_day[num]), int(items.last_day[num]), int(items.sold[num])
    markets = [name for bit, name in enumerate(MARKET_CODES) if sold >> bit & 1]
    return {
        "item_id": items.ids[num],
        "title": variant_title(num, language_num),
        "description": base.descriptions[language_num],
        "language": LANGUAGES[language_num],
        "categories": list(base.path),
        "markets": None if items.everywhere[num] else markets,
        "available_from": world.start + timedelta(days=first_day) if first_day else None,
        "available_until": world.start + timedelta(days=last_day) if last_day != OPEN_END else None,
    }


def translation_rows(world: World) -> pa.Table:
    """Every base product of the world in every language."""
    pairs = product(range(min(world.items, len(products()))), range(len(LANGUAGES)))
    return pa.Table.from_pylist([item_row(world, *pair) for pair in pairs], TRANSLATIONS)


def truth_items(world: World, first: int, last: int) -> pa.Table:
    """Hidden facts of the items first to last - 1: quality, and the items that are chosen soon after."""
    items, rows = items_of(world), slice(first, last)
    columns: list[Any] = [
        items.ids[rows],
        [categories()[code] for code in items.category[rows]],
        [MARKET_CODES[market] for market in items.home[rows]],
        items.quality[rows],
        [[items.ids[other] for other in both if other >= 0] for both in items.follow_ups[rows]],
    ]
    return pa.Table.from_pydict(dict(zip(TRUTH_ITEMS.names, columns, strict=True)), TRUTH_ITEMS)


def _untidy_rows(world: World, num: int, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    known = items_of(world).language_nums(num)
    untagged, region, markup = (uniform(world.seed, name, num, known) for name in ("untagged", "region", "markup"))
    for place, language_num in enumerate(known):
        row = item_row(world, num, language_num)
        tag, share = _REGION_TAGS.get(LANGUAGES[language_num], ("", 0.0))
        if untagged[place] < _SHARE_UNTAGGED:
            row["language"] = None
            counts["catalog_without_language"] += 1
        elif region[place] < share:
            row["language"] = tag
            counts["catalog_region_tags"] += 1
        if markup[place] < _SHARE_MARKUP:
            row["description"] = f"<p>{row['description']}</p><br/>&nbsp;&#9733;&amp;&#9733;"
            counts["catalog_markup"] += 1
        yield row
