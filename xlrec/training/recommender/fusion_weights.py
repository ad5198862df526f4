"""Weights of the sources in each market, found on held-out choices, and the list's NDCG beside that of each part.

Of some users of each market the newest choice is held out; all else is learnt from, as in a night. A market takes the
weights with the best NDCG@10 over all markets' users, or those best over its own users where they lead there by more
than two standard errors. Weights are judged with their neighbours on the grid: the best one of few users is best by
luck, the middle of a plateau is not. Where a part alone still leads the list by more than one standard error, more
weights are tried, and the market takes what suits its own users best. The half-life of the model's queries is found
first, in the same way.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xlrec.config.models import Config, FusionWeights
from xlrec.training.recommender.held_out import PARTS, HeldOutRanks, hold_out_newest
from xlrec.training.recommender.logs import Items, Logs

if TYPE_CHECKING:
    import pyarrow as pa

Weights = tuple[float, float, float]
"""Of similar, covisited and popular."""
_Mix = tuple[float, ...]  # weights of `PARTS`
_Gains = dict[_Mix, NDArray[np.float64]]  # (n_users,) gains of a market by weights
K: Final = 10
_POPULAR: Final = FusionWeights().popular
#: Grid of weights for every market.
_USUAL: Final[list[_Mix]] = [
    (1.0, covisited, _POPULAR, 0.0) for covisited in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
]
#: Half-lives of the model's query in later items; infinite: all items of a history count alike.
_HALF_LIVES: Final = (np.inf, 30.0, 10.0, 3.0)
#: Users of a market that choose the half-life, at most.
_HALF_LIFE_USERS: Final = 400
_ALONE: Final = [tuple(float(part == other) for part in PARTS) for other in PARTS]
#: More weights, tried where a part alone leads: each source alone, or much of popularity.
_OTHERS: Final = _ALONE[:3] + [
    (1.0, covisited, popular, 0.0) for covisited in (0.0, 1.0, 8.0) for popular in (10.0, 100.0)
]
#: Group of the choices that nobody had made before.
NEW: Final = "new items"


class Figure(NamedTuple):
    """NDCG@10 over some users, of the list and of each part alone."""

    group: str
    """A market, '' for all of them, or `NEW`."""
    n_users: int
    weights: Weights | None
    """None for a group over markets."""
    ndcg: tuple[float, ...]
    """Of the list, then of `PARTS`."""
    ahead: tuple[str, ...]
    """Parts that lead the list by more than a standard error of the difference."""


class FusionFit(NamedTuple):
    """Weights of all markets, with the figures behind them."""

    joint: Weights
    """Best over all users: for markets that are not named."""
    markets: dict[str, Weights]
    half_life_items: float | None
    """Of the model's queries, in all markets; None: all items of a history count alike."""
    figures: tuple[Figure, ...]
    """All markets, new items where there are any, then each market; none without users."""

    def told(self) -> dict[str, Any]:
        """JSON object that `ItemIndex.fusion` reads."""
        return {**self._asdict(), "figures": [figure._asdict() for figure in self.figures]}


def fit_fusion_weights(
    logs: Logs, items: Items, config: Config, *, markets: tuple[str, ...], item_ids: "pa.Array[Any]"
) -> FusionFit:
    """Weights of each market, and figures of the list beside its parts; the defaults where nobody can be held out.

    `markets` names the rows of `items.eligible`.
    """
    held = hold_out_newest(logs, items, config.train.fusion.users, config.seed)
    present = [int(market) for market in np.unique(held.known.markets[held.users])]
    if not present:
        start = FusionWeights()
        return FusionFit((start.similar, start.covisited, start.popular), {}, None, ())
    with threadpool_limits(1):  # as in `fit_factor_model`
        return _weigh(HeldOutRanks(held, config, markets, item_ids), present, markets)


def _weigh(ranks: HeldOutRanks, present: list[int], markets: tuple[str, ...]) -> FusionFit:
    half_life = _best_half_life(ranks, present)
    gains = {market: _gains(ranks, market, [*_USUAL, *_ALONE], half_life) for market in present}
    joint = _USUAL[int(np.argmax(sum(_plateaus(own) for own in gains.values())))]
    chosen = {}
    for market, own in gains.items():
        best = _USUAL[int(np.argmax(_plateaus(own)))]
        chosen[market] = best if _is_ahead(own[best] - own[joint], 2) else joint
        if _parts_ahead(_list_and_parts(own, chosen[market])):
            own |= _gains(ranks, market, _OTHERS, half_life)
            sums = [*_plateaus(own), *(own[mix].sum() for mix in _OTHERS)]
            chosen[market] = [*_USUAL, *_OTHERS][int(np.argmax(sums))]
    values = {market: _list_and_parts(own, chosen[market]) for market, own in gains.items()}
    everyone = np.concatenate(list(values.values()), axis=1)
    held = ranks.held
    new = held.new[np.argsort(held.known.markets[held.users], kind="stable")]
    figures = [_figure("", None, everyone), *([_figure(NEW, None, everyone[:, new])] if new.any() else [])]
    figures += [_figure(markets[market], chosen[market], values[market]) for market in gains]
    by_name = {markets[market]: _sources(mix) for market, mix in chosen.items()}
    return FusionFit(_sources(joint), by_name, None if half_life == np.inf else half_life, tuple(figures))


def _best_half_life(ranks: HeldOutRanks, markets: list[int]) -> float:
    model = _ALONE[0]
    gains = {
        half_life: np.concatenate(
            [_gains(ranks, market, [model], half_life, _HALF_LIFE_USERS)[model] for market in markets]
        )
        for half_life in _HALF_LIVES
    }
    best = max(gains, key=lambda half_life: float(gains[half_life].sum()))
    return best if _is_ahead(gains[best] - gains[np.inf], 2) else np.inf


def _gains(
    ranks: HeldOutRanks, market: int, mixes: Sequence[_Mix], half_life_items: float, most: int | None = None
) -> _Gains:  # fmt: skip
    """1 / log2(rank + 1) of each held-out choice, which is NDCG where there is one; 0 beyond ten."""
    before = ranks.market_ranks(market, np.array(mixes), half_life_items, most)
    return dict(zip(mixes, np.where(before < K, 1 / np.log2(before + 2.0), 0.0), strict=True))


def _plateaus(gains: _Gains) -> NDArray[np.float64]:
    """(len(_USUAL),) smoothed sums of the users' gains by each of the usual weights."""
    return smoothed(np.array([gains[mix].sum() for mix in _USUAL]))


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) float64 means of each of (n,) float64 values and the one or two beside it."""
    ones = np.ones(3)
    return np.asarray(np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same"))


def _is_ahead(differences: NDArray[np.float64], errors: int = 1) -> bool:
    """Whether a mean is above 0 by more than so many standard errors, which takes two users."""
    n_users = len(differences)
    return n_users > 1 and bool(differences.mean() > errors * differences.std(ddof=1) / n_users**0.5)


def _list_and_parts(gains: _Gains, mix: _Mix) -> NDArray[np.float64]:
    """(1 + parts, n_users) gains of the list and of each part alone."""
    return np.stack([gains[mix], *(gains[alone] for alone in _ALONE)])


def _parts_ahead(values: NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(part for part, alone in zip(PARTS, values[1:], strict=True) if _is_ahead(alone - values[0]))


def _figure(group: str, mix: _Mix | None, values: NDArray[np.float64]) -> Figure:
    means = tuple(map(float, values.mean(axis=1)))
    return Figure(group, values.shape[1], None if mix is None else _sources(mix), means, _parts_ahead(values))


def _sources(mix: _Mix) -> Weights:
    return mix[0], mix[1], mix[2]
