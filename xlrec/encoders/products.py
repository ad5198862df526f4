"""Linear layers whose weights are laid out once as oneDNN's products read them, where torch does so at each call."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

#: (n, outputs) of (n, inputs).
Product = Callable[[Any], Any]


def product(weight: torch.Tensor, bias: torch.Tensor) -> Product:
    """Rows times the weight's transpose, plus the bias; in bfloat16 the same bits whether laid out before or not."""
    if not _laid_out(weight.dtype):
        return partial(torch.nn.functional.linear, weight=weight, bias=bias)
    with torch.inference_mode():
        return partial(_product, torch.ops.mkldnn._reorder_linear_weight(weight), bias)


def _product(weight: Any, bias: Any, rows: Any) -> Any:
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")


def _laid_out(dtype: torch.dtype) -> bool:
    """Whether torch has such products for the type here; on processors of other kinds nothing was measured."""
    ops = torch.ops.mkldnn
    if not all(hasattr(ops, name) for name in ("_reorder_linear_weight", "_linear_pointwise")):
        return False
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    native = getattr(ops, "_is_mkldnn_bf16_supported", bool)
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(native()))
