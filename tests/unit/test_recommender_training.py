"""Training of the recommender on a planted world whose right answer is known, and what must not change its result."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from planted_market import planted

from xlrec.config import HybridConfig, PopularityConfig
from xlrec.errors import LakeError
from xlrec.recommenders import hybrid
from xlrec.training.recommender import learn
from xlrec.training.recommender.card import card
from xlrec.training.recommender.examples import Examples, popularity_at
from xlrec.training.recommender.logs import chosen, first_meetings, only
from xlrec.training.recommender.loop import Task, Trainer, measure, train_epochs
from xlrec.training.recommender.scoring import Truth, inner_cuts, truth_after

ITEMS, LOGS, TRUTH = planted()
IDS = pa.array([f"i{num:03d}" for num in range(len(ITEMS.texts))])
CONFIG = HybridConfig(dim=16, epochs=8, batch=128, spans=4, residual_rate=0.005, adapter_rate=0.005)
TASK = Task(LOGS, ITEMS, CONFIG, PopularityConfig(), seed=0)
EVERYONE = np.ones(LOGS.n_users, dtype=np.bool_)


def say(_: str) -> None:
    """Progress that nobody reads."""


def inner() -> tuple[Task, Truth]:
    """The task without what each user met last, and that."""
    log = LOGS.visits
    owner = log.owners
    cuts = np.full(LOGS.n_users, -np.inf)
    np.maximum.at(cuts, owner, log.micros)
    truth = truth_after(LOGS, cuts, float(log.micros.max()) + 1, 10_000, 0)
    return replace(TASK, logs=only(LOGS, EVERYONE, cuts)), truth


def ndcg_of(task: Task, truth: Truth, epochs: int) -> Any:
    trainer = train_epochs(task, epochs, say)
    return measure(trainer.model(IDS, {}), trainer.rows(), task, truth)


def test_what_is_learnt_beats_texts_and_popularity_on_what_was_held_out() -> None:
    task, truth = inner()
    untaught, taught = ndcg_of(task, truth, 0), ndcg_of(task, truth, 6)
    gain = taught - untaught
    assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5
    popular = replace(task, config=CONFIG.model_copy(update={"max_history": 1}))
    alone = Trainer(popular)
    with_nothing = alone.model(IDS, {})
    with_nothing.arrays["adapter_out"][:] = 0
    gain = taught - measure(with_nothing, alone.rows(), popular, truth)
    assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5


def test_items_that_were_never_chosen_have_no_residual_and_no_bias() -> None:
    fewer = chosen(LOGS, LOGS.visits.nums < 100, LOGS.event_nums < 100)
    trainer = train_epochs(replace(TASK, logs=fewer), 2, say)
    model = trainer.model(IDS, {})
    assert set(model.item_ids.to_pylist()) == {f"i{num:03d}" for num in np.unique(fewer.visits.nums)}
    rows = model.taught(IDS)
    cold = np.flatnonzero(rows < 0)
    np.testing.assert_array_equal(
        model.outputs(ITEMS.texts, rows)[cold], (ITEMS.texts @ model.arrays["adapter_out"])[cold]
    )
    no_text = model.priors(np.zeros((1, len(IDS)), np.float32), np.zeros(len(IDS), np.float32), rows)
    assert (no_text[0, cold] == 0).all()
    assert (no_text[0, rows >= 0] != 0).any()


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    first, again = (learn(TASK, IDS, {}, say).fingerprint for _ in range(2))
    assert first == again
    assert learn(replace(TASK, seed=1), IDS, {}, say).fingerprint != first


def test_training_that_was_broken_off_ends_as_if_it_was_not(tmp_path: Path) -> None:
    whole = train_epochs(TASK, 3, say, tmp_path / "whole").model(IDS, {})
    told: list[str] = []

    class BrokenOffError(Exception):
        pass

    def stop_after_two(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        train_epochs(TASK, 3, stop_after_two, tmp_path / "broken")
    again = train_epochs(TASK, 3, told.append, tmp_path / "broken").model(IDS, {})
    assert told[0] == "going on after epoch 1"
    assert again.fingerprint == whole.fingerprint


def test_nothing_of_what_comes_later_is_known_in_a_span() -> None:
    examples = Examples(LOGS, ITEMS, CONFIG, PopularityConfig())
    log = LOGS.visits
    assert len(examples.spans) == CONFIG.spans
    for batch in examples.epoch(0, 0):
        place = next(n for n, span in enumerate(examples.spans) if span is batch.span)
        rows = examples.rows[examples.span_of == place]
        before = LOGS.event_nums[LOGS.event_micros < log.micros[rows].min()]
        unmet = ~np.isin(np.arange(len(IDS)), before)
        assert (batch.span.popularity[:, unmet] == batch.span.popularity[:, unmet][:, :1]).all()
        assert unmet.any() == (place < 3)


def test_an_epoch_holds_every_first_meeting_once() -> None:
    examples = Examples(LOGS, ITEMS, CONFIG, PopularityConfig())
    met = [(u, t) for batch in examples.epoch(0, 0) for u, t in zip(batch.users, batch.targets, strict=True)]
    owner = LOGS.visits.owners
    assert sorted(met) == sorted(set(zip(owner.tolist(), LOGS.visits.nums.tolist(), strict=True)))
    assert len(first_meetings(LOGS.visits)) == len(met)


def test_popularity_is_the_formula_of_the_popularity_model() -> None:
    found = popularity_at(
        LOGS, 3, len(IDS), float(LOGS.event_micros.max()) + 1, PopularityConfig(half_life_days=1e9, prior_strength=5)
    )
    everywhere = np.bincount(LOGS.event_nums, minlength=len(IDS)) / len(LOGS.event_nums)
    for market in range(3):
        here = np.bincount(LOGS.event_nums[LOGS.event_markets == market], minlength=len(IDS))
        np.testing.assert_allclose(found[market], (here + 5 * everywhere) / (here.sum() + 5))


@pytest.mark.parametrize("n_users", [0, 1, 3])
def test_hardly_any_logs_leave_a_model_that_serves(n_users: int) -> None:
    few = only(LOGS, np.arange(LOGS.n_users) < n_users)
    model = learn(replace(TASK, logs=few), IDS, {}, say)
    assert all(np.isfinite(array).all() for array in model.arrays.values())
    truth = Truth(np.arange(2), np.array([0, 1, 2]), np.array([3, 4], dtype=np.int32), np.inf)
    assert np.isfinite(measure(model, model.taught(IDS), replace(TASK, logs=few), replace_moment(truth))).all()


def replace_moment(truth: Truth) -> Truth:
    return truth._replace(moment=float(LOGS.visits.micros.max()) + 1)


def test_people_who_come_once_make_an_inner_split_of_their_newest_meetings() -> None:
    log = LOGS.visits
    cuts, moment = inner_cuts(LOGS, 0.1, 10_000)
    assert moment > log.micros.max()
    owner = log.owners
    held = log.micros >= cuts[owner]
    assert np.bincount(owner[held], minlength=LOGS.n_users).tolist() == [1] * LOGS.n_users


def test_the_card_tells_what_was_taught_and_how_well_it_did_by_market() -> None:
    model = learn(TASK, IDS, {"market_names": ["DE", "FR", "JP"], "run_date": "2026-01-01"}, say)
    told = card(model)
    assert model.fingerprint in told
    for name, (_, users, before, after) in zip(["DE", "FR", "JP"], model.facts["inner_markets"], strict=True):
        assert f"| {name} | {users:,} | {before:.4f} | {after:.4f} |" in told
    assert sum(row[1] for row in model.facts["inner_markets"]) == model.facts["inner_users"]
    assert f"{model.facts['epochs']} epochs on everything" in told


def test_an_artefact_comes_back_as_it_was_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    model = train_epochs(TASK, 1, say).model(IDS, {"run_date": "2026-01-01"})
    model.save(tmp_path)
    again = hybrid.load(str(tmp_path))
    assert again.fingerprint == model.fingerprint
    assert again.facts["run_date"] == "2026-01-01"
    np.testing.assert_array_equal(again.taught(pa.array(["i003", "nobody"])) >= 0, [True, False])
    other = train_epochs(replace(TASK, seed=1), 1, say).model(IDS, {})
    other.save(tmp_path)
    assert hybrid.load(str(tmp_path)).fingerprint == other.fingerprint != model.fingerprint
    facts = tmp_path / hybrid.FACTS
    facts.write_text(facts.read_text().replace(other.fingerprint, "0" * 16))
    with pytest.raises(LakeError, match="changed or cut"):
        hybrid.load(str(tmp_path))
    with pytest.raises(LakeError, match="no learnt model"):
        hybrid.load(str(tmp_path / "nowhere"))
