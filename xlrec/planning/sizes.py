"""Sizes of the inputs, from Parquet footers and a few columns; without Spark."""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xlrec.config.models import Config
from xlrec.planning.footers import Column, parquet_files
from xlrec.runtime import machine

#: Rows of an input whose keys are counted exactly; of more, row groups spread over all are.
EXACT_ROWS: Final = 20_000_000
#: Catalogue rows whose texts are read.
SAMPLED_TEXTS: Final = 20_000
#: Histories kept as a sample of how long they are.
SAMPLED_HISTORIES: Final = 4096


@dataclass(frozen=True)
class Texts:
    """Rows of the catalogue, spread over its files."""

    titles: tuple[str, ...]
    descriptions: tuple[str | None, ...]
    languages: tuple[str | None, ...]


@dataclass(frozen=True)
class Sizes:
    """What the cost of a night hangs on."""

    users: int
    """Who get a list."""
    active: int
    """Users with an event."""
    items: int
    texts: int
    """Rows of the catalogue."""
    new_texts: int
    """Those that the cache of embeddings does not hold."""
    unstated: int
    """Texts without a language, which is detected."""
    events: int
    visits: int
    """Pairs of a user and an item that met."""
    pairs: int
    """Pairs of events in a history: what co-visitation counts, as if all were of different items."""
    markets: int
    languages: int
    chars: float
    """Of a text, on average."""
    input_bytes: int
    histories: tuple[int, ...] = ()
    """Events of some users, as a sample of all."""
    notes: tuple[str, ...] = ()
    """What was not counted but estimated, and from what."""

    def scaled(self, users: int | None, items: int | None) -> "Sizes":
        """The same world with more or fewer users, with as many events each, or items, with as many texts each."""
        by_users = users / max(1, self.users) if users is not None else 1.0
        by_items = items / max(1, self.items) if items is not None else 1.0
        by_both = dict.fromkeys(("users", "active", "events", "visits", "pairs"), by_users)
        by_both |= dict.fromkeys(("items", "texts", "new_texts", "unstated"), by_items)
        found = {name: round(getattr(self, name) * factor) for name, factor in by_both.items()}
        told = [f"{n:,} {name} are asked for" for n, name in ((users, "users"), (items, "items")) if n is not None]
        notes = (*self.notes, f"{' and '.join(told)}: the rest is scaled") if told else self.notes
        return replace(self, **found, notes=notes)


def read(config: Config) -> tuple[Sizes, Texts]:
    """Sizes of the config's inputs, and a sample of the catalogue.

    Raises:
        InputError: An input is missing, remote or no Parquet.
    """
    where, names = config.inputs, config.columns
    catalog = Column(parquet_files(where.catalog, "catalog"), names.catalog, "catalog")
    log = Column(parquet_files(where.interactions, "interactions"), names.interactions, "interactions")
    people = Column(parquet_files(where.users, "users"), names.users, "users") if where.users else None
    texts = _texts(catalog)
    ids, seen = _items(catalog)
    counts, active, visits, note = _histories(log)
    notes = [note] if note else []
    users = max(people.n_rows, active) if people else active
    rows = [len(title) + len(about or "") for title, about in zip(texts.titles, texts.descriptions, strict=True)]
    most = config.train.covisitation.max_history
    per_user = pairs_of(np.minimum(counts, most)).mean() if len(counts) else 0.0
    sampled = len(texts.titles)
    unstated = sum(tag is None for tag in texts.languages) / max(1, sampled)
    if catalog.n_rows > sampled:
        notes.append(f"lengths and languages of texts are those of {sampled:,} catalogue rows of {catalog.n_rows:,}")
    known = known_texts(config)
    if known:
        notes.append(f"the lake holds {known:,} vectors of this encoder: as many texts are taken for embedded")
    sizes = Sizes(
        users=users,
        active=min(active, users),
        items=ids,
        texts=catalog.n_rows,
        new_texts=max(0, catalog.n_rows - known),
        unstated=round(unstated * catalog.n_rows),
        events=log.n_rows,
        visits=visits,
        pairs=round(per_user * active),
        markets=max(1, seen),
        languages=max(1, len({tag for tag in texts.languages if tag})),
        chars=float(np.mean(rows)) if rows else 0.0,
        input_bytes=catalog.n_bytes + log.n_bytes + (people.n_bytes if people else 0),
        histories=tuple(int(n) for n in _sample(counts)),
        notes=tuple(notes),
    )
    return sizes, texts


def pairs_of(sizes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """(n,) pairs in histories of so many events."""
    n = sizes.astype(np.float64)
    found: NDArray[np.float64] = n * (n - 1) / 2
    return found


def neighbours_of(config: Config, sizes: Sizes) -> int:
    """Neighbours of an item in a market, at most."""
    bounds = config.train.covisitation.predictors, config.train.covisitation.neighbours
    return min(*bounds, -(-2 * sizes.pairs // max(1, sizes.items)))


def known_texts(config: Config) -> int:
    """Vectors of the config's encoder in the lake's cache, by the footers of its files; 0 for a lake elsewhere."""
    from xlrec import encoders

    lake = machine.local_folder(config.lake)
    if lake is None or not (lake / "embeddings").is_dir():
        return 0
    files = (lake / "embeddings" / f"fingerprint={encoders.fingerprint(config.embed)}").glob("*.parquet")
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


def _texts(catalog: Column) -> Texts:
    """Some of the first rows of row groups spread over all, at most `SAMPLED_TEXTS`."""
    columns = tuple(name for name in ("title", "description", "language") if name == "title" or catalog.has(name))
    tables = [table for table in catalog.tables(columns, 8 * SAMPLED_TEXTS) if len(table)]
    each = -(-SAMPLED_TEXTS // max(1, len(tables)))
    rows = pa.concat_tables([table.slice(0, each) for table in tables]) if tables else pa.table({"title": []})
    rows = rows.filter(pc.is_valid(rows["title"]))
    nothing: list[Any] = [None] * len(rows)
    parts = [rows[name].to_pylist() if name in rows.column_names else nothing for name in ("description", "language")]
    return Texts(tuple(map(str, rows["title"].to_pylist())), tuple(parts[0]), tuple(parts[1]))


def _items(catalog: Column) -> tuple[int, int]:
    """Distinct items, and distinct markets in which some are sold."""
    columns = ("item_id", "markets") if catalog.has("markets") else ("item_id",)
    ids, markets = [], set()
    for table in catalog.tables(columns, EXACT_ROWS):
        ids.append(pc.unique(table["item_id"].combine_chunks()))
        if "markets" in columns:
            markets |= set(pc.unique(pc.list_flatten(table["markets"].combine_chunks())).to_pylist())
    found = len(pc.unique(pa.concat_arrays(ids))) if ids else 0
    share = min(1.0, EXACT_ROWS / max(1, catalog.n_rows))
    return round(found / share), len(markets - {None})


class Histories(NamedTuple):
    """How long histories are: a user's events, as far as they were read."""

    counts: NDArray[np.int64]
    active: int
    visits: int
    note: str = ""


def _histories(log: Column) -> Histories:
    """Events of each user who was read, users with events, pairs of a user and an item."""
    parts = [table.group_by("user_id").aggregate([([], "count_all")]) for table in log.tables(("user_id",), EXACT_ROWS)]
    if not sum(map(len, parts)):
        return Histories(np.zeros(0, dtype=np.int64), 0, 0)
    counts = pa.concat_tables(parts).group_by("user_id").aggregate([("count_all", "sum")])
    events = counts["count_all_sum"].to_numpy().astype(np.int64)
    read = int(events.sum())
    some = pc.unique(counts["user_id"].combine_chunks()[:: max(1, len(counts) // SAMPLED_HISTORIES)])
    distinct = _distinct_share(log, some)
    if read >= log.n_rows:
        return Histories(events, len(events), round(distinct * read))
    users = unseen(events) + len(events)
    note = (
        f"users and histories are estimated from {read:,} of {log.n_rows:,} interactions: at least {users:,} users "
        "(Chao 1984)"
    )
    scaled = np.maximum(1, np.round(events * (log.n_rows / read) * len(events) / users)).astype(np.int64)
    return Histories(scaled, users, round(distinct * log.n_rows), note)


def _distinct_share(log: Column, users: Any) -> float:
    """Distinct items over events in the histories of these users."""
    rows, met = 0, []
    for table in log.tables(("user_id", "item_id"), EXACT_ROWS):
        mine = table.filter(pc.is_in(table["user_id"], value_set=users))
        rows += len(mine)
        met.append(mine)
    return len(pa.concat_tables(met).group_by(["user_id", "item_id"]).aggregate([])) / max(1, rows)


def unseen(counts: NDArray[np.int64]) -> int:
    """Kinds that a sample missed, at least, by how many it holds once and twice.

    Source: Chao 1984, Nonparametric estimation of the number of classes in a population, bias-corrected form.
    """
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return round(once * (once - 1) / (2 * (twice + 1)))


def _sample(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Evenly spread over all lengths."""
    if len(counts) <= SAMPLED_HISTORIES:
        return np.sort(counts)
    return np.sort(counts)[np.linspace(0, len(counts) - 1, SAMPLED_HISTORIES).astype(np.int64)]
