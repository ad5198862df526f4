"""Seconds that pieces of the night's work take: measured here in a few seconds, and Spark's own, measured once."""

from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True)
class Rates:
    """Seconds of one core of this machine, alone, as `calibration.measure` finds them."""

    clean: float
    """To clean and hash a text."""
    detect: float
    """To detect the language of a text that states none."""
    encode: float
    """To embed a text."""
    scan: float
    """To look at an item's score for a user."""
    number: float
    """To multiply one number of an item's vector with one of a user's, for that score."""
    search: float
    """Of a search for a user, whatever the catalogue."""
    retrieve: float
    """Of the rest of a user's retrieval: history, query, co-visitation, popularity."""
    rank: float
    """To rank a user's candidates and to make the rows."""
    step: float
    """To learn from an event, with its share of users and items; 0 where nothing is learnt."""
    speed: float
    """This core's time for a fixed piece of work over that of the machine on which `SPARK` was measured."""
    crowding: float
    """Time of a piece of work while all cores work over that of one core alone; at least 1."""
    path: str
    """First pass of the search."""

    def pair(self, dim: int) -> float:
        """To score an item for a user, with vectors of `dim` numbers."""
        return self.scan + dim * self.number


@dataclass(frozen=True)
class SparkCosts:
    """What Spark itself costs: reference seconds that no core shortens (`*_fixed`), and core-seconds a row."""

    prepare_fixed: float
    prepare_text: float
    prepare_event: float
    prepare_user: float
    embed_fixed: float
    embed_text: float
    train_fixed: float
    train_pair: float
    train_item: float
    recommend_fixed: float
    recommend_event: float
    recommend_row: float
    publish_fixed: float
    publish_row: float
    around_fixed: float
    around_row: float

    def on(self, speed: float) -> "SparkCosts":
        """The same on a machine whose core takes `speed` times as long."""
        return SparkCosts(**{name: speed * value for name, value in asdict(self).items()})


#: On the machine that the README names. `*_fixed`: of the demo's night (2,000 users), which is little else. Costs of
#: events and pairs: CPU time of two nights (20,000 and 60,000 users, 20,000 items, `tests/bench/night_cost.py`) on a
#: busy machine. Both had the same texts and items: `prepare_text`, `embed_text` and `around_row` are no more than
#: guesses of what is left over. `train_item`: CPU time of a regression on 100 predictors, on a busy machine;
#: `train_pair`: a guess. `recommend_row`: CPU time of the JVM while a night of 98,121 users
#: recommended, less that of the events; `publish_row`: wall time of its `publish`; both idle.
SPARK: Final = SparkCosts(
    prepare_fixed=23.0, prepare_text=1e-4, prepare_event=1.5e-5, prepare_user=0.0,
    embed_fixed=9.0, embed_text=2e-4,
    train_fixed=14.0, train_pair=5e-7, train_item=4e-4,
    recommend_fixed=3.5, recommend_event=9e-6, recommend_row=5.2e-6,
    publish_fixed=3.9, publish_row=1.6e-6,
    around_fixed=15.0, around_row=4e-6,
)  # fmt: skip
