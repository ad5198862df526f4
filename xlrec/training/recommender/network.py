"""The network in torch: scores of a batch against candidates, their loss, and the optimiser of the touched rows."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrec.config import HybridConfig
from xlrec.kernels.attention import N_AGES, N_LENGTHS, N_PLACES, length_buckets
from xlrec.recommenders.hybrid import SCALARS, HybridModel
from xlrec.training.recommender.examples import Past
from xlrec.training.recommender.logs import Items

_BETAS: Final = (0.9, 0.999)
_EPSILON: Final = 1e-8
#: Start of the scalars; the scale is that of a softmax over cosines, popularity and language count somewhat.
_START: Final = {"log_scale": 2.1, "weight": 0.3, "popularity": 0.5, "freshness": 0.0, "language": 1.0}
#: A visit counts less by this, from place to place, before anything is learnt.
_PLACE_STEP: Final = 0.15
TABLES: Final = ("residual_out", "residual_in", "bias")


def principal(texts: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """(text_dim, dim) the directions in which the texts differ most: where adapters start, so text alone already works.

    Columns beyond text_dim are zero. The sign of each direction makes its largest number positive.
    """
    wide = texts.astype(np.float64)
    values, vectors = np.linalg.eigh(wide.T @ wide)
    found = vectors[:, np.argsort(-values, kind="stable")][:, :dim]
    peaks = found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])]
    found = found * np.where(peaks < 0, -1.0, 1.0)
    padded = np.zeros((texts.shape[1], dim), dtype=np.float32)
    padded[:, : found.shape[1]] = found
    return padded


class Network:
    """Weights, and the optimisers' state; nothing here draws numbers but the first residuals."""

    def __init__(self, items: Items, taught: NDArray[np.bool_], config: HybridConfig, seed: int) -> None:
        """Starts from the texts alone.

        Args:
            items: All items.
            taught: (n_items,) has an example; the others keep no residual and no bias.
            config: Sizes and rates.
            seed: Of the first residuals.
        """
        self.config, self.texts = config, torch.from_numpy(items.texts)
        self.taught = torch.from_numpy(taught.astype(np.float32))
        n_items, dim = len(items.texts), config.dim
        rng = np.random.default_rng([seed, 12])
        start = torch.from_numpy(principal(items.texts, dim))
        self.starts = {"adapter_out": start, "adapter_in": start}
        self.origins: dict[str, Tensor] = {}
        self.tables = {
            name: torch.from_numpy((0.02 * dim**-0.5 * rng.standard_normal((n_items, dim))).astype(np.float32))
            for name in TABLES[:2]
        } | {"bias": torch.zeros(n_items, 1)}
        self.moments = {name: (torch.zeros_like(t), torch.zeros_like(t)) for name, t in self.tables.items()}
        self.dense = {
            "adapter_out": start.clone(),
            "adapter_in": start.clone(),
            "gate": torch.zeros(items.texts.shape[1]),
            "places": -_PLACE_STEP * torch.arange(N_PLACES, dtype=torch.float32),
            "ages": torch.zeros(N_AGES),
            "lengths": torch.zeros(N_LENGTHS),
            "scalars": torch.tensor([_START[name] for name in SCALARS]),
        }
        for one in self.dense.values():
            one.requires_grad_(True)
        adapters = [self.dense["adapter_out"], self.dense["adapter_in"]]
        others = [one for name, one in self.dense.items() if not name.startswith("adapter")]
        self.optimiser = torch.optim.Adam(
            [{"params": adapters, "lr": config.adapter_rate}, {"params": others, "lr": config.attention_rate}],
            betas=_BETAS,
        )
        self.rates = [config.adapter_rate, config.attention_rate]
        self.step_number = 0

    def scalar(self, name: str) -> Tensor:
        """One of `hybrid.SCALARS`."""
        return self.dense["scalars"][SCALARS.index(name)]

    def rows(self, name: str, nums: NDArray[np.int64]) -> Tensor:
        """The rows of a table, with gradients of their own."""
        return self.tables[name][torch.from_numpy(nums)].requires_grad_(True)

    def vectors(self, side: str, nums: NDArray[np.int64], residual: Tensor, kept: NDArray[np.float32]) -> Tensor:
        """(n, dim) adapter(text) + residual where it is kept and the item was taught."""
        chosen = torch.from_numpy(nums)
        mask = self.taught[chosen] * torch.from_numpy(kept)
        return self.texts[chosen] @ self.dense[f"adapter_{side}"] + residual * mask[:, None]

    def queries(self, past: Past, places: NDArray[np.int64], nums: NDArray[np.int64], vectors: Tensor) -> Tensor:
        """(n, dim) the learnt part of the queries.

        Args:
            past: Histories.
            places: (n, length) place of each history item in `nums`.
            nums: Distinct items of the histories.
            vectors: (len(nums), dim) of `vectors("in", …)`.
        """
        at = torch.from_numpy(places)
        held = torch.from_numpy(past.held)
        gates = self.texts[torch.from_numpy(nums)] @ self.dense["gate"]
        logits = (
            self.dense["places"][torch.from_numpy(np.ascontiguousarray(past.places))]
            + self.dense["ages"][torch.from_numpy(past.ages)]
            + self.scalar("weight") * torch.from_numpy(past.log_weights)
            + gates[at]
        )
        weights = torch.softmax(logits.masked_fill(~held, -1e9), dim=1) * held
        lengths = self.dense["lengths"][torch.from_numpy(length_buckets(past.n_visits))]
        scale = torch.exp(self.scalar("log_scale") + lengths)
        return torch.bmm(weights[:, None, :], vectors[at])[:, 0] * scale[:, None]

    def logits(
        self, queries: Tensor, outputs: Tensor, bias: Tensor, popularity: Tensor, fresh: Tensor, match: Tensor
    ) -> Tensor:
        """(n, n_candidates): what is learnt, the bias, popularity (n, n_candidates), freshness, and language match."""
        return (
            queries @ outputs.T
            + bias[None]
            + self.scalar("popularity") * popularity
            + self.scalar("freshness") * fresh[None]
            + self.scalar("language") * match
        )

    def take_over(self, start: HybridModel, rows: NDArray[np.int64]) -> None:
        """Copies the weights of a trained model, towards which the penalties pull from here on.

        Args:
            start: The model.
            rows: (n_items,) row of each item in its residuals, -1 where it was not taught.
        """
        known = torch.from_numpy(np.flatnonzero(rows >= 0))
        with torch.no_grad():
            for name, one in self.dense.items():
                one.copy_(torch.from_numpy(start.arrays[name]))
            for name, table in self.tables.items():
                values = torch.from_numpy(start.arrays[name][rows[rows >= 0]].reshape(-1, table.shape[1]))
                table[known] = values
                self.origins[name] = torch.zeros_like(table)
                self.origins[name][known] = values
            self.starts = {name: self.dense[name].detach().clone() for name in self.starts}

    def freeze(self) -> None:
        """Adapters, attention and scalars stay as they are; residuals and biases alone learn."""
        self.rates = [0.0] * len(self.rates)

    def penalty(self, touched: dict[str, tuple[NDArray[np.int64], Tensor]], n_examples: int) -> Tensor:
        """What residuals away from zero (or from the start model's), and adapters away from their start, cost."""
        away = [
            ((rows - self.origins[name][torch.from_numpy(nums)] if self.origins else rows) ** 2).sum()
            for name, (nums, rows) in touched.items()
        ]
        residuals = torch.stack(away).sum() / n_examples
        adapters = torch.stack([((self.dense[name] - one) ** 2).sum() for name, one in self.starts.items()]).sum()
        return self.config.residual_penalty * residuals + self.config.adapter_penalty * adapters

    def zero_grad(self) -> None:
        """Forgets the gradients of the dense weights."""
        self.optimiser.zero_grad(set_to_none=False)

    def step(self, touched: dict[str, tuple[NDArray[np.int64], Tensor]], left: float) -> None:
        """One step of Adam; tables move only in the touched rows (lazy moments).

        Args:
            touched: Table to item_nums and their rows, whose `.grad` is set.
            left: Share of the learning rate, in (0, 1].
        """
        self.step_number += 1
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * left
        self.optimiser.step()
        correct = [1 - beta**self.step_number for beta in _BETAS]
        with torch.no_grad():
            for name, (nums, rows) in touched.items():
                if rows.grad is None:
                    continue
                at = torch.from_numpy(nums)
                mean, square = (moment[at] for moment in self.moments[name])
                mean = _BETAS[0] * mean + (1 - _BETAS[0]) * rows.grad
                square = _BETAS[1] * square + (1 - _BETAS[1]) * rows.grad**2
                self.moments[name][0][at], self.moments[name][1][at] = mean, square
                move = mean / correct[0] / ((square / correct[1]).sqrt() + _EPSILON)
                self.tables[name][at] = rows.detach() - self.config.residual_rate * left * move

    def state(self) -> dict[str, NDArray[Any]]:
        """All that a checkpoint keeps."""
        found = {name: one.detach().numpy().copy() for name, one in (*self.dense.items(), *self.tables.items())}
        for name, pair in self.moments.items():
            found |= {f"{name}.{which}": one.numpy().copy() for which, one in zip("ms", pair, strict=True)}
        for name, one in self.dense.items():
            kept = self.optimiser.state.get(one, {})
            found |= {f"{name}.{key}": kept[key].numpy().copy() for key in ("exp_avg", "exp_avg_sq") if key in kept}
        return found | {"step": np.array([self.step_number])}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Takes what `state` gave."""
        self.step_number = int(state["step"][0])
        with torch.no_grad():
            for name, one in (*self.dense.items(), *self.tables.items()):
                one.copy_(torch.from_numpy(state[name]))
            for name, pair in self.moments.items():
                for which, one in zip("ms", pair, strict=True):
                    one.copy_(torch.from_numpy(state[f"{name}.{which}"]))
            for name, one in self.dense.items():
                if f"{name}.exp_avg" in state:
                    kept = {key: torch.from_numpy(state[f"{name}.{key}"].copy()) for key in ("exp_avg", "exp_avg_sq")}
                    self.optimiser.state[one] = {"step": torch.tensor(float(self.step_number)), **kept}
