"""The learnt ranker as an artefact: LightGBM's own text of the trees, and a file that says what they were taught.

LightGBM is in the extra `ranker`: nothing here imports it before a ranker is loaded or learnt.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xlrec.errors import LakeError
from xlrec.kernels.ranking import NAMES
from xlrec.machine import imported

#: Layout of the folder; another layout does not load.
LAYOUT: Final = 1
FACTS: Final = "ranker.json"
TREES: Final = "model.txt"


def require() -> Any:
    """The module lightgbm.

    Raises:
        MachineError: it is not installed here, or misses a library of the system.
    """
    return imported(
        "lightgbm",
        "a learnt ranker needs LightGBM, which",
        "run `pip install 'xlrec[ranker]'` on every machine, or set rank.ranker to null",
    )


@dataclass(frozen=True)
class RankingModel:
    """Trees of a ranker and what they were taught."""

    text: str
    """LightGBM's text of the model."""
    facts: dict[str, Any]
    """features, sources, learnt, n_users, ndcg, setting, versions, …"""

    @property
    def fingerprint(self) -> str:
        """Names the trees: hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def _booster(self) -> Any:
        return require().Booster(model_str=self.text)

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) float64, higher is better; each row's hangs on nothing but the row.

        Args:
            features: (n, n_features) float64 in the order of `NAMES`.
        """
        if not len(features):
            return np.zeros(0)
        return np.asarray(self._booster.predict(features, num_threads=1))

    def contributions(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, n_features) float64 what each feature adds to a row's score beyond the mean of the training's rows.

        Source: Lundberg et al. 2020 (TreeSHAP), as LightGBM's pred_contrib; its last column, the mean, is left out.

        Args:
            features: (n, n_features) float64 in the order of `NAMES`.
        """
        if not len(features):
            return np.zeros(features.shape)
        return np.asarray(self._booster.predict(features, num_threads=1, pred_contrib=True))[:, :-1]

    def check(self, sources: list[str], learnt: bool, folder: str) -> None:
        """Refuses to serve other scores than those that the trees were taught on.

        Args:
            sources: Sources with a weight.
            learnt: Whether `similar` is a learnt model's.
            folder: Named in the error.

        Raises:
            LakeError: names what differs.
        """
        for name, seen in (("sources", sources), ("learnt", learnt)):
            if self.facts.get(name) != seen:
                raise LakeError(
                    f"ranker {folder} was taught with {name} = {self.facts.get(name)!r}, this config has {seen!r}: "
                    "run `xlrec train-ranker` with this config"
                )

    def save(self, folder: Path) -> None:
        """Writes the artefact; `ranker.json`, its last file, makes it whole."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TREES).write_text(self.text, encoding="utf-8", newline="")
        facts = {**self.facts, "layout": LAYOUT, "fingerprint": self.fingerprint, "features": list(NAMES)}
        (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: str) -> RankingModel:
    """The ranker in a folder; the same object for all callers in this process while the files say the same.

    Raises:
        LakeError: there is no whole ranker of this layout, or it takes other features than this version makes.
        MachineError: LightGBM is missing.
    """
    require()
    try:
        facts: dict[str, Any] = json.loads((Path(folder) / FACTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LakeError(f"no ranker in {folder} ({error}): learn one with `xlrec train-ranker`") from error
    for name, wanted in (("layout", LAYOUT), ("features", list(NAMES))):
        if facts.get(name) != wanted:
            raise LakeError(
                f"ranker {folder} has {name} {facts.get(name)!r}, this version has {wanted!r}: run `xlrec train-ranker`"
            )
    try:
        with (Path(folder) / TREES).open(encoding="utf-8", newline="") as file:
            model = _model(file.read(), json.dumps(facts))
    except (OSError, ValueError) as error:
        raise LakeError(f"ranker {folder} cannot be read ({error}): run `xlrec train-ranker` again") from error
    if model.fingerprint != facts.get("fingerprint"):
        raise LakeError(
            f"ranker {folder} is not what its {FACTS} says: {TREES} was changed or cut; run `xlrec train-ranker` again"
        )
    return model


@lru_cache(maxsize=2)
def _model(text: str, facts: str) -> RankingModel:
    return RankingModel(text, json.loads(facts))
