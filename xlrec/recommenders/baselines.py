"""The systems that an evaluation compares: xlrec, its single sources, and baselines through the same stages."""

from dataclasses import dataclass
from typing import Final, Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec.config.models import Config, CovisitationConfig, FusionWeights
from xlrec.tables import SOURCES

#: Weight of popularity in lists of another source: it orders what that source scores alike or not at all, no more.
TIE_BREAK: Final = 1e-9
_FAR: Final = 1e9  # days or items beyond any data
#: Newest items of a user that ItemKNN pairs and recommends from.
_MAX_HISTORY: Final = 500


@dataclass(frozen=True)
class System:
    """One system: its model, and the config of the stages that make its lists."""

    name: str
    """xlrec, similar, covisited, popular, text, itemknn or als."""
    config: Config
    """Of train, retrieve and rank; k is at least the largest cut-off."""
    model: Literal["own", "itemknn", "als"]
    """own: the run's index. itemknn: an index with the neighbours of its config and no vectors (dim 1), built and
    searched with `binary_events`. als: an index with the item vectors of `als.fit_als`, searched with its queries."""
    candidates: str
    """Systems with the same name here have the same candidates: retrieve once, rank each."""


def compared_systems(config: Config) -> dict[str, System]:
    """The systems of `evaluate` by name, xlrec first.

    Single sources and baselines are plain: no diversity, any language, no near-duplicates collapsed, no caps.
    """
    wide = _update(config, k=max(config.k, *config.evaluate.cutoffs))
    wide = _update(
        wide, retrieve=wide.retrieve.model_copy(update={"candidates": max(wide.k, wide.retrieve.candidates)})
    )
    compared = {"xlrec": System("xlrec", wide, "own", "own")}
    plain = "own-any" if config.rank.languages == "only" else "own"
    names = dict.fromkeys([*(SOURCES if config.evaluate.sources else ()), *config.evaluate.baselines])
    for name in names:
        if name == "text":
            compared[name] = System(name, _text(wide), "own", "text")
        elif name in SOURCES:
            compared[name] = System(name, _single(wide, name), "own", plain)
        elif name == "itemknn":
            compared[name] = System(name, _itemknn(wide), "itemknn", "itemknn")
        else:
            compared[name] = System(name, _single(wide, "similar"), "als", "als")
    return compared


def binary_events(events: DataFrame) -> DataFrame:
    """One event per user and item, at their newest: weight 1 where any had a positive one, else 0. Schema of events."""
    newest = F.max(F.struct("timestamp", "event", "value", "market")).alias("newest")
    positive = F.max((F.col("weight") > 0).cast("double")).alias("weight")
    rows = events.groupBy("user_id", "item_id", "item_num").agg(newest, positive)
    return rows.select("user_id", "item_id", "item_num", "newest.*", "weight").select(*events.columns)


def _single(config: Config, source: str) -> Config:
    """Lists by one source alone, ties by popularity."""
    weights = dict.fromkeys(SOURCES, 0.0) | {"popular": TIE_BREAK} | {source: 1.0}
    plain = {
        "weights": FusionWeights(**weights), "near_duplicate": 1.0, "diversity": 0.0, "languages": "any",
        "calibration": 0.0, "max_per_category": None, "n_because": 0,
    }  # fmt: skip
    return _update(config, rank=config.rank.model_copy(update=plain))


def _text(config: Config) -> Config:
    """Lists by nearness of the texts to the history; nothing is learnt."""
    frozen = config.train.factors.model_copy(update={"enabled": False})
    return _update(_single(config, "similar"), train=config.train.model_copy(update={"factors": frozen}))


def _itemknn(config: Config) -> Config:
    """Item-based k-nearest neighbours with binary cosine, without order or decay (Deshpande and Karypis 2004)."""
    cosine = CovisitationConfig(
        other_markets=1.0, regression=False, sequence=1.0, predictors=config.train.covisitation.predictors,
        window_items=_MAX_HISTORY, max_gap_days=_FAR, gap_half_life_days=_FAR, distance_decay=0.0, normalisation=0.5,
        max_history=_MAX_HISTORY,
    )  # fmt: skip
    flat = config.retrieve.model_copy(
        update={"half_life_days": _FAR, "half_life_items": _FAR, "max_history": _MAX_HISTORY}
    )
    train = config.train.model_copy(update={"covisitation": cosine})
    return _update(_single(config, "covisited"), retrieve=flat, train=train)


def _update(config: Config, **sections: object) -> Config:
    return config.model_copy(update=sections)
