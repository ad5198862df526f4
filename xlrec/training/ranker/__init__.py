"""The learnt ranker beside the weighted fusion: trees over shortlists of an inner split, and how they compare.

`learn` needs neither Spark nor a lake: examples in, the artefact's text and facts out.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.kernels import bootstrap
from xlrec.kernels.ranking import NAMES
from xlrec.recommenders.ranking import RankingModel
from xlrec.training.ranker.card import card
from xlrec.training.ranker.examples import Examples, read
from xlrec.training.ranker.trees import N_FOLDS, folds, out_of_fold, taught

__all__ = ["DIFFERENCE", "FUSION", "RANKER", "card", "learn", "read"]

#: Names of the figures, each mean and 95 % interval of NDCG@10.
FUSION: Final = "weighted fusion"
RANKER: Final = "learnt ranker"
DIFFERENCE: Final = "ranker minus fusion, paired"


def learn(examples: Examples, told: dict[str, Any], *, seed: int, n_bootstrap: int) -> RankingModel:
    """The ranker taught on all users, and in its facts how rankers like it do on users whom they were not taught with.

    Args:
        examples: Of the inner split.
        told: Facts to keep: sources, learnt, split, run_date, shortlist, versions.
        seed: Seed of the trees and of the bootstrap.
        n_bootstrap: Poisson bootstrap replicates over users.

    Raises:
        MachineError: LightGBM is missing.
    """
    fusion, ranker = examples.ndcg(), examples.ndcg(out_of_fold(examples, seed))
    weights = bootstrap.poisson_weights(examples.hashes, seed, n_bootstrap)
    pairs = ((FUSION, fusion), (RANKER, ranker), (DIFFERENCE, ranker - fusion))
    booster, choice = taught(examples, np.ones(len(examples.hashes), dtype=np.bool_), seed)
    gains = booster.feature_importance("gain")
    shares = {name: float(gain) / max(float(gains.sum()), 1e-9) for name, gain in zip(NAMES, gains, strict=True)}
    facts = {
        "n_users": len(examples.hashes), "n_taught": examples.n_taught, "n_rows": len(examples.hits),
        "n_hits": int(examples.hits.sum()), "folds": np.bincount(folds(examples), minlength=N_FOLDS).tolist(),
        "leaves": choice.setting.leaves, "rate": choice.setting.rate, "n_trees": choice.n_trees, "seed": seed,
        "ndcg": {name: _interval(values, weights) for name, values in pairs},
        "gains": dict(sorted(shares.items(), key=lambda one: (-one[1], one[0]))),
    }  # fmt: skip
    return RankingModel(booster.model_to_string(), {**told, **facts})


def _interval(values: NDArray[np.float64], weights: NDArray[np.float64]) -> list[float]:
    """Mean and ends of the 95 % interval."""
    sums = bootstrap.replicate_sums(weights, values[:, None])[:, 0]
    return [float(values.mean()), *bootstrap.interval(bootstrap.means(sums, weights.sum(axis=0)))]
