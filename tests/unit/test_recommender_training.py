"""Training of the recommender on a planted world whose right answer is known, and what must not change its result."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits
from worlds.market import planted

from xlrec.config.models import FactorsConfig, PopularityConfig, RetrieveConfig
from xlrec.errors import LakeError
from xlrec.recommenders import factors
from xlrec.recommenders.factors import FactorModel, preference_strengths
from xlrec.training.recommender import fit_factor_model, user_preferences
from xlrec.training.recommender.logs import Items, Logs, first_meetings, logs_before, select_events
from xlrec.training.recommender.quality import METRICS, popularity_scores, recommender_card, text_scores, user_metrics
from xlrec.training.recommender.scores import Truth, model_scores, popularity_at, sample_truth, served_vectors
from xlrec.training.transfer.figures import Figure

ITEMS, LOGS, TRUTH = planted()
IDS = pa.array([f"i{num:03d}" for num in range(len(ITEMS.texts))])
MARKETS = ("M0", "M1", "M2")
CONFIG = FactorsConfig(dim=16)
EVERYONE = np.ones(LOGS.n_users, dtype=np.bool_)
END = float(LOGS.event_micros.max()) + 1


def taught(logs: Logs = LOGS, items: Items = ITEMS, seed: int = 0, **facts: Any) -> FactorModel:
    return fit_factor_model(logs, items, CONFIG, markets=MARKETS, item_ids=IDS, facts=facts, seed=seed)


def inner() -> tuple[Logs, Truth]:
    """The logs without what each user met last, and that."""
    log = LOGS.visits
    cuts = np.full(LOGS.n_users, -np.inf)
    np.maximum.at(cuts, log.owners, log.micros)
    rows, logs = first_meetings(log), logs_before(LOGS, EVERYONE, cuts)
    held = (log.micros[rows] >= cuts[log.owners[rows]]) & (np.diff(logs.visits.indptr) > 0)[log.owners[rows]]
    return logs, sample_truth(log, rows[held], END, 10_000, [0, 14])


def test_what_is_learnt_beats_texts_and_popularity_on_what_was_held_out() -> None:
    logs, truth = inner()
    ours = user_metrics(
        model_scores(served_vectors(taught(logs), IDS, ITEMS), ITEMS, logs, RetrieveConfig()), truth, ITEMS, logs
    )[:, 0]
    for other in (
        text_scores(ITEMS, logs, RetrieveConfig()),
        popularity_scores(ITEMS, logs, logs, END, PopularityConfig()),
    ):
        gain = ours - user_metrics(other, truth, ITEMS, logs)[:, 0]
        assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5


def test_items_that_were_never_chosen_have_what_their_text_says_and_the_norm_of_taught_ones() -> None:
    fewer = select_events(LOGS, LOGS.visits.nums < 100, LOGS.event_nums < 100)
    model = taught(fewer)
    assert set(model.item_ids.to_pylist()) == {f"i{num:03d}" for num in np.unique(fewer.event_nums)}
    rows = model.factor_rows(IDS)
    cold = np.flatnonzero(rows < 0)
    found = model.item_factors(ITEMS.texts, rows)
    expected = np.concatenate([ITEMS.texts, np.ones((len(IDS), 1))], axis=1) @ model.arrays["text_map"]
    np.testing.assert_allclose(found[cold], expected[cold], atol=1e-6)
    never = model.candidate_vectors(found, np.zeros(len(IDS)))
    scaled = np.linalg.norm(never @ np.linalg.inv(model.arrays["whitening"].astype(float)), axis=1)
    np.testing.assert_allclose(scaled[cold], CONFIG.boost * np.exp(model.arrays["log_norm"][0]), rtol=1e-3)


def test_items_come_back_whatever_the_order_of_their_ids() -> None:
    mixed = pa.array([f"i{num * 7 % 160:03d}" for num in range(160)])
    model = fit_factor_model(LOGS, ITEMS, CONFIG, markets=MARKETS, item_ids=mixed, facts={}, seed=0)
    plain = taught()
    assert model.item_ids.to_pylist() == sorted(model.item_ids.to_pylist())
    np.testing.assert_array_equal(
        model.item_factors(ITEMS.texts, model.factor_rows(mixed)),
        plain.item_factors(ITEMS.texts, plain.factor_rows(IDS)),
    )


def test_the_same_seed_gives_the_same_model_whatever_the_threads_and_another_one_another() -> None:
    first = taught().fingerprint
    with threadpool_limits(1):
        assert taught().fingerprint == first
    assert taught(seed=1).fingerprint != first


def test_a_glance_weighs_less_than_a_choice_and_nothing_more_than_one() -> None:
    assert preference_strengths(np.array([0.3, 1.0, 6.0])).tolist() == [0.3, 1.0, 1.0]
    twice = LOGS._replace(
        event_users=np.array([0, 0, 2], np.int32), event_nums=np.array([5, 5, 1], np.int32),
        event_weights=np.array([0.3, 0.3, 2.0]), markets=LOGS.markets[:3],
    )  # fmt: skip
    found = user_preferences(twice)
    assert (found.indptr.tolist(), found.nums.tolist(), found.strengths.tolist()) == ([0, 1, 1, 2], [5, 1], [0.6, 1.0])


def test_exposure_is_what_an_average_item_of_the_same_markets_had_since() -> None:
    model = taught()
    counts = np.bincount(LOGS.event_markets, minlength=3)
    pace = counts / ITEMS.eligible.sum(axis=1)
    first = np.array([np.nan, np.median(LOGS.event_micros[LOGS.event_markets == 1]), END])
    sold = np.array([[True, False, True], [True, True, True], [False, False, True]])
    found = model.item_exposure(first, sold, MARKETS)
    np.testing.assert_allclose(found[[0, 2]], [pace[0] + pace[1], 0])
    assert found[1] == pytest.approx(pace[1] / 2, rel=0.05)
    assert model.item_exposure(first, sold, ("elsewhere", "M1", "M2"))[0] == pytest.approx(pace[1])


def test_popularity_is_the_formula_of_the_popularity_model() -> None:
    found = popularity_at(LOGS, 3, len(IDS), END, PopularityConfig(half_life_days=1e9, prior_strength=5))
    everywhere = np.bincount(LOGS.event_nums, minlength=len(IDS)) / len(LOGS.event_nums)
    for market in range(3):
        here = np.bincount(LOGS.event_nums[LOGS.event_markets == market], minlength=len(IDS))
        np.testing.assert_allclose(found[market], (here + 5 * everywhere) / (here.sum() + 5))


@pytest.mark.parametrize("n_users", [0, 1, 3])
def test_hardly_any_logs_leave_a_model_that_serves(n_users: int) -> None:
    few = logs_before(LOGS, np.arange(LOGS.n_users) < n_users)
    model = taught(few)
    assert all(np.isfinite(array).all() for array in model.arrays.values())
    scores = model_scores(served_vectors(model, IDS, ITEMS), ITEMS, few, RetrieveConfig())(np.arange(5))
    assert np.isfinite(scores[ITEMS.eligible[LOGS.markets[:5]]]).any()
    assert not np.isnan(scores).any()


def test_the_card_tells_what_was_taught() -> None:
    model = taught(run_date="2026-01-01", encoder="e")
    told = recommender_card(model)
    assert model.fingerprint in told
    assert f"{len(LOGS.event_nums):,} events of {LOGS.n_users:,} users" in told


def test_the_card_of_a_transfer_has_its_curve() -> None:
    figures = [asdict(Figure("joint", 0.05, metric, "all", 0.25, 0.2, 0.3, 40)) for metric in METRICS]
    domains = {"by": "market", "from": ["M0"], "to": ["M1", "M2"], "kept": "joint", "n_users": 1234, "figures": figures}
    card = recommender_card(taught(transfer=domains))
    assert card.count("| joint | 0.05 | 0.2500 (0.2000 to 0.3000) |") == 1
    assert "From market M0 to M1, M2: joint, the best on the" in card
    assert "1,234 users with a history" in card


def test_an_artefact_comes_back_as_it_was_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    model = taught(run_date="2026-01-01")
    model.save_model(tmp_path)
    again = factors.load(str(tmp_path))
    assert again.fingerprint == model.fingerprint
    assert again.facts["run_date"] == "2026-01-01"
    np.testing.assert_array_equal(again.factor_rows(pa.array(["i003", "nobody"])) >= 0, [True, False])
    other = tmp_path / "other"
    taught(seed=1).save_model(other)
    (other / factors.WEIGHTS).replace(tmp_path / factors.WEIGHTS)
    factors._load.cache_clear()
    with pytest.raises(LakeError, match="changed or cut"):
        factors.load(str(tmp_path))
    (tmp_path / factors.FACTS).write_text('{"layout": 1}')
    with pytest.raises(LakeError, match="has layout 1"):
        factors.load(str(tmp_path))
    with pytest.raises(LakeError, match="no learnt model"):
        factors.load(str(tmp_path / "none"))
