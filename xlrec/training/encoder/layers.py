"""Transformer layers over the table of a static model: words in their context, from vectors that are good already.

The layers are ModernBERT's (Warner et al. 2024). Before training each adds nothing to a token's row and the rows are
levelled (`xlrec.kernels.base.level`), so that the model gives the static model's own vectors.
"""

from dataclasses import dataclass
from typing import Any

#: Positions matter within a short text: a small base turns neighbours well apart (Su et al. 2021).
_ROPE_BASE = 1000.0


@dataclass(frozen=True)
class Shape:
    """What the layers are made of."""

    layers: int
    heads: int
    inner: int
    """Numbers between the two maps of a layer's gated part."""
    hidden: int
    """Numbers of a token inside; more than the table's by an even number."""
    dim: int
    """Numbers of the table's rows, and of the vectors."""


def backbone(shape: Shape, n_tokens: int, max_tokens: int, pad: int = 0) -> Any:
    """A ModernBERT that adds nothing to what comes in, with a table of n_tokens rows that is yet to be filled."""
    import torch
    from transformers import ModernBertConfig, ModernBertModel

    rope: Any = {
        kind: {"rope_type": "default", "rope_theta": _ROPE_BASE} for kind in ("full_attention", "sliding_attention")
    }
    model: Any = ModernBertModel(
        ModernBertConfig(
            vocab_size=n_tokens,
            hidden_size=shape.hidden,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            layer_types=["full_attention"] * shape.layers,
            rope_parameters=rope,
            max_position_embeddings=max_tokens,
            pad_token_id=pad,
            bos_token_id=None,
            eos_token_id=None,
            cls_token_id=None,
            sep_token_id=None,
        )
    )
    with torch.no_grad():
        for layer in model.layers:
            layer.attn.Wo.weight.zero_()
            layer.mlp.Wo.weight.zero_()
            for weight in (layer.attn.Wqkv.weight, layer.mlp.Wi.weight):
                torch.nn.init.normal_(weight, std=shape.hidden**-0.5)
    return model


def head(shape: Shape) -> Any:
    """(n, hidden) → (n, dim): before training, the first dim numbers."""
    import torch
    from sentence_transformers.base.modules import Dense

    module: Any = Dense(shape.hidden, shape.dim, bias=False, activation_function=torch.nn.Identity())
    with torch.no_grad():
        module.linear.weight.copy_(torch.eye(shape.dim, shape.hidden))
    return module
