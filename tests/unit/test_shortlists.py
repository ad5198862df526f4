"""Lists of some users at once are those of one after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlrec.kernels.base.csr import indptr_of
from xlrec.kernels.ranking.diversity import copies_of
from xlrec.kernels.ranking.selection import Caps, Mix, select
from xlrec.kernels.ranking.shortlists import Mixes, Shortlists, choose


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(0, 12) | st.integers(120, 180), max_size=4),
    st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.5]), st.sampled_from([0.9, 1.0]), st.sampled_from([0, 2]),
)  # fmt: skip
def test_some_users_at_once_get_the_lists_of_one_after_another(
    seed: int, sizes: list[int], diversity: float, weight: float, threshold: float, most: int
) -> None:
    rng, indptr = np.random.default_rng(seed), indptr_of(np.array(sizes, dtype=np.int64))
    n, n_users = int(indptr[-1]), len(sizes)
    vectors = rng.normal(size=(n, 6)) + 2 * rng.normal(size=(9, 6))[rng.integers(0, 9, n)]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    spoken = indptr_of(rng.integers(0, 4, n_users))
    shares = rng.integers(0, 3, spoken[-1]) / 2
    n_read = np.diff(spoken)
    groups = np.concatenate(
        [np.zeros(0, int), *(rng.integers(0, n_read[user] + 1, sizes[user]) for user in range(n_users))]
    )
    lists = Shortlists(indptr, rng.random(n), vectors, groups, rng.integers(0, 9, n_users))
    categories = np.arange(n + 1), rng.integers(0, 30, n).astype(np.int32)
    caps = Caps.of(np.arange(n, dtype=np.int32), *categories, most)
    taken, n_taken = choose(20, lists, Mixes.of(shares, spoken, weight), caps, diversity, threshold)
    for user in range(n_users):
        mine, own = slice(indptr[user], indptr[user + 1]), shares[spoken[user] : spoken[user + 1]]
        copies = copies_of(vectors[mine], threshold, int(lists.enough[user]))
        if (copies.kept == 1).sum() < lists.enough[user]:
            assert n_taken[user] == -1
            continue
        target = np.append(own / own.sum() if own.sum() else np.zeros(len(own)), 0.0)
        mix = Mix(groups[mine], target, weight if own.sum() else 0.0)
        cap = Caps.of(np.arange(n, dtype=np.int32)[mine], *categories, most)
        expected = select(20, lists.relevance[mine], vectors[mine], diversity, mix, cap, copies)
        assert taken[user, : n_taken[user]].tolist() == expected.tolist()


@pytest.mark.parametrize("shares", [[], [0.0, 0.0], [float("inf"), 1.0]])
def test_a_user_whose_languages_nobody_knows_gets_no_regard_to_them(shares: list[float]) -> None:
    mixes = Mixes.of(np.array([*shares, 0.5, 0.25]), np.array([0, len(shares), len(shares) + 2]), 0.7)
    assert mixes.weights.tolist() == [0.0, 0.7]
    assert mixes.part(slice(1, 2)).target.tolist() == [0.5 / 0.75, 0.25 / 0.75, 0.0]
    assert mixes.part(slice(0, 1)).target.tolist() == [0.0] * (len(shares) + 1)
