"""Contrastive loss over a batch of pairs: pairs that say the same are never each other's negatives.

Source: van den Oord et al. 2018 (InfoNCE), Kusupati et al. 2022 (Matryoshka cuts).
"""

from typing import TYPE_CHECKING

import numpy as np

from xlrec.kernels.text.bags import Longs
from xlrec.training.encoder.config import LossConfig
from xlrec.training.encoder.sampler import Pairs

if TYPE_CHECKING:
    from torch import Tensor


def batch_loss(vectors: "Tensor", same: tuple[Longs, Longs], config: LossConfig, rng: np.random.Generator) -> "Tensor":
    """InfoNCE of a batch, and of one Matryoshka cut of its vectors where the config names some; `rng` draws it.

    Vectors are (2 n_pairs, dim) float32 of any norm, left sides first. `same` has the (n,) int64
    rows and columns of `same_pairs`.
    """
    import torch

    n_pairs = len(vectors) // 2
    masked = torch.from_numpy(same[0]).to(vectors.device), torch.from_numpy(same[1]).to(vectors.device)
    widths = [(vectors.shape[1], 1.0)]
    if config.matryoshka_dims:
        widths.append((int(rng.choice(config.matryoshka_dims)), config.matryoshka_weight))
    total = torch.zeros((), device=vectors.device)
    for width, weight in widths:
        left, right = unit_vectors(vectors[:n_pairs, :width]), unit_vectors(vectors[n_pairs:, :width])
        total = total + weight * info_nce(left, right, masked, config.temperature)
    return total


def same_pairs(pairs: Pairs, concept: Longs, spelling: Longs) -> tuple[Longs, Longs]:
    """(rows, columns), rows ≠ columns: pairs of a batch that share a concept, or a text on the same side.

    Of items that the same users chose, a pair holds two concepts: neither is a negative of another pair that has one.
    `concept` is (n_texts,) int64; `spelling`, (2 n_pairs,) int64 with left sides first, is equal for equal texts. Rows
    and columns are (n,) int64.
    """
    n_pairs = len(pairs)
    owners = np.repeat(np.arange(n_pairs), np.diff(pairs.starts))
    left, right = concept[pairs.a], concept[pairs.b]
    apart = left != right
    concepts = np.concatenate([owners, owners[apart]]), np.concatenate([left, right[apart]])
    every = np.arange(n_pairs)
    return shared_rows([concepts, (every, spelling[:n_pairs]), (every, spelling[n_pairs:])], n_pairs)


def shared_rows(groups: list[tuple[Longs, Longs]], n_rows: int) -> tuple[Longs, Longs]:
    """(rows, columns), rows ≠ columns: rows that hold a common value in any of the groups.

    A group is the (n,) int64 rows and their (n,) int64 values; a row may occur more than once. Rows and columns
    are (n_common,) int64.
    """
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]  # has no types of its own

    total = coo_matrix((n_rows, n_rows), dtype=np.float32).tocsr()
    for rows, values in groups:
        _, numbers = np.unique(values, return_inverse=True)
        shape = (n_rows, int(numbers.max(initial=-1)) + 1)
        holds = coo_matrix((np.ones(len(rows), dtype=np.float32), (rows, numbers)), shape=shape).tocsr()
        total = total + holds @ holds.T
    first, second = total.nonzero()
    apart = first != second
    return first[apart].astype(np.int64), second[apart].astype(np.int64)


def info_nce(left: "Tensor", right: "Tensor", same: tuple["Tensor", "Tensor"], temperature: float) -> "Tensor":
    """Mean cross-entropy of finding right[i] from left[i] among all rights, and left[i] from right[i] among all lefts.

    Both are (n_pairs, dim) float32, unit norm; `same` (rows, columns) are pairs that are no negatives of each other.
    The temperature divides the cosines.
    """
    import torch
    from torch.nn.functional import cross_entropy

    logits = (left @ right.T).float() / temperature
    if len(same[0]):
        logits = logits.index_put(same, torch.tensor(-1e4, device=logits.device))
    target = torch.arange(len(left), device=logits.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def relation_loss(sides: list["Tensor"], targets: "Tensor", temperature: float) -> "Tensor":
    """Mean cross-entropy between the targets' nearness to each other and the vectors' nearness to the targets.

    It is lowest where a vector is its target, and weighs what is near most. Each side is (n, dim) float32 of any norm.
    Targets are (n, dim) float32 at unit norm; a row whose target is zero counts nothing, and the loss is 0 without any
    other.
    """
    import torch

    known = targets.abs().sum(dim=1) > 0
    targets = targets[known]
    wanted = torch.softmax(targets @ targets.T / temperature, dim=1)
    total = torch.zeros(())
    for side in sides:
        found = torch.log_softmax(unit_vectors(side[known]) @ targets.T / temperature, dim=1)
        total = total - (wanted * found).sum() / max(len(targets), 1)
    return total / len(sides)


def unit_vectors(vectors: "Tensor") -> "Tensor":
    """(n, dim) float32 at unit norm; zero stays zero."""
    from torch.nn.functional import normalize

    return normalize(vectors, dim=1, eps=1e-8)
