"""Metrics of ranked lists, for a block of users at a time; each states its formula and its denominator.

A list is a row of `hits` (n_users, width) bool: whether the item at rank 1, 2, … is relevant; a list shorter than the
row ends in False, and width may be below k. A user without a list therefore scores 0. A user without ground truth
(n_relevant = 0) gets NaN: leave such users out of every mean, and say how many they are. Sums run rank by rank, so no
other user in the block changes a result.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


def ndcg(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """(n_users,) float64 normalised discounted cumulative gain with binary gains.

    DCG = sum over ranks r <= k of hit_r / log2(r + 1), over the DCG of an ideal list: min(k, n_relevant) hits on top.

    Source: Järvelin and Kekäläinen 2002; ir-measures' nDCG@k on binary labels.

    Args:
        hits: (n_users, width) bool: the item at each rank is relevant.
        n_relevant: (n_users,) integer relevant items of each user; 0 gives NaN.
        k: the last rank that counts.
    """
    discounts: Floats = 1.0 / np.log2(np.arange(2, k + 2))
    ideal: Floats = np.cumsum(discounts)[np.clip(n_relevant, 1, k) - 1]
    return _where_relevant(_sum(hits[:, :k] * discounts[: hits.shape[1]]), ideal, n_relevant)


def recall(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """(n_users,) float64 hits at ranks <= k over n_relevant.

    These are all relevant items, so the best possible is k / n_relevant where that is below 1. Source: ir-measures'
    R@k.

    Args:
        hits: (n_users, width) bool: the item at each rank is relevant.
        n_relevant: (n_users,) integer relevant items of each user; 0 gives NaN.
        k: the last rank that counts.
    """
    return _where_relevant(_sum(hits[:, :k]), n_relevant, n_relevant)


def mrr(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """(n_users,) float64: 1 over the rank of the first hit at ranks <= k; 0 where there is none.

    Source: ir-measures' RR@k.

    Args:
        hits: (n_users, width) bool: the item at each rank is relevant.
        n_relevant: (n_users,) integer relevant items of each user; 0 gives NaN.
        k: the last rank that counts.
    """
    top = hits[:, :k]
    if not top.shape[1]:
        return recall(hits, n_relevant, k)
    first: Floats = np.where(top.any(axis=1), 1.0 / (np.argmax(top, axis=1) + 1), 0.0)
    return _where_relevant(first, np.ones(len(top)), n_relevant)


def average_precision(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """(n_users,) float64 sum of the precision at r over the hits at ranks r <= k, over n_relevant.

    That is not min(k, n_relevant). Its mean over users is MAP@k. Source: ir-measures' AP@k.

    Args:
        hits: (n_users, width) bool: the item at each rank is relevant.
        n_relevant: (n_users,) integer relevant items of each user; 0 gives NaN.
        k: the last rank that counts.
    """
    top = hits[:, :k]
    precisions = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return _where_relevant(_sum(top * precisions), n_relevant, n_relevant)


def hit_rate(hits: Bools, n_relevant: Ints, k: int) -> Floats:
    """(n_users,) float64: 1 where any of the ranks <= k is a hit, else 0.

    Source: ir-measures' Success@k.

    Args:
        hits: (n_users, width) bool: the item at each rank is relevant.
        n_relevant: (n_users,) integer relevant items of each user; 0 gives NaN.
        k: the last rank that counts.
    """
    return _where_relevant(np.minimum(_sum(hits[:, :k]), 1.0), np.ones(len(hits)), n_relevant)


def self_information(item_users: Ints, n_users: int | Ints) -> Floats:
    """(n,) float64 information of choosing an item, in bits: -log2((item_users + 1) / (n_users + 1)).

    The ones added keep items without any user finite.

    Args:
        item_users: (n,) integer users who interacted with each item in the history.
        n_users: (n,) integer users in all, or one number for all items.
    """
    share: Floats = (np.asarray(item_users, np.float64) + 1.0) / (np.asarray(n_users, np.float64) + 1.0)
    bits: Floats = -np.log2(share)
    return bits


def novelty(bits: Floats, lengths: Ints, k: int) -> Floats:
    """(n_users,) float64 mean `self_information` of the items at ranks <= k; 0 for an empty list.

    The denominator is min(k, list length). Source: Castells, Hurley and Vargas 2015, mean self-information, with
    -log2(1) = 0 for an item that everybody knows.

    Args:
        bits: (n_users, width) float64 information of the item at each rank, not read beyond a list's end.
        lengths: (n_users,) integer length of each list.
        k: the last rank that counts.
    """
    inside = _inside(bits.shape[1], lengths, k)
    mean: Floats = _sum(np.where(inside, bits[:, :k], 0.0)) / np.maximum(inside.sum(axis=1), 1)
    return mean


def diversity(vectors: NDArray[np.floating[Any]], lengths: Ints, k: int) -> Floats:
    """(n_users,) float64: 1 - mean cosine over the pairs of different ranks <= k; 0 for lists of fewer than two items.

    The denominator is m (m - 1) / 2 pairs, m = min(k, list length). An item without a vector (a zero row) has cosine 0
    with every other.

    Source: Ziegler et al. 2005, intra-list similarity.

    Args:
        vectors: (n_users, width, dim) floating, of the item at each rank, not read beyond a list's end.
        lengths: (n_users,) integer length of each list.
        k: the last rank that counts.
    """
    inside = _inside(vectors.shape[1], lengths, k)
    top = np.where(inside[:, :, None], vectors[:, :k], 0.0).astype(np.float64)
    squares = (top * top).sum(axis=2)
    norms = np.sqrt(squares)
    total = np.zeros((top.shape[0], top.shape[2]))
    for rank in range(top.shape[1]):
        total += top[:, rank] / np.where(norms[:, rank] > 0, norms[:, rank], 1.0)[:, None]
    m = inside.sum(axis=1)
    # |sum of unit vectors|^2 counts each pair twice and each vector with itself once
    twice = (total * total).sum(axis=1) - (inside & (squares > 0)).sum(axis=1)
    return np.where(m > 1, np.clip(1.0 - twice / np.maximum(m * (m - 1), 1), 0.0, 2.0), 0.0)


def language_mix_error(
    item_languages: Ints, lengths: Ints, user_languages: Ints, user_weights: Floats, k: int
) -> Floats:
    """(n_users,) float64 total variation distance of the languages of ranks <= k from those that the user reads.

    Both are distributions, so it is 1 - sum over the user's languages of min(share in the list, the user's weight): 0
    is the same mix, 1 no language in common. The list's shares are over min(k, list length) items. 1 for an empty list;
    NaN (leave the user out) where the user's languages are unknown.

    Args:
        item_languages: (n_users, width) integer codes at each rank, not read beyond a list's end.
        lengths: (n_users,) integer length of each list.
        user_languages: (n_users, n) integer codes >= 0, distinct; -1 where a user has fewer.
        user_weights: (n_users, n) float64 weights of these, of sum 1; 0 where a user has fewer.
        k: the last rank that counts.
    """
    inside = _inside(item_languages.shape[1], lengths, k)
    m = np.maximum(inside.sum(axis=1), 1)
    common = np.zeros(len(item_languages))
    for column in range(user_languages.shape[1]):
        code = user_languages[:, column]
        found = (inside & (item_languages[:, :k] == code[:, None])).sum(axis=1)
        common += np.where(code >= 0, np.minimum(found / m, user_weights[:, column]), 0.0)
    return np.where((user_languages >= 0).any(axis=1), np.clip(1.0 - common, 0.0, 1.0), np.nan)


def find_hits(items: Ints, lengths: Ints, relevant: Ints, n_relevant: Ints) -> Bools:
    """(n_users, width) bool: whether the item at each rank is relevant to its user.

    Args:
        items: (n_users, width) integer item_nums by rank, not read beyond a list's end.
        lengths: (n_users,) integer length of each list.
        relevant: (n_all_relevant,) integer item_nums, user after user.
        n_relevant: (n_users,) integer relevant items of each user.
    """
    n_users, width = items.shape
    keys = (np.arange(n_users, dtype=np.int64)[:, None] << 32) + items
    wanted = (np.repeat(np.arange(n_users, dtype=np.int64), n_relevant) << 32) + relevant
    return np.isin(keys, wanted) & _inside(width, lengths, width)


def pad_runs(values: NDArray[Any], lengths: Ints, width: int, fill: float) -> NDArray[Any]:
    """(n_rows, width) array whose row r begins with the r-th of the runs that lie one after another in `values`.

    Longer runs are cut to the width, shorter ones end in `fill`.

    Args:
        values: (n,) of any dtype, which the result has as well.
        lengths: (n_rows,) integer length of each run.
        width: of the result.
        fill: number that ends a row.
    """
    padded = np.full((len(lengths), width), fill, dtype=values.dtype)
    starts = np.cumsum(lengths) - lengths
    inside = _inside(width, lengths, width)
    padded[inside] = values[(starts[:, None] + np.arange(width))[inside]]
    return padded


def _inside(width: int, lengths: Ints, k: int) -> Bools:
    return np.arange(min(width, k)) < np.asarray(lengths)[:, None]


def _sum(values: NDArray[Any]) -> Floats:
    total = np.zeros(len(values))
    for rank in range(values.shape[1]):  # rank by rank: numpy's own sum may take another order in another layout
        total += values[:, rank]
    return total


def _where_relevant(numerator: Floats, denominator: NDArray[Any], n_relevant: Ints) -> Floats:
    some = np.asarray(n_relevant) > 0
    return np.where(some, numerator / np.where(some, denominator, 1), np.nan)
