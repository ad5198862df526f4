"""Lambdarank trees: settings and number of trees chosen on some of the users, then taught on all that are given.

Source: Burges 2010, "From RankNet to LambdaRank to LambdaMART"; LightGBM (Ke et al. 2017).
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels.ranking import NAMES
from xlrec.recommenders.ranking import require
from xlrec.training.ranker.examples import Examples, K

_Users = NDArray[np.bool_]
#: Most trees.
MOST_TREES: Final = 100
#: Folds of the users: each is scored by trees that were not taught with it.
N_FOLDS: Final = 5
#: Parts of the users; on each in turn the others' trees are measured, to choose setting and number of trees.
_PARTS: Final = 4


class Setting(NamedTuple):
    """What is tried: small trees, since they and their reasons cost little to serve, and larger ones did no better."""

    leaves: int
    rate: float


SETTINGS: Final = (Setting(4, 0.05), Setting(4, 0.1))


class Choice(NamedTuple):
    """A setting, its number of trees, and NDCG@K on held-out users, of what their shortlists hold."""

    setting: Setting
    n_trees: int
    ndcg: float


def folds(examples: Examples) -> NDArray[np.int64]:
    """(n_users,) fold of each user, from the hash of the id alone."""
    return np.asarray(examples.hashes % N_FOLDS)


def out_of_fold(examples: Examples, seed: int) -> NDArray[np.float64]:
    """(n_rows,) scores of each candidate by trees that saw nothing of its user; choice of settings included."""
    fold, found = folds(examples), np.zeros(len(examples.hits))
    for number in range(N_FOLDS):
        apart = (fold == number)[examples.users]
        if apart.any():
            found[apart] = taught(examples, fold != number, seed)[0].predict(examples.features[apart], num_threads=1)
    return found


def taught(examples: Examples, users: _Users, seed: int) -> tuple[Any, Choice]:
    """The booster taught on some users, with the setting that did best on those of them whom it was not taught with."""
    choice = choose(examples, users, seed)
    return fit(examples, users, choice.setting, choice.n_trees, seed), choice


def fit(examples: Examples, users: _Users, setting: Setting, n_trees: int, seed: int) -> Any:
    """The booster of so many trees."""
    return require().train(_parameters(setting, seed), _dataset(examples, users), n_trees)


def choose(examples: Examples, users: _Users, seed: int) -> Choice:
    """The best setting and number of trees by NDCG@K over parts of the users, each held out once; ties to the first."""
    part = (examples.hashes // N_FOLDS) % _PARTS
    helpful, best = users & _helpful(examples), Choice(SETTINGS[0], MOST_TREES // 2, 0.0)
    for setting in SETTINGS:
        total, n_held = np.zeros(MOST_TREES), 0
        for number in range(_PARTS):
            held = helpful & (part == number)
            if held.any() and (helpful & ~held).any():
                total += held.sum() * _curve(examples, helpful & ~held, held, setting, seed)
                n_held += int(held.sum())
        if n_held and total.max() / n_held > best.ndcg:
            best = Choice(setting, int(total.argmax()) + 1, float(total.max() / n_held))
    return best


def _curve(examples: Examples, users: _Users, held: _Users, setting: Setting, seed: int) -> NDArray[np.float64]:
    """(MOST_TREES,) NDCG@K over the held users after each tree, of what their shortlists hold."""
    lightgbm = require()
    course: dict[str, dict[str, list[float]]] = {}
    data = _dataset(examples, users)
    lightgbm.train(
        _parameters(setting, seed), data, MOST_TREES, valid_sets=[_dataset(examples, held, data)],
        callbacks=[lightgbm.record_evaluation(course)],
    )  # fmt: skip
    (found,) = course["valid_0"].values()
    return np.pad(np.asarray(found), (0, MOST_TREES - len(found)), mode="edge")


def _parameters(setting: Setting, seed: int) -> dict[str, Any]:
    return {
        "objective": "lambdarank", "metric": "ndcg", "eval_at": [K], "lambdarank_truncation_level": 2 * K,
        "num_leaves": setting.leaves, "learning_rate": setting.rate, "min_data_in_leaf": 100, "feature_fraction": 0.7,
        "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": seed % 2**31, "verbose": -1,
    }  # fmt: skip


def _helpful(examples: Examples) -> _Users:
    """(n_users,) of whom a choice is among the candidates."""
    found = np.zeros(len(examples.hashes), dtype=np.bool_)
    found[examples.users[examples.hits]] = True
    return found


def _dataset(examples: Examples, users: _Users, reference: Any = None) -> Any:
    """Candidates of some users, those left out of whom no choice is among them: they teach and measure nothing."""
    kept = users & _helpful(examples)
    rows = kept[examples.users]
    return require().Dataset(
        examples.features[rows], examples.hits[rows].astype(np.int64), group=examples.sizes[kept],
        feature_name=list(NAMES), reference=reference, params={"verbose": -1},
    )  # fmt: skip
