"""Rates of this machine, by running pieces of a night on small blocks: about ten seconds in all."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.index.items import ItemIndex
from xlrec.index.learnt import write_learnt
from xlrec.kernels.search.topk import Items as Searched
from xlrec.kernels.search.topk import prepare, top_k
from xlrec.kernels.text.detection import detect
from xlrec.kernels.text.text import canonical_language, clean, embedded_text, text_hash
from xlrec.planning import clocks
from xlrec.planning.clocks import crowded, fixed_work, one_thread, timed
from xlrec.planning.costs import searched_dim
from xlrec.planning.levers import changed, overrides
from xlrec.planning.rates import Rates
from xlrec.planning.sizes import Sizes, Texts
from xlrec.planning.trial import Trial
from xlrec.recommenders.factors import FactorModel
from xlrec.runtime import machine
from xlrec.stages.rank.lists import Ranker
from xlrec.stages.rank.rows import recommendations_of
from xlrec.stages.retrieve import Retriever

_USERS, _ITEMS, _RANKED, _TIMES = 1024, 16_384, 256, 4
_ENCODING, _TEACHING = 1.5, 2.0  # seconds
_SMALL: Final = 1 << 21  # as `kernels.items`: numbers from which a rounded first pass is tried


class Calibration(NamedTuple):
    """Rates, and the encoder's dimension."""

    rates: Rates
    others: dict[str, Rates]
    """By override of the config."""
    text_dim: int
    seconds: float
    """That it took."""


def measure(config: Config, sizes: Sizes, texts: Texts, cores: int | None = None) -> Calibration:
    """Runs the pieces on one thread, the encoder included.

    Args:
        config: Encoder, recommender, retrieval and ranking are tried as it says.
        sizes: Histories, markets and neighbours are like these.
        texts: Of the catalogue.
        cores: Of this machine that work at once in the night; None: all.

    Raises:
        EncoderError: The config's encoder cannot be had.
    """
    began = perf_counter()
    encoder = encoders.load(config.embed, n_threads=1)
    cleaning, detecting, cleaned = _texts(texts)
    some = [text for text in cleaned if text][: max(64, _ITEMS)]
    encoding, vectors = _encoded(encoder, some, perf_counter if config.embed.device == "cuda" else process_time)
    rng = np.random.default_rng(0)
    n_items = min(sizes.items, max(_ITEMS, -(-_SMALL // searched_dim(config, encoder.dim))))
    whole = _grown(vectors, max(64, n_items), rng)
    with tempfile.TemporaryDirectory() as folder, one_thread():
        trial = Trial(Path(folder) / "index", whole, sizes, config, _USERS)
        step = _taught(trial, config) if config.train.factors.enabled else 0.0
        found = _served(trial, config)
        others = _others(trial, config, found)
    speed, crowding = fixed_work() / clocks.REFERENCE_SECONDS, crowded(min(cores or machine.cores(), machine.cores()))
    rates = Rates(
        clean=cleaning, detect=detecting, encode=encoding, **found._asdict(), step=step, speed=speed,
        crowding=crowding,
    )  # fmt: skip
    measured = {override: replace(rates, **other._asdict()) for override, other in others.items()}
    return Calibration(rates, measured, encoder.dim, perf_counter() - began)


def _texts(texts: Texts) -> tuple[float, float, list[str]]:
    """Seconds to clean a text, to detect the language of one that states none, and cleaned texts."""
    rows = list(zip(texts.titles, texts.descriptions, strict=True))
    if not rows:
        return 0.0, 0.0, []

    def cleaned(some: list[tuple[str, str | None]]) -> list[str]:
        found = [embedded_text(clean(title, 500), clean(about, 5000)) for title, about in some]
        for text in found:
            text_hash(text)
        return found

    first = rows[:2000]
    cleaning = timed(lambda: cleaned(first), 0.4, 1) / len(first)
    languages = tuple(sorted({tag for one in texts.languages if (tag := canonical_language(one))}))
    plain = cleaned(rows)
    unstated = [text for text, tag in zip(plain, texts.languages, strict=True) if tag is None] or plain
    some = unstated[:300]
    return cleaning, timed(lambda: [detect(text, languages) for text in some], 0.4, 1) / len(some), plain


def _encoded(
    encoder: encoders.Encoder, texts: list[str], clock: Callable[[], float]
) -> tuple[float, NDArray[np.float32]]:
    """Seconds to embed a text, and vectors of as many as `_ENCODING` seconds allow."""
    if not texts:
        return 0.0, np.eye(64, encoder.dim, dtype=np.float32)
    encoder.encode(texts[:8])
    found, spent, size, at = [], 0.0, 64, 0
    while spent < _ENCODING * clocks.PATIENCE and at < len(texts):
        began = clock()
        found.append(encoder.encode(texts[at : at + size]))
        spent, at, size = spent + clock() - began, at + size, 4 * size
    vectors = np.concatenate(found)
    return spent / len(vectors), vectors


def _grown(vectors: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, dim) of these unit vectors, with others near them where they are too few."""
    if len(vectors) >= n:
        return vectors[:n]
    found = vectors[rng.integers(0, len(vectors), n)]
    found = found + rng.normal(scale=0.3 * found.shape[1] ** -0.5, size=found.shape).astype(np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _taught(trial: Trial, config: Config) -> float:
    """Seconds to learn from an event; lays the model."""
    from xlrec.training.recommender import learn

    index, logs, items = trial.index, trial.logs(trial.n_visits), trial.items()

    def learnt() -> FactorModel:
        return learn(
            logs, items, config.train.factors, markets=index.markets, item_ids=index.item_ids, facts={}, seed=0
        )

    seconds = timed(learnt, _TEACHING, 1)
    write_learnt(str(index.folder), {None: learnt()}, np.full(trial.n_items, np.nan))
    return seconds / max(1, len(logs.event_nums))


class _Served(NamedTuple):
    scan: float
    number: float
    search: float
    retrieve: float
    rank: float
    path: str


def _served(trial: Trial, config: Config) -> _Served:
    """Retrieval and ranking of the users; the search alone, of more items and with half of the numbers."""
    index = ItemIndex.open(str(trial.index.folder))  # again: a model may lie in it now
    retriever, ranker, users = Retriever(index, config), Ranker(index, config), trial.users()
    side = retriever.search.spaces[0]
    vectors = np.concatenate([np.asarray(rows) for _, rows in side.shards])
    n, dim = vectors.shape
    half, more = max(1, dim // 2), _spread(vectors)
    whole = _searching(trial, side.items, vectors, config)
    many, short = (
        _searching(trial, _prepared(some, side.items, config), some, config)
        for some in (more, np.ascontiguousarray(more[:, :half]))
    )
    # Of many items: among few, most of a search is what a list of its length costs whatever the catalogue.
    pair = max(many - whole, 0.05 * many) / max(1, len(more) - n)
    number = min(max(many - short, 0.0) / len(more), pair) / max(1, dim - half)
    asked = float((trial.lengths > 0).mean())
    rows = timed(lambda: retriever.rows(users), 0.6, 2) / trial.n_users
    return _Served(
        scan=max(0.0, pair - dim * number),
        number=number,
        search=max(0.0, many - len(more) * pair),
        retrieve=max(0.0, rows - asked * whole),
        rank=_ranking(retriever, ranker, users),
        path=side.items.path.name,
    )


def _ranking(retriever: Retriever, ranker: Ranker, users: pa.Table) -> float:
    """Seconds to rank a user."""
    (batch,) = retriever.rows(users.slice(0, _RANKED)).combine_chunks().to_batches()
    return timed(lambda: recommendations_of(batch, ranker, "trial", date(2026, 1, 1)), 0.5, 1) / batch.num_rows


def _spread(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Several times as many vectors: each with others beside it, a tenth of its length away."""
    rng = np.random.default_rng(0)
    away = 0.1 * np.linalg.norm(vectors, axis=1, keepdims=True) / vectors.shape[1] ** 0.5
    beside = (vectors + away * rng.standard_normal(vectors.shape, dtype=np.float32) for _ in range(_TIMES - 1))
    return np.concatenate([vectors, *beside])


def _prepared(vectors: NDArray[np.float32], like: Searched, config: Config) -> Searched:
    return prepare([(0, vectors)], path=like.path.name, item_block=config.retrieve.item_block)


def _searching(trial: Trial, items: Searched, vectors: NDArray[np.float32], config: Config) -> float:
    """Seconds of a user's search."""
    n = config.retrieve.user_block if config.retrieve.user_block < _USERS else _USERS
    queries, n_seen = trial.queries(vectors, n), int(min(trial.lengths.mean(), items.n_items / 2))
    mask, k = trial.mask(n, items.n_items, n_seen), config.retrieve.candidates
    return timed(lambda: top_k(queries, items, k, mask, zero_vectors=False, user_block=n), 0.5, 2) / n


def _others(trial: Trial, config: Config, found: _Served) -> dict[str, _Served]:
    """Of configs that retrieve or rank otherwise, by override; the search's own time is taken to stay."""
    index, users, made = ItemIndex.open(str(trial.index.folder)), trial.users(), {}
    for override, tree in overrides(config).items():
        other = changed(config, tree)
        retriever, ranker = Retriever(index, other), Ranker(index, other)
        made[override] = found._replace(rank=_ranking(retriever, ranker, users))
    return made
