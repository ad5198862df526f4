"""Matrix factorisation of implicit feedback whose item factors lean on the items' texts (iALS with a text prior).

score(u, i) = ⟨x_u, y_i⟩ minimises, over users' and items' factors,

    Σ_{(u, i) seen} c_ui (1 - ⟨x_u, y_i⟩)² + α Σ_{u, i} ⟨x_u, y_i⟩² + λ_x Σ_u ‖x_u‖² + λ_y Σ_i ‖y_i - B t_i‖²

with t_i the text vector of item i (and a 1), and B the ridge regression of the items' factors on it. An item that many
chose has the factor that its logs say; an item that nobody chose has B t_i, what its text says; between them the
posterior mean weighs both by evidence. Users need no table: `fold_in` gives anybody's factor from her history.

Source: Hu, Koren and Volinsky 2008 for the confidences; Rendle et al. 2022, Revisiting the performance of iALS, for α;
Agarwal and Chen 2009, Regression-based latent factor models, for the prior.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from xlrec.kernels.base.csr import indptr_of, owners_of

_Floats = NDArray[np.float64]
#: Users of an item: fewer say nothing of its norm, more say no more.
_FEW: Final = 5
_MANY: Final = 10


class Preferences(NamedTuple):
    """Items that users have seen, as CSR over users."""

    indptr: NDArray[np.int64]
    """(n_users + 1,) int64 bounds of each user."""
    nums: NDArray[np.int32]
    """(n,) int32 item_nums, distinct within a user."""
    strengths: _Floats
    """(n,) float64 confidence c_ui of each, above 0."""


class Penalties(NamedTuple):
    """Constants of the objective above."""

    unseen: float
    """α: weight of all pairs, for being 0."""
    user: float
    """λ_x."""
    item: float
    """λ_y."""
    text: float
    """Ridge of B."""
    half_visits: float
    """Users who chose an item at which it weighs half in the fit of B."""


class Factors(NamedTuple):
    """A factorisation."""

    items: _Floats
    """(n_items, dim) float64 posterior means y_i."""
    text_map: _Floats
    """(text_dim + 1, dim) float64 B; its last row is the intercept of items that have a text."""


def factorise_preferences(
    seen: Preferences, texts: NDArray[np.floating[Any]], start: _Floats, penalties: Penalties, sweeps: int
) -> Factors:
    """Item factors and text map after alternating least squares, each half sweep in closed form.

    A sweep fits users, then B (not in the first one, whose factors say nothing yet), then items. Users who saw nothing
    change nothing.

    Args:
        seen: items that users have seen.
        texts: (n_items, text_dim) floating; a zero row is an item without a text, whose prior is 0.
        start: (n_items, dim) float64 factors of the items before the first half sweep.
        penalties: constants of the objective.
        sweeps: over users, B and items.
    """
    by_item = _transposed(seen, len(start))
    known = np.diff(by_item.indptr) / (np.diff(by_item.indptr) + penalties.half_visits)
    design = with_intercept(texts)
    text_map, prior = np.zeros((design.shape[1], start.shape[1])), np.zeros(start.shape)
    items, nobody = np.asarray(start, dtype=np.float64), np.zeros((len(seen.indptr) - 1, start.shape[1]))
    for sweep in range(sweeps):
        users = _half_sweep(seen, items, penalties.unseen, penalties.user, nobody)
        if sweep:
            text_map = _ridge(design, items, known, penalties.text)
            prior = design @ text_map
        items = _half_sweep(by_item, users, penalties.unseen, penalties.item, prior)
    return Factors(items, text_map)


def with_intercept(texts: NDArray[np.floating[Any]]) -> _Floats:
    """(n_items, text_dim + 1) float64 copy of (n_items, text_dim) floating texts with a last column of 1.

    A zero row stays zero.
    """
    has_text = np.any(texts != 0, axis=1)
    return np.concatenate([np.asarray(texts, dtype=np.float64), has_text[:, None].astype(np.float64)], axis=1)


def whitening_matrix(items: _Floats, unseen: float, penalty: float) -> _Floats:
    """(dim, dim) float64 W with which a fold-in is a Gaussian process of kernel ⟨p_h, p_i⟩, p_i = y_i W.

    W = V (Λ + λ_x)^(-1/2) for α YᵀY = V Λ Vᵀ: score(u, i) = Σ_h w_h ⟨p_h, p_i⟩ with w of `fold_in`, so that each
    history item's term in a score is exact. `items` is (n_items, dim) float64, `unseen` α, `penalty` λ_x > 0.
    """
    values, directions = np.linalg.eigh(unseen * items.T @ items)
    return np.asarray(directions / np.sqrt(np.maximum(values, 0.0) + penalty))


class FoldIn(NamedTuple):
    """Weights and query of each user's history."""

    weights: _Floats
    """(n,) float64 of each history item in its user's query: w = (diag(1 / c) + ⟨p_h, p_l⟩)⁻¹ 1; may be negative."""
    queries: _Floats
    """(n_users, dim) float64 Σ_h w_h p_h; zero without a history."""


def fold_in(history: Preferences, vectors: NDArray[np.floating[Any]]) -> FoldIn:
    """Least-squares user factors of the objective, given the items, and each history item's weight in them.

    An item that others of the history explain already adds little, or takes away. `vectors` is (n, dim) floating: p of
    each history item, factors times `whitening_matrix`.
    """
    weights, queries = np.zeros(len(history.nums)), np.zeros((len(history.indptr) - 1, vectors.shape[1]))
    _fold_in(history.indptr, history.strengths, np.ascontiguousarray(vectors, dtype=np.float64), weights, queries)
    return FoldIn(weights, queries)


def mean_log_norm(norms: _Floats, n_users: NDArray[np.integer[Any]]) -> float:
    """Mean of log √norm over items that at least five users chose, weighted by up to ten of them; 0 without such items.

    Args:
        norms: (n_items,) float64 norms of the items' factors.
        n_users: (n_items,) integer users who chose each item.
    """
    weights = np.where((n_users >= _FEW) & (norms > 0), np.minimum(n_users, _MANY), 0)
    total = float(weights.sum())
    return float((weights * 0.5 * np.log(np.where(norms > 0, norms, 1.0))).sum()) / total if total else 0.0


def item_scales(norms: _Floats, mean_log: float, exposure: _Floats, boost: float) -> _Floats:
    """(n_items,) float64 factor of each item's vector in the search; about norm^(-1/2).

    The norm of a factor grows with popularity, which a list wants at its root only, and shrinks where the text alone
    speaks, which says nothing about the item. So an item that had no chance to be chosen gets the norm of those that
    were: log scaled norm = e / (e + 1) · log √norm + 1 / (e + 1) · (mean + log boost), e its exposure.

    Args:
        norms: (n_items,) float64 norms of the items' factors; a zero norm gives scale 0.
        mean_log: of `mean_log_norm`.
        exposure: (n_items,) float64 chances of each item to be chosen.
        boost: of items without exposure; 1 is none.
    """
    logs = 0.5 * np.log(np.where(norms > 0, norms, 1.0))
    known = exposure / (exposure + 1.0)
    scaled = np.exp(known * logs + (1 - known) * (mean_log + np.log(boost)))
    return np.where(norms > 0, scaled / np.where(norms > 0, norms, 1.0), 0.0)


def _transposed(seen: Preferences, n_items: int) -> Preferences:
    order = np.argsort(seen.nums, kind="stable")  # users ascend within an item
    owners = owners_of(seen.indptr)[order].astype(np.int32)
    return Preferences(indptr_of(np.bincount(seen.nums, minlength=n_items)), owners, seen.strengths[order])


def _ridge(texts: _Floats, factors: _Floats, weights: _Floats, penalty: float) -> _Floats:
    weighted = texts * weights[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ texts + penalty * np.eye(texts.shape[1]), weighted.T @ factors))


def _half_sweep(rows: Preferences, others: _Floats, unseen: float, penalty: float, prior: _Floats) -> _Floats:
    """(n_rows, dim) best factors given the others', in whose eigenbasis the part of the unseen pairs is a diagonal."""
    values, directions = np.linalg.eigh(unseen * others.T @ others)
    solved = np.empty(prior.shape)
    rotated, pull = np.ascontiguousarray(others @ directions), np.ascontiguousarray(prior @ directions)
    _solve(rows.indptr, rows.nums, rows.strengths, rotated, np.maximum(values, 0.0) + penalty, penalty * pull, solved)
    return np.asarray(solved @ directions.T)


@njit(cache=True)
def _solve(indptr, nums, strengths, others, diagonal, pull, solved):  # type: ignore[no-untyped-def]
    """(diag + Oᵀ C O)⁻¹ (Oᵀ C 1 + pull) of each row: by the rows' items where these are fewer than the numbers."""
    for row in range(len(indptr) - 1):
        first, n = indptr[row], indptr[row + 1] - indptr[row]
        near = others[nums[first : first + n]]  # a copy
        right = pull[row].copy()
        for h in range(n):
            right += strengths[first + h] * near[h]
        if n == 0:
            solved[row] = right / diagonal
        elif n < others.shape[1]:  # Woodbury
            scaled = near / diagonal
            inner = near @ scaled.T
            for h in range(n):
                inner[h, h] += 1.0 / strengths[first + h]
            solved[row] = right / diagonal - np.linalg.solve(inner, scaled @ right) @ scaled
        else:
            for h in range(n):
                near[h] *= np.sqrt(strengths[first + h])
            solved[row] = np.linalg.solve(near.T @ near + np.diag(diagonal), right)


@njit(cache=True)
def _fold_in(indptr, strengths, vectors, weights, queries):  # type: ignore[no-untyped-def]
    for user in range(len(indptr) - 1):
        first, last = indptr[user], indptr[user + 1]
        near = vectors[first:last]
        inner = near @ near.T
        for h in range(last - first):
            inner[h, h] += 1.0 / strengths[first + h]
        if last > first:
            weights[first:last] = np.linalg.solve(inner, np.ones(last - first))
            queries[user] = weights[first:last] @ near
