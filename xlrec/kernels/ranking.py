"""What a learnt ranker sees of one user's shortlist, the same in training and in serving; and whose word each is."""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Features in the order of the columns, and the source that each speaks for; "" for none.
SOURCE_OF: Final = {
    "similar": "similar", "own": "similar", "prior": "popular", "covisited": "covisited", "popular": "popular",
    "similar_place": "similar", "covisited_place": "covisited", "popular_place": "popular", "log_popular": "popular",
    "text_profile": "similar", "text_newest": "similar", "n_history": "",
    "fresh": "", "language": "", "taught": "",
}  # fmt: skip
NAMES: Final = tuple(SOURCE_OF)
#: Columns of `features` that are told from outside: freshness, weight of the item's language, whether it was taught.
N_TOLD: Final = 3
_N_OWN: Final = len(NAMES) - N_TOLD
_TINY: Final = 1e-9


def features(
    scores: NDArray[np.float64],
    own: NDArray[np.float64],
    prior: NDArray[np.float64],
    shortlist: NDArray[np.int64],
    texts: NDArray[np.float32],
    history: NDArray[np.float32],
    weights: NDArray[np.float64],
    told: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(m, len(NAMES)) float64; a row hangs on this user's candidates alone, and all sums run in a fixed order.

    similar, covisited, popular: the score over the user's best; own, prior: the part of `similar` that the history
    makes, and the rest, minus the user's best; …_place: 0-based place among all candidates, ties by position;
    log_popular: log(popularity + 1e-9); text_profile: ⟨text, Σ w · h⟩ / ‖Σ w · h‖; text_newest: ⟨text, newest of the
    history⟩; n_history: items of the history. What is no finite number counts as the worst place and as 0 elsewhere.

    Args:
        scores: (3, n) of similar, covisited and popular, as the fusion takes them.
        own: (n,) part of `similar` that the history makes.
        prior: (n,) the rest.
        shortlist: (m,) positions among the n candidates.
        texts: (m, dim) float32 vectors of the shortlist's texts, unit norm or 0.
        history: (n_history, dim) float32 vectors of the history's texts, newest first.
        weights: (n_history,) float64.
        told: (m, N_TOLD) float64 fresh, language, taught.
    """
    found: NDArray[np.float64] = _features(scores, own, prior, shortlist, texts, history, weights, told)
    return found


@njit(cache=True)
def _best(values: Any) -> Any:
    """Largest finite value, -inf where there is none."""
    best = -np.inf
    for value in values:
        if np.isfinite(value) and value > best:
            best = value
    return best


@njit(cache=True)
def _places(values: Any) -> Any:
    n = len(values)
    negative, places = np.empty(n), np.empty(n)
    for i in range(n):
        negative[i] = -values[i] if np.isfinite(values[i]) else np.inf
    for place, i in enumerate(np.argsort(negative, kind="mergesort")):
        places[i] = place
    return places


@njit(cache=True)
def _direction(history: Any, weights: Any) -> Any:
    """(dim,) Σ w · h of unit norm; 0 where it is 0."""
    found, square = np.zeros(history.shape[1]), 0.0
    for h in range(len(history)):
        for d in range(history.shape[1]):
            found[d] += weights[h] * np.float64(history[h, d])
    for d in range(len(found)):
        square += found[d] * found[d]
    return found / np.sqrt(square) if square > 0 else found


@njit(cache=True)
def _dot(text: Any, direction: Any) -> Any:
    total = 0.0
    for d in range(len(direction)):
        total += np.float64(text[d]) * direction[d]
    return total


@njit(cache=True)
def _features(
    scores: Any, own: Any, prior: Any, shortlist: Any, texts: Any, history: Any, weights: Any, told: Any
) -> Any:  # fmt: skip
    m, n_history = len(shortlist), len(history)
    found = np.zeros((m, _N_OWN + told.shape[1]))  # columns as in NAMES
    bests = np.array([_best(scores[source]) for source in range(3)])
    tops = (_best(own), _best(prior))
    places = (_places(scores[0]), _places(scores[1]), _places(scores[2]))
    profile = _direction(history, weights)
    newest = history[0].astype(np.float64) if n_history else profile
    for row in range(m):
        i = shortlist[row]
        for column, source in ((0, 0), (3, 1), (4, 2)):
            if np.isfinite(scores[source, i]) and bests[source] > 0:
                found[row, column] = scores[source, i] / bests[source]
        found[row, 1] = own[i] - tops[0] if np.isfinite(own[i]) else 0.0
        found[row, 2] = prior[i] - tops[1] if np.isfinite(prior[i]) else 0.0
        for source in range(3):
            found[row, 5 + source] = places[source][i]
        found[row, 8] = np.log(max(scores[2, i], 0.0) + _TINY) if np.isfinite(scores[2, i]) else np.log(_TINY)
        found[row, 9], found[row, 10] = _dot(texts[row], profile), _dot(texts[row], newest)
        found[row, 11] = n_history
        for column in range(told.shape[1]):
            found[row, _N_OWN + column] = told[row, column]
    return found


def by_source(contributions: NDArray[np.float64], sources: tuple[str, ...]) -> NDArray[np.float64]:
    """(n_sources, n) what each source's features add to a score; features that speak for none are left out.

    Args:
        contributions: (n, len(NAMES)) float64 what each feature adds.
        sources: Names, in the order of the rows wanted.
    """
    found = np.zeros((len(sources), len(contributions)))
    for column, name in enumerate(NAMES):
        if SOURCE_OF[name]:
            found[sources.index(SOURCE_OF[name])] += contributions[:, column]
    return found


def relative(scores: NDArray[np.float64], fused: NDArray[np.float64], depth: int) -> NDArray[np.float64]:
    """(n,) the ranker's scores on the fusion's scale, above those of the candidates that it did not see.

    The first `depth` become best · exp(score - best score), where best is the largest fused score: the odds of an item
    against the user's best one. The others, which follow in the fusion's order, continue from the worst of these as
    they do from the last fused score before them.

    Args:
        scores: (depth,) of the ranker, for the first `depth` candidates in the fusion's order.
        fused: (n,) fused scores, best first, finite.
        depth: How many the ranker saw; min(depth, n) counts.
    """
    depth = min(depth, len(fused))
    found = np.zeros(len(fused))
    if not depth:
        return found
    best = fused[0] if fused[0] > 0 else 1.0
    found[:depth] = best * np.exp(scores - scores.max())
    last = fused[depth - 1]
    found[depth:] = found[:depth].min() * (fused[depth:] / last if last > 0 else 0.0)
    return found
