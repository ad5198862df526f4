"""Forecast of a night: sizes, config, cluster and rates in; seconds, bytes and cheaper settings out."""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from xlrec.config.models import Config, FusionWeights
from xlrec.encoders.presets import load_presets
from xlrec.planning.rates import STAGE_RATES, measure_search_rate
from xlrec.planning.run_history import PastRun, newest_run
from xlrec.planning.sizes import Sizes, read_sizes
from xlrec.planning.translation import TranslationCost, forecast_translation
from xlrec.runtime import machine

_PYTHON_BYTES: Final = 640 << 20  # bytes of a Python process with numpy, numba, pyarrow and torch
#: Million parameters that a token passes, and numbers of a vector: the shipped encoder's, and an unknown one's.
_SHIPPED, _UNKNOWN = (0.04, 256), (100.0, 768)
_ANN_SHARE: Final = 0.1  # share of the items that an approximate search is taken to look at


@dataclass(frozen=True)
class Cluster:
    """Machines of a night, one executor each; a single one also runs the driver."""

    executors: int
    cores: int  # cores of each executor
    memory: int  # bytes of each executor's machine; 0: unknown


@dataclass(frozen=True)
class Night:
    """One night: all that its cost depends on."""

    config: Config
    sizes: Sizes
    cluster: Cluster
    search_rate: float  # core-seconds for one multiplied number of the search
    last: PastRun | None = None
    """The newest published run; its seconds, scaled to this night's sizes, replace those of the table."""

    @property
    def encoder(self) -> tuple[float, int]:
        """Million parameters that each token passes, and numbers of a text's vector."""
        known = {preset.name: (preset.active_m, preset.dim) for preset in load_presets()} | {"default": _SHIPPED}
        active_m, dim = known.get(self.config.embed.encoder, _UNKNOWN)
        return active_m, self.config.embed.dim or dim

    @property
    def search_dim(self) -> int:
        """Numbers of a vector that the search multiplies: a model's, or the text's."""
        factors = self.config.train.factors
        return factors.dim if factors.enabled else self.encoder[1]

    @property
    def learnt_events(self) -> int:
        """Events that the factors are learnt from."""
        factors = self.config.train.factors
        return min(self.sizes.events, factors.max_visits) if factors.enabled else 0

    @property
    def search_seconds(self) -> float:
        """Core-seconds of the search, which are part of the stage recommend."""
        share = _ANN_SHARE if self.config.retrieve.search == "ann" else 1.0
        return self.sizes.active * self.sizes.items * share * self.search_dim * self.search_rate

    @property
    def translation(self) -> TranslationCost | None:
        """Cost of the texts that a chat model writes; None where none does."""
        if not self.sizes.text_bytes:
            return None
        cores = self.cluster.executors * self.cluster.cores
        return forecast_translation(self.config, self.sizes.untranslated, self.sizes.text_bytes, cores)

    def stage_seconds(self) -> dict[str, float]:
        """Wall seconds by stage: by the table of rates, times measured over modelled seconds of the last run."""
        config, sizes, cores = self.config, self.sizes, self.cluster.executors * self.cluster.cores
        passes = 1 if config.rank.weights else 2  # weights are found by learning once more without some choices
        units = {
            "texts": sizes.texts,
            "encoder_texts": sizes.new_texts * self.encoder[0],
            "events": sizes.events,
            "learnt": self.learnt_events * passes * cores,  # no core shortens it
            "regressions": sizes.items * sizes.markets * passes * config.train.covisitation.regression,
            "candidates": sizes.users * config.retrieve.candidates,
            "rows": sizes.users * config.k,
            "search": self.search_seconds,
        }
        seconds = {
            stage: fixed + sum(rate * units[name] for name, rate in rates.items()) / cores
            for stage, (fixed, rates) in STAGE_RATES.items()
        }
        if self.translation:
            seconds["translate"] = self.translation.seconds
        if self.last is None:
            return seconds
        past_sizes = replace(sizes.scale(self.last.sizes.get("users"), None), **self.last.sizes)
        past_config = config.model_copy(update={"k": self.last.k})
        past = Night(past_config, past_sizes, cluster_of(config), self.search_rate).stage_seconds()
        return {name: value * self.last.seconds.get(name, past[name]) / past[name] for name, value in seconds.items()}


@dataclass(frozen=True)
class Forecast:
    """Cost of one night; bytes are the most that they can be."""

    seconds: dict[str, float]  # wall seconds by stage
    translation: TranslationCost | None
    executor_memory: int
    """Bytes for a Python worker per core, the index and the JVM; of a single executor also for the driver's Python."""
    executor_disk: int  # bytes for two copies of the index and the executor's share of the shuffles
    driver_memory: int
    driver_disk: int
    index_bytes: int
    shuffle_bytes: int  # bytes that all executors write together
    lake_bytes: int  # bytes that the lake grows by


def plan_night(config: Config, *, users: int | None = None, items: int | None = None, **cluster: int | None) -> Night:
    """The night of a config; nothing of it runs, but for a second of searching.

    `users` and `items` stand instead of the inputs' numbers, with histories as long and as many texts each, fields of
    `Cluster` instead of those that the `spark` section names.

    Raises:
        InputError: An input is missing, remote or lacks a column.
        EncoderError: The encoder is not pinned.
    """
    sizes = read_sizes(config).scale(users, items)
    given: dict[str, Any] = {name: value for name, value in cluster.items() if value is not None}
    night = Night(config, sizes, replace(cluster_of(config), **given), 0.0, newest_run(config))
    return replace(night, search_rate=measure_search_rate(sizes.items, night.search_dim))


def forecast_cost(night: Night) -> Forecast:
    """Seconds, memory, disk and shuffles of a night."""
    config, sizes, cluster, retrieve = night.config, night.sizes, night.cluster, night.config.retrieve
    dim, text_dim, n_markets = night.search_dim, night.encoder[1], sizes.markets + 1  # and the unknown market
    history = sizes.events / max(1, sizes.active)
    bounds = config.train.covisitation.predictors, config.train.covisitation.neighbours
    near = min(*bounds, -(-int(sizes.events * history) // max(1, sizes.items)))  # neighbours of an item in a market
    per_user = 4 * retrieve.item_block + 200 * retrieve.candidates + 56 * retrieve.max_history + 32 * dim
    worker = _PYTHON_BYTES + retrieve.user_block * per_user + min(256 << 20, 2 * sizes.items * dim) + 20 * sizes.items
    factors = 8 * dim if night.learnt_events else 0
    index = sizes.items * (4 * text_dim + factors + n_markets * (21 + 12 * near) + 40)
    driver = _PYTHON_BYTES + int(night.learnt_events * (150 + 80 * history))
    driver += 4 * sizes.items * (4 * text_dim + 10 * dim) + 16 * dim * min(sizes.active, night.learnt_events)
    shuffles = sizes.texts * (400 + 16 * text_dim) + 150 * sizes.events + 16 * sizes.items * near * n_markets
    tables = 2 * sizes.input_bytes + 4 * text_dim * sizes.new_texts + 12 * sizes.items * n_markets * (near + 1)
    heaps = config.spark.conf.get("spark.executor.memory", config.spark.driver_memory), config.spark.driver_memory
    executor_jvm, driver_jvm = (memory_bytes(heap) + max(memory_bytes(heap) // 10, 384 << 20) for heap in heaps)
    return Forecast(
        seconds=night.stage_seconds(),
        translation=night.translation,
        executor_memory=cluster.cores * worker + index + executor_jvm + driver * (cluster.executors == 1),
        executor_disk=2 * index + shuffles // cluster.executors,
        driver_memory=driver + index + driver_jvm,
        driver_disk=2 * index,
        index_bytes=index,
        shuffle_bytes=shuffles,
        lake_bytes=tables + index + 24 * sizes.users * config.k,
    )


def what_if(night: Night) -> dict[str, float]:
    """Seconds of the night with one change, for at most five changes that save a twentieth, the shortest first."""
    config, cluster, sizes = night.config, night.cluster, night.sizes
    settings: dict[str, Any] = {
        "k": max(1, config.k // 2),
        "retrieve.candidates": max(config.k, config.retrieve.candidates // 2),
        "retrieve.search": "ann",
        "train.factors.dim": max(2, config.train.factors.dim // 2),
        "train.covisitation.regression": False,
    }
    nights = {f"{key}: {value}": replace(night, config=_changed(config, key, value)) for key, value in settings.items()}
    nights["rank.weights stated"] = replace(night, config=_changed(config, "rank.weights", FusionWeights()))
    nights["twice the cores"] = replace(night, cluster=replace(cluster, cores=2 * cluster.cores))
    nights["only users with events"] = replace(night, sizes=replace(sizes, users=sizes.active))
    most = 0.95 * sum(night.stage_seconds().values())
    totals = {change: sum(changed.stage_seconds().values()) for change, changed in nights.items()}
    return dict(sorted(((name, total) for name, total in totals.items() if total <= most), key=lambda row: row[1])[:5])


def cluster_of(config: Config) -> Cluster:
    """The machines that the config's `spark` section names; cores are this machine's where it names none."""
    here, conf = machine.cores(), config.spark.conf
    if local := re.fullmatch(r"local(?:\[(\*|\d+).*\])?", config.spark.master):
        return Cluster(1, here if local[1] == "*" else int(local[1] or 1), machine.memory_bytes())
    executors, cores = conf.get("spark.executor.instances", "1"), conf.get("spark.executor.cores", str(here))
    return Cluster(int(executors), int(cores), 0)


def memory_bytes(text: str) -> int:
    """Bytes of a memory size as Spark writes it, such as 512m or 4g; 0 where it is none."""
    size = re.fullmatch(r"(\d+)([kmgt]?)b?", text.strip().lower())
    return int(size[1]) << (10 * " kmgt".index(size[2] or " ")) if size else 0


def _changed(section: Any, key: str, value: object) -> Any:
    name, _, rest = key.partition(".")
    return section.model_copy(update={name: _changed(getattr(section, name), rest, value) if rest else value})
