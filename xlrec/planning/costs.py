"""The cost model: sizes, config and rates in; seconds, bytes and memory out. Plain arithmetic."""

from dataclasses import dataclass, replace
from typing import Final

from xlrec.config.models import Config
from xlrec.kernels.search.items import KEPT_BYTES
from xlrec.kernels.search.paths import PATHS
from xlrec.planning.rates import SPARK, Rates, SparkCosts
from xlrec.planning.sizes import Sizes, neighbours_of

#: Bytes of one raw score of each first pass.
SCORE_BYTES: Final = {"float32": 4, "bf16": 2, "int8": 4}
#: A Python worker with numpy, numba and pyarrow before its first row, and what torch adds where the search rounds.
WORKER_BYTES: Final = 150 << 20
TORCH_BYTES: Final = 490 << 20
#: A pair of items, counted once for all markets and once for one, and copied when blocks are joined.
_PAIR_BYTES: Final = 64
#: Shuffled over all stages, by the event log of a night of 285,000 events and 20,000 items (219 MB): of an event, of a
#: text, whose vector moves four times, of a neighbour.
_SHUFFLED_EVENT: Final = 150
_SHUFFLED_TEXT: Final = 400
_VECTOR_MOVES: Final = 4
_SHUFFLED_NEIGHBOUR: Final = 16
#: A list's row in the lake, compressed.
_ROW_BYTES: Final = 24


@dataclass(frozen=True)
class Machine:
    """What the night runs on."""

    cores: int
    per_machine: int
    """Cores of one machine."""


def searched_dim(config: Config, text_dim: int) -> int:
    """Numbers of a vector that the search multiplies: a model's, or the text's."""
    return config.train.factors.dim if config.train.factors.enabled else text_dim


@dataclass(frozen=True)
class Case:
    """One night: all that its cost hangs on."""

    config: Config
    sizes: Sizes
    rates: Rates
    machine: Machine
    text_dim: int
    """Numbers of a text's vector."""
    spark: SparkCosts = SPARK

    @property
    def dim(self) -> int:
        """Numbers of a vector that the search multiplies."""
        return searched_dim(self.config, self.text_dim)

    @property
    def learnt(self) -> int:
        """Events that the model is learnt from."""
        factors = self.config.train.factors
        return min(self.sizes.visits, factors.max_visits) if factors.enabled else 0

    @property
    def weighed(self) -> int:
        """Events that are learnt from once more, without some choices, to find the sources' weights."""
        return self.learnt if self.config.rank.weights is None else 0


@dataclass(frozen=True)
class Part:
    """A stage, or a part of one."""

    name: str
    serial: float
    """Seconds that no core shortens."""
    work: float
    """Core-seconds that tasks share."""
    of: str = ""
    """The stage that it is a part of."""

    def seconds(self, cores: int) -> float:
        """Wall seconds on that many cores."""
        return self.serial + self.work / cores


@dataclass(frozen=True)
class Estimate:
    """What a night takes."""

    parts: tuple[Part, ...]
    cores: int
    pairs: int
    """Users times items that are scored."""
    streamed: int
    """Bytes of item vectors that the search goes through."""
    read: int
    """Bytes of input."""
    disk: int
    """Bytes that the lake grows by."""
    worker: int
    """Bytes of a retrieving Python worker of its own."""
    shared: int
    """Bytes of the index that the workers of a machine map together."""
    driver: int
    """Bytes of the driver's Python while it trains; 0 where it does not."""
    shuffled: int
    """Bytes that shuffles write, all executors together."""
    per_machine: int
    """Cores of one machine."""

    @property
    def seconds(self) -> float:
        """Wall seconds of the whole night."""
        return self.on(self.cores)

    def on(self, cores: int) -> float:
        """Wall seconds of the whole night on that many cores."""
        return sum(part.seconds(cores) for part in self.parts)

    def stage(self, name: str) -> float:
        """Wall seconds of a stage with all its parts, or of a part."""
        return sum(part.seconds(self.cores) for part in self.parts if name in (part.of, part.name))

    def cores_for(self, seconds: float) -> int | None:
        """Fewest cores that make the night so short; None where its serial part alone is longer."""
        serial, work = sum(part.serial for part in self.parts), sum(part.work for part in self.parts)
        return -int(-work // (seconds - serial)) if seconds > serial else None

    def memory(self, heap: int) -> int:
        """Bytes that a machine needs: a worker that retrieves and ranks per core, the index, the JVM, the driver."""
        return self.executor_memory(heap) + self.driver

    def executor_memory(self, heap: int) -> int:
        """Bytes that a machine of a cluster needs, with one executor."""
        return self.per_machine * self.worker + self.shared + _jvm(heap)

    def driver_memory(self, heap: int) -> int:
        """Bytes that the driver of a cluster needs."""
        return self.driver + self.shared + _jvm(heap)

    @property
    def executor_disk(self) -> int:
        """Bytes on the local disk of a machine of a cluster: the index as fetched and Spark's copy, its shuffles."""
        return 2 * self.shared + self.shuffled * self.per_machine // max(self.cores, self.per_machine)

    @property
    def driver_disk(self) -> int:
        """Bytes in `spark.scratch` on the driver of a cluster: its copy of the index, and the one that it sends."""
        return 2 * self.shared


def _jvm(heap: int) -> int:
    """Memory of a JVM, as Spark reckons it beside its heap."""
    return heap + max(heap // 10, 384 << 20)


def estimate(case: Case) -> Estimate:
    """What a night takes; every size makes it longer or leaves it."""
    config, sizes, rates = case.config, case.sizes, case.rates
    crowding = rates.crowding if case.machine.per_machine > 1 else 1.0
    blocks = -(-case.sizes.active // config.retrieve.user_block)
    return Estimate(
        parts=tuple(replace(part, work=part.work * crowding) for part in stages(case)),
        cores=case.machine.cores,
        pairs=case.sizes.active * sizes.items,
        streamed=blocks * sizes.items * case.dim * (PATHS[rates.path].bytes_each or 4),
        read=sizes.input_bytes,
        disk=disk_bytes(case),
        worker=worker_bytes(case),
        shared=index_bytes(case),
        driver=driver_bytes(case) if case.learnt else 0,
        shuffled=shuffled_bytes(case),
        per_machine=case.machine.per_machine,
    )


def stages(case: Case) -> tuple[Part, ...]:
    """The stages in order, on one core alone; parts follow their stage."""
    config, sizes, rates, spark = case.config, case.sizes, case.rates, case.spark.on(case.rates.speed)
    users, rows, texts = sizes.users, sizes.users * config.k, sizes.texts
    checked = min(texts, 2000)  # as `pipeline.quality` checks
    detecting = sizes.unstated * rates.detect
    preparing = texts * (rates.clean + spark.prepare_text) + detecting
    preparing += sizes.events * spark.prepare_event + users * spark.prepare_user
    regressions = sizes.items * sizes.markets  # as if all were sold in all
    counting = sizes.pairs * spark.train_pair + regressions * spark.train_item
    joining = sizes.events * spark.recommend_event + rows * spark.recommend_row
    return (
        Part("prepare", spark.prepare_fixed, preparing),
        Part("embed", spark.embed_fixed + checked * rates.detect, texts * spark.embed_text),
        Part("encoder", 0.0, sizes.new_texts * rates.encode, "embed"),
        Part("train", spark.train_fixed, counting),
        Part("learnt model", case.learnt * rates.step, 0.0, "train"),
        Part("weights", case.weighed * rates.step, counting * bool(case.weighed), "train"),
        Part("recommend", spark.recommend_fixed, joining),
        Part("search", 0.0, case.sizes.active * (sizes.items * rates.pair(case.dim) + rates.search), "recommend"),
        Part("sources", 0.0, users * rates.retrieve, "recommend"),
        Part("rank", 0.0, users * rates.rank, "recommend"),
        Part("publish", spark.publish_fixed, rows * spark.publish_row),
        Part("start, report", spark.around_fixed, rows * spark.around_row),
    )


def worker_bytes(case: Case) -> int:
    """Of a retrieving Python worker of its own: rounded items, raw scores, what a block of users holds."""
    config, n_items, kind = case.config.retrieve, case.sizes.items, PATHS[case.rates.path]
    block = min(config.user_block, max(1, case.sizes.users))
    kept = min(KEPT_BYTES, n_items * case.dim * kind.bytes_each) + (12 * n_items if kind.bytes_each else 0)
    scores = block * min(config.item_block, n_items) * SCORE_BYTES[kind.name]
    buffers = block * kind.capacity(config.candidates) * 20
    queries = block * case.dim * (8 + 8 + 8 + 4 + kind.bytes_each)
    union = block * 3 * config.candidates * (4 + 4 * 8 + 2 * 8)
    logs = block * config.max_history * 2 * (8 + 4 + 8 + 8)
    python = WORKER_BYTES + (TORCH_BYTES if kind.bytes_each else 0)
    return python + kept + scores + buffers + queries + union + logs + 8 * n_items


def index_bytes(case: Case) -> int:
    """Of the index, files that the workers of a machine map together."""
    config, sizes = case.config, case.sizes
    learnt = 8 * case.dim + 8 if config.train.factors.enabled else 0
    market = 1 + 8 + 4 + 12 * neighbours_of(config, sizes) + 8
    return sizes.items * (4 * case.text_dim + learnt + (sizes.markets + 1) * market + 8 + 8 + 24)


def driver_bytes(case: Case) -> int:
    """Memory of the driver's Python while it trains: logs, preferences both ways, vectors, factors, counted pairs."""
    sizes, dim = case.sizes, case.config.train.factors.dim
    items = sizes.items * 4 * (case.text_dim * 4 + dim * 10)
    users = min(sizes.active, case.learnt) * 8 * 2 * dim  # each that is drawn has an event
    pairs = _PAIR_BYTES * sizes.pairs * case.weighed // max(1, sizes.visits)
    return WORKER_BYTES + TORCH_BYTES + 150 * case.learnt + items + users + pairs


def shuffled_bytes(case: Case) -> int:
    """What shuffles write in a night, all executors together."""
    sizes = case.sizes
    texts = sizes.texts * (_SHUFFLED_TEXT + _VECTOR_MOVES * 4 * case.text_dim)
    neighbours = sizes.items * neighbours_of(case.config, sizes) * (sizes.markets + 1)
    return texts + sizes.events * _SHUFFLED_EVENT + neighbours * _SHUFFLED_NEIGHBOUR


def disk_bytes(case: Case) -> int:
    """What a night adds to the lake: tables, vectors, index and lists."""
    sizes = case.sizes
    near = 12 * neighbours_of(case.config, sizes) * (sizes.markets + 1)
    tables = 2 * sizes.input_bytes + sizes.new_texts * 4 * case.text_dim
    tables += sizes.items * (near + 12 * (sizes.markets + 1))
    return tables + index_bytes(case) + sizes.users * case.config.k * _ROW_BYTES
