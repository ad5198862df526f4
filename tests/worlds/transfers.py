"""Transfer to one of six planted markets, and its figures."""

import pyarrow as pa

from xlrec.config.models import Config
from xlrec.training.recommender.quality import METRICS
from xlrec.training.transfer import Experiment
from xlrec.training.transfer.domains import Domains
from xlrec.training.transfer.figures import ALL, Difference, Key

#: Taste decides, not quality: popularity is a source of its own in a list, and no part of what is carried over.
WORLD = {
    "n_users": 4800, "n_items": 400, "n_markets": 6, "noise": 0.2, "bilingual": 0.3, "seed": 3, "quality": 0.3,
}  # fmt: skip
CONFIG = Config.model_validate({
    "lake": "l", "inputs": {"catalog": "c", "interactions": "i"}, "train": {"factors": {"dim": 16}},
    "transfer": {"bootstrap": 500}, "evaluate": {"history_slices": [1, 3, 10]},
})  # fmt: skip
SHARES = (0.05, 1.0)
IDS = pa.array([f"i{num:03d}" for num in range(400)])
SOURCES, TARGET = (1, 2, 3, 4, 5), (0,)
MARKETS = tuple(f"M{row}" for row in range(6))


def planted_experiment(domains: Domains) -> Experiment:
    return Experiment(domains, IDS, MARKETS, CONFIG, SHARES, lambda _: None)


def mean_ndcg(made: Experiment, key: Key) -> float:
    figures = made.outcome.figures
    return next(f.value for f in figures if (f.strategy, f.share, f.metric, f.slice) == (*key, METRICS[0], ALL))


def ndcg_difference(made: Experiment, one: Key, other: Key) -> Difference:
    found = made.outcome.differences
    return next(
        d for d in found if (d.strategy, d.share, d.other, d.other_share, d.metric) == (*one, *other, METRICS[0])
    )
