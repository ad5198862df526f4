"""Weights of the sources in each market, found on held-out choices, and the list held against each of its parts.

Of some users of each market the newest choice is held out; all else teaches, as in a night. A market takes the weights
whose NDCG@10 is best over all markets' users, or those that are best over its own where these are ahead there by more
than two standard errors of the difference. Weights are judged with those beside them: the best one of few users is best
by luck, the middle of a plateau is not. Where a part alone is still ahead of the list by more than one, more weights
are tried, and it takes what suits its own users best. Before, how fast a history fades in the model's queries is found
in the same way.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xlrec.config.models import Config, FusionWeights
from xlrec.training.recommender.held_out import PARTS, Placing, hold_out
from xlrec.training.recommender.logs import Items, Logs

if TYPE_CHECKING:
    import pyarrow as pa

Weights = tuple[float, float, float]
"""Of similar, covisited and popular."""
_Mix = tuple[float, ...]  # weights of `PARTS`
_Gains = dict[_Mix, NDArray[np.float64]]  # of each user of a market, by weights
K: Final = 10
_POPULAR: Final = FusionWeights().popular
#: What a market may take.
_USUAL: Final = [(1.0, covisited, _POPULAR, 0.0) for covisited in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)]
#: Later items after which one of a history counts half in the model's query; infinite: all alike.
_HALF_LIVES: Final = (np.inf, 30.0, 10.0, 3.0)
#: Users of a market that are asked for it, at most.
_FEW: Final = 400
_ALONE: Final = [tuple(float(part == one) for part in PARTS) for one in PARTS]
#: What it may take besides, where a part alone is ahead: each source alone, or much of popularity.
_OTHERS: Final = _ALONE[:3] + [
    (1.0, covisited, popular, 0.0) for covisited in (0.0, 1.0, 8.0) for popular in (10.0, 100.0)
]
#: Group of the choices that nobody had made before.
NEW: Final = "new items"


class Figure(NamedTuple):
    """NDCG@10 over some users of the list and of each part alone."""

    group: str
    """A market, '' for all of them, or `NEW`."""
    n_users: int
    weights: Weights | None
    """None for a group over markets."""
    ndcg: tuple[float, ...]
    """Of the list, then of `PARTS`."""
    ahead: tuple[str, ...]
    """Parts that are ahead of the list by more than a standard error of the difference."""


class Weighing(NamedTuple):
    """What was found."""

    joint: Weights
    """What suits all users together: for markets that are not named."""
    markets: dict[str, Weights]
    half_life_items: float | None
    """Of the model's queries, in all markets; None: all items of a history count alike."""
    figures: tuple[Figure, ...]
    """All markets, new items where there are any, then each market; none without users."""

    def told(self) -> dict[str, Any]:
        """What `ItemIndex.fusion` reads."""
        return {**self._asdict(), "figures": [one._asdict() for one in self.figures]}


def weigh(logs: Logs, items: Items, config: Config, *, markets: tuple[str, ...], item_ids: "pa.Array[Any]") -> Weighing:
    """The weights of each market, and how the list stands beside its parts; the defaults where nobody can be asked.

    Args:
        logs: What the night learns from.
        items: All items.
        config: `train`, `retrieve` and `seed` are used.
        markets: Names, row-aligned with `items.eligible`.
        item_ids: Of the items.
    """
    with threadpool_limits(1):  # as in `learn`
        return _weigh(logs, items, config, markets, item_ids)


def _weigh(
    logs: Logs, items: Items, config: Config, markets: tuple[str, ...], item_ids: "pa.Array[Any]"
) -> Weighing:  # fmt: skip
    held = hold_out(logs, items, config.train.fusion.users, config.seed)
    there = np.unique(held.known.markets[held.users])
    if not len(there):
        start = FusionWeights()
        return Weighing((start.similar, start.covisited, start.popular), {}, None, ())
    placing = Placing(held, config, markets, item_ids)
    half_life = _half_life({one: np.concatenate([_model(placing, int(m), one) for m in there]) for one in _HALF_LIVES})
    gains = {int(market): _gains(placing, market, [*_USUAL, *_ALONE], half_life) for market in there}
    joint = _USUAL[int(np.argmax(sum(_plateaus(each) for each in gains.values())))]
    chosen = {}
    for market, each in gains.items():
        chosen[market] = _better(each, joint)
        if _ahead(_values(each, chosen[market])):
            each |= _gains(placing, market, _OTHERS, half_life)
            sums = [*_plateaus(each), *(each[mix].sum() for mix in _OTHERS)]
            chosen[market] = [*_USUAL, *_OTHERS][int(np.argmax(sums))]
    figures = [
        _figure(markets[market], chosen[market], _values(each, chosen[market])) for market, each in gains.items()
    ]
    whole = np.concatenate([_values(each, chosen[market]) for market, each in gains.items()], axis=1)
    new = held.new[np.argsort(held.known.markets[held.users], kind="stable")]
    over = [_figure("", None, whole), *([_figure(NEW, None, whole[:, new])] if new.any() else [])]
    named = {markets[market]: _sources(mix) for market, mix in chosen.items()}
    return Weighing(_sources(joint), named, None if half_life == np.inf else half_life, (*over, *figures))


def _half_life(gains: dict[float, NDArray[np.float64]]) -> float:
    best = max(gains, key=lambda one: float(gains[one].sum()))
    return best if _sure(gains[best] - gains[np.inf], 2) else np.inf


def _model(placing: Placing, market: int, half_life_items: float) -> NDArray[np.float64]:
    """(n,) gains by the model alone."""
    return _gains(placing, market, _ALONE[:1], half_life_items, _FEW)[_ALONE[0]]


def _gains(
    placing: Placing, market: int, mixes: Sequence[_Mix], half_life_items: float, most: int | None = None
) -> _Gains:  # fmt: skip
    """1 / log2(rank + 1) of each held-out choice, which is NDCG where there is one; 0 beyond ten."""
    places = placing.of(market, np.array(mixes), half_life_items, most)
    return dict(zip(mixes, np.where(places < K, 1 / np.log2(places + 2.0), 0.0), strict=True))


def _better(own: _Gains, joint: _Mix) -> _Mix:
    best = _USUAL[int(np.argmax(_plateaus(own)))]
    return best if _sure(own[best] - own[joint], 2) else joint


def _plateaus(own: _Gains) -> NDArray[np.float64]:
    """(len(_USUAL),) smoothed sums of the users' gains by each of the usual weights."""
    return smoothed(np.array([own[mix].sum() for mix in _USUAL]))


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) means of each value and the one or two beside it."""
    ones = np.ones(3)
    return np.asarray(np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same"))


def _sure(over: NDArray[np.float64], errors: int = 1) -> bool:
    """Whether a mean is above 0 by more than so many standard errors, which takes two users."""
    return len(over) > 1 and bool(over.mean() > errors * over.std(ddof=1) / len(over) ** 0.5)


def _values(own: _Gains, mix: _Mix) -> NDArray[np.float64]:
    """(1 + parts, n) gains of the list and of each part alone."""
    return np.stack([own[mix], *(own[alone] for alone in _ALONE)])


def _ahead(values: NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(part for part, alone in zip(PARTS, values[1:], strict=True) if _sure(alone - values[0]))


def _figure(group: str, mix: _Mix | None, values: NDArray[np.float64]) -> Figure:
    means = tuple(map(float, values.mean(axis=1)))
    return Figure(group, values.shape[1], None if mix is None else _sources(mix), means, _ahead(values))


def _sources(mix: _Mix) -> Weights:
    return mix[0], mix[1], mix[2]
