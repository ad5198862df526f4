"""Losses over a batch of pairs: what says the same is never a negative.

Source: van den Oord et al. 2018 (InfoNCE), Reimers and Gurevych 2020 (distillation into other languages), Kusupati et
al. 2022 (Matryoshka cuts).
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Longs = npt.NDArray[np.int64]


def same_pairs(groups: list[tuple[Longs, Longs]], n: int) -> tuple[Longs, Longs]:
    """(rows, columns), rows ≠ columns, of pairs that have anything in common, such as a concept or a text.

    Args:
        groups: of each kind of thing, (pair, thing) that it holds, each as often as it occurs.
        n: number of pairs.
    """
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]  # has no types of its own

    total = None
    for pairs, things in groups:
        _, numbers = np.unique(things, return_inverse=True)
        shape = (n, int(numbers.max(initial=-1)) + 1)
        holds = coo_matrix((np.ones(len(pairs), dtype=np.float32), (pairs, numbers)), shape=shape).tocsr()
        shared = holds @ holds.T
        total = shared if total is None else total + shared
    if total is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    rows, columns = total.nonzero()
    apart = rows != columns
    return rows[apart].astype(np.int64), columns[apart].astype(np.int64)


def info_nce(a: "Tensor", b: "Tensor", same: tuple["Tensor", "Tensor"], temperature: float) -> "Tensor":
    """Mean cross-entropy of finding b[i] from a[i] among all b, and a[i] from b[i] among all a.

    Args:
        a: (n, dim) unit norm.
        b: (n, dim) unit norm.
        same: (rows, columns) of pairs that say the same: neither is the other's negative.
        temperature: divides the cosines.
    """
    import torch
    from torch.nn.functional import cross_entropy

    logits = (a @ b.T).float() / temperature
    if len(same[0]):
        logits = logits.index_put(same, torch.tensor(-1e4, device=logits.device))
    target = torch.arange(len(a), device=logits.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def unit(vectors: "Tensor") -> "Tensor":
    """(n, dim) at unit norm; zero stays zero."""
    from torch.nn.functional import normalize

    return normalize(vectors, dim=1, eps=1e-8)


def distillation(a: "Tensor", b: "Tensor", teacher: "Tensor") -> "Tensor":
    """Mean of 1 - cosine to the teacher's vector of the pair, over both sides.

    The cosine and not the squared error, as only directions count here.

    Args:
        a: (n, dim) unit norm.
        b: (n, dim) unit norm.
        teacher: (n, dim) unit norm, of the pivot's side; a pair without one is zero and counts nothing.
    """
    known = (teacher.abs().sum(dim=1) > 0).float()
    cosines = ((a + b) * teacher).sum(dim=1) / 2
    return ((1 - cosines) * known).sum() / known.sum().clamp(min=1)


def relations(a: "Tensor", b: "Tensor", teacher: "Tensor", temperature: float) -> "Tensor":
    """Mean cross-entropy of a's likeness to all b, and b's to all a, against the teacher's likeness of the texts.

    What the teacher takes for near may be near, and the spaces need not be turned into one another.

    Args:
        a: (n, dim) unit norm.
        b: (n, dim) unit norm.
        teacher: (n, any) unit norm, of the pivot's side; a pair without one is zero, and is left out.
        temperature: divides all cosines.
    """
    import torch
    from torch.nn.functional import cross_entropy

    known = torch.nonzero(teacher.abs().sum(dim=1) > 0)[:, 0]
    if len(known) < 2:
        return (a.sum() + b.sum()) * 0.0
    a, b, teacher = a[known], b[known], teacher[known]
    wanted = torch.softmax(teacher @ teacher.T / temperature, dim=1)
    logits = (a @ b.T).float() / temperature
    return (cross_entropy(logits, wanted) + cross_entropy(logits.T, wanted)) / 2


def whole_loss(
    vectors: tuple["Tensor", "Tensor"],
    same: tuple["Tensor", "Tensor"],
    temperature: float,
    cut: tuple[int, float] | None = None,
    teacher: tuple["Tensor", float] | None = None,
    teaches: Literal["vectors", "likeness"] = "vectors",
) -> "Tensor":
    """The sum of what is asked of a batch.

    Args:
        vectors: both sides, (n, dim) of any norm.
        same: as in `info_nce`.
        temperature: as in `info_nce`.
        cut: (numbers kept, weight) of a Matryoshka cut.
        teacher: ((n, dim), weight) of the distillation.
        teaches: whether vectors should be the teacher's (`distillation`), or as far from one another (`relations`).
    """
    a, b = unit(vectors[0]), unit(vectors[1])
    total = info_nce(a, b, same, temperature)
    if cut is not None:
        dim, weight = cut
        total = total + weight * info_nce(unit(vectors[0][:, :dim]), unit(vectors[1][:, :dim]), same, temperature)
    if teacher is not None and teaches == "vectors":
        total = total + teacher[1] * distillation(a, b, teacher[0])
    elif teacher is not None:
        total = total + teacher[1] * relations(a, b, teacher[0], temperature)
    return total
