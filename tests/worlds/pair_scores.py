"""Item-to-item scores by loops over weighed users and a dense solve: the oracle of the counted ones."""

from typing import Any

import numpy as np

from xlrec.kernels.history.covisits import ChoiceLogs, Rules
from xlrec.kernels.history.item_weights import Mixture

_DAY = 86_400_000_000
Array = np.ndarray[Any, Any]


def oracle(logs: ChoiceLogs, n_items: int, market: int, mixture: Mixture, rules: Rules, tie: int = 1) -> Array:
    """(n_items, n_items) score of each history item for each item, users one by one; tie -1: the last of equals."""
    gram, closeness = np.zeros((n_items, n_items)), np.zeros((n_items, n_items))
    for user, home in enumerate(logs.markets):
        weight = 1.0 if home == market else mixture.others
        run = range(logs.indptr[user], logs.indptr[user + 1])
        for i in run:
            for j in run:
                gram[logs.nums[i], logs.nums[j]] += weight
                gap = abs(logs.micros[i] - logs.micros[j]) / _DAY
                if 0 < abs(i - j) <= rules.window and gap <= rules.max_gap_days:
                    value = abs(i - j) ** -rules.distance_decay * 0.5 ** (gap / rules.gap_half_life_days)
                    closeness[logs.nums[i], logs.nums[j]] += weight * value
    users, found = np.diag(gram), np.zeros((n_items, n_items))
    for item in range(n_items):
        near = [h for h in range(n_items) if h != item and gram[h, item] > 0]
        norms = {h: users[h] ** mixture.normalisation * users[item] ** (1 - mixture.normalisation) for h in near}
        scores = {h: mixture.sequence * closeness[h, item] / norms[h] for h in near}
        measure = {h: round(gram[h, item] / users[h] ** 0.5 if mixture.regression else scores[h], 9) for h in near}
        near = sorted(near, key=lambda h: (-measure[h], tie * h))[: mixture.n_predictors]
        found[near, item] = [scores[h] for h in near]
        if mixture.regression and near:
            inner = gram[np.ix_(near, near)] + mixture.penalty * np.eye(len(near))
            found[near, item] += np.maximum(0, np.linalg.solve(inner, gram[near, item]))
    return found
