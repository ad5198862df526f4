"""The pieces of the transfer experiment against slow oracles: sides, splits, samples, metrics, what users read."""

import numpy as np
import pytest
from worlds.market import planted

from xlrec.config.models import PopularityConfig, RetrieveConfig
from xlrec.training.recommender.logs import first_meetings
from xlrec.training.recommender.quality import popularity_scores, text_scores, top_items, user_metrics, whole_order_ndcg
from xlrec.training.recommender.scores import UNREADABLE, Truth
from xlrec.training.transfer.domains import (
    domains_by_language,
    domains_by_market,
    languages_read,
    nested_samples,
    split_newest,
)
from xlrec.training.transfer.figures import NEWCOMERS, Summary

ITEMS, LOGS, _ = planted(n_users=300, n_items=80, n_markets=4, seed=2, bilingual=0.4)
MARKETS = domains_by_market(LOGS, ITEMS, (1, 2), (0,))
LANGUAGES = domains_by_language(LOGS, ITEMS, (1,), (0,))


def test_markets_that_are_neither_source_nor_target_teach_nothing() -> None:
    owner = LOGS.visits.owners
    assert not (MARKETS.from_source | MARKETS.from_target)[LOGS.markets[owner] == 3].any()
    everyone = np.ones(LOGS.n_users, dtype=np.bool_)
    told = MARKETS.training_logs(everyone, source=True)
    assert set(LOGS.markets[told.event_users]) == {0, 1, 2}
    assert set(LOGS.markets[MARKETS.training_logs(None, source=True).event_users]) == {1, 2}
    assert set(LOGS.markets[MARKETS.training_logs(everyone, source=False).event_users]) == {0}


def test_items_with_a_text_in_both_languages_are_the_target_s() -> None:
    nums = LOGS.visits.nums
    both = (ITEMS.languages[nums, 0] > 0) & (ITEMS.languages[nums, 1] > 0)
    assert both.any()
    assert LANGUAGES.from_target[both].all()
    assert not LANGUAGES.from_source[both].any()
    assert (ITEMS.languages[nums[LANGUAGES.from_source], 0] == 0).all()


def test_only_items_of_the_target_language_are_listed_and_histories_hold_all() -> None:
    found = split_newest(LANGUAGES, 0.2, 1, 1000, 0)
    known = LANGUAGES.known_before(found.cuts)
    read = known.target_histories()
    assert (ITEMS.languages[read.visits.nums, 0] == 0).any()
    scores = popularity_scores(known.for_sale, known.logs, read, found.truth.moment, PopularityConfig())(
        found.truth.users
    )
    nums, lengths = top_items(scores, 10)
    assert all((ITEMS.languages[row[:n], 0] > 0).all() for row, n in zip(nums, lengths, strict=True))


@pytest.mark.parametrize("world", [MARKETS, LANGUAGES])
def test_a_split_by_time_holds_out_the_newest_first_meetings_with_what_may_be_recommended(world) -> None:  # type: ignore[no-untyped-def]
    found, log, owner = split_newest(world, 0.2, 1, 1000, 0), LOGS.visits, LOGS.visits.owners
    assert found.by_time
    cut = found.cuts[0]
    for truth, old in ((found.truth, True), (found.newcomers, False)):
        wanted = []
        for row in first_meetings(log):
            user, num = owner[row], log.nums[row]
            had = (log.micros[owner == user] < cut).any()
            sold = ITEMS.eligible[LOGS.markets[user], num] and world.wanted[num]
            if world.from_target[row] and world.users[user] and sold and log.micros[row] >= cut and had == old:
                wanted.append((user, num))
        assert list(zip(np.repeat(truth.users, np.diff(truth.indptr)), truth.nums, strict=True)) == wanted
    assert (world.known_before(found.cuts).logs.visits.micros < cut).all()


def test_with_too_few_users_each_one_s_newest_meeting_is_held_out() -> None:
    found = split_newest(MARKETS, 0.2, 10_000, 1000, 0)
    assert not found.by_time
    assert (np.diff(found.truth.indptr) == 1).all()
    others = LOGS.markets != 0
    assert np.isinf(found.cuts[others]).all()
    third = split_newest(MARKETS, 0.2, 10_000, 1000, 0, newest=1 / 3)
    assert (np.diff(third.truth.indptr) > 1).any()


def test_larger_samples_hold_the_smaller_ones_and_the_whole_holds_all() -> None:
    small, middle, whole = nested_samples(MARKETS, (0.01, 0.2, 1.0), 0)
    assert small.sum() >= 1
    assert (small <= middle).all()
    assert (middle <= whole).all()
    assert set(np.flatnonzero(whole)) == set(LOGS.visits.owners[MARKETS.from_target])


def test_no_more_users_are_measured_than_allowed() -> None:
    found = split_newest(MARKETS, 0.2, 1, 7, 0)
    assert len(found.truth.users) == 7
    assert len(found.truth.nums) == found.truth.indptr[-1]


def test_what_users_read_is_told_by_what_they_state_and_by_their_history() -> None:
    stated = np.zeros((3, 4), dtype=np.float32)
    stated[0, :2] = 1
    logs = LOGS._replace(
        event_users=np.array([0, 0, 1, 1, 1], np.int32), event_nums=np.arange(5, dtype=np.int32),
        event_weights=np.array([1.0, 3.0, 1.0, 1.0, 8.0]), markets=LOGS.markets[:3],
    )  # fmt: skip
    spoken = np.zeros((80, 4), dtype=np.float32)
    spoken[[0, 1, 2, 3, 4], [0, 1, 2, 3, 3]] = 1
    found = languages_read(stated, logs, ITEMS._replace(languages=spoken))
    np.testing.assert_allclose(found[0], [(0.5 + 0.25) / 2, (0.5 + 0.75) / 2, 0, 0])
    np.testing.assert_allclose(found[1], [0, 0, 0, 1])  # a tenth is under the least share
    np.testing.assert_allclose(found[2], 0)


def test_the_best_come_first_ties_by_item_and_what_is_not_sold_is_not_listed() -> None:
    scores = np.array([[1.0, 3.0, 3.0, -np.inf, 2.0], [-np.inf, -np.inf, 0.0, -np.inf, -np.inf]])
    nums, lengths = top_items(scores, 3)
    assert nums[0].tolist() == [1, 2, 4]
    assert (nums[1, 0], lengths.tolist()) == (2, [3, 1])


def test_metrics_of_a_user_by_hand() -> None:
    truth = Truth(np.array([0]), np.array([0, 2]), np.array([1, 4], dtype=np.int32), 0.0)
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
    found = whole_order_ndcg(lambda _: scores, truth, ITEMS)
    ideal = 1 + 1 / np.log2(3)
    np.testing.assert_allclose(found, [(1 / np.log2(3) + 1 / np.log2(6)) / ideal])
    spoken = np.zeros((80, 4), dtype=np.float32)
    spoken[:, 0] = 1
    spoken[4] = [0, 1, 0, 0]
    columns = user_metrics(lambda _: scores, truth, ITEMS._replace(languages=spoken), LOGS)
    heard = set(LOGS.visits.nums[: LOGS.visits.indptr[1]].tolist())
    np.testing.assert_allclose(columns[0, :2], [found[0], 1.0])
    assert np.isnan(columns[0, 2]) if 4 in heard else columns[0, 2] == 1.0


def test_the_text_mean_puts_what_is_nearest_first_and_nothing_before_another_without_history() -> None:
    nobody = LOGS._replace(visits=LOGS.visits._replace(indptr=np.zeros(301, np.int64)))
    found = text_scores(ITEMS, nobody, RetrieveConfig())(np.array([0]))
    assert set(found[np.isfinite(found)]) == {0.0, -UNREADABLE}


def test_every_slice_has_its_users_and_newcomers_stand_apart() -> None:
    summary = Summary(np.array([0, 1, 2, 5, 40]), (1, 3, 10), 0, 50)
    values = {("zero-shot", 0.0): np.tile([0.5, 0.5, np.nan], (5, 1))}
    found = {(f.slice, f.metric): f.n_users for f in summary.figures(values)}
    sizes = {where: n for (where, metric), n in found.items() if metric == "ndcg@10"}
    assert sizes == {"all": 4, NEWCOMERS: 1, "history=1-2": 2, "history=3-9": 1, "history=10+": 1}
    assert not any(metric.startswith("cross") for _, metric in found)
