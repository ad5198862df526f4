"""A BERT's or RoBERTa's layers over the tokens of many texts, which meet in attention alone."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from xlrec.encoders.products import product
from xlrec.kernels.text.layer_norm import add_and_normalise
from xlrec.kernels.text.self_attention import attend


class Layers:
    """The embeddings and layers of a transformers model, for inference on a CPU."""

    def __init__(self, core: Any) -> None:
        """Takes the layers out of the model, so that no weight is held twice."""
        self._embeddings = core.embeddings
        self._layers = [_Layer(core.encoder.layer.pop(0)) for _ in range(len(core.encoder.layer))]

    def __call__(self, ids: Any, positions: Any, lengths: npt.NDArray[np.int64]) -> Any:
        """(n_tokens, width) of the last layer.

        Args:
            ids: (n_tokens,) of the texts, one behind the other, and of whatever fills the row up.
            positions: (n_tokens,) row of the table of positions.
            lengths: (n_texts,) tokens of each text.
        """
        tokens = self._embeddings(input_ids=ids[None], position_ids=positions[None])[0]
        for layer in self._layers:
            tokens = layer(tokens, lengths)
        return tokens


class _Layer:
    """Attention and a net for each token, each added to what went in, and normalised."""

    def __init__(self, layer: Any) -> None:
        attention, own = layer.attention, layer.attention.self
        three = [own.query, own.key, own.value]
        self._three = product(torch.cat([one.weight for one in three]), torch.cat([one.bias for one in three]))
        self._n_heads, self._scale = own.num_attention_heads, own.scaling
        self._joined = product(attention.output.dense.weight, attention.output.dense.bias)
        self._up = product(layer.intermediate.dense.weight, layer.intermediate.dense.bias)
        self._down = product(layer.output.dense.weight, layer.output.dense.bias)
        self._act = layer.intermediate.intermediate_act_fn
        self._first, self._second = _Normalised(attention.output.LayerNorm), _Normalised(layer.output.LayerNorm)

    def __call__(self, tokens: Any, lengths: npt.NDArray[np.int64]) -> Any:
        """(n_tokens, width)."""
        found = attend(_array(self._three(tokens)), lengths, self._n_heads, self._scale)
        tokens = self._first(self._joined(_tensor(found, tokens.dtype)), tokens)
        return self._second(self._down(self._act(self._up(tokens))), tokens)


class _Normalised:
    """The sum of two, normalised."""

    def __init__(self, norm: Any) -> None:
        self._weight, self._bias = (one.detach().float().numpy() for one in (norm.weight, norm.bias))
        self._eps = norm.eps

    def __call__(self, left: Any, right: Any) -> Any:
        """(n_tokens, width) of two."""
        return _tensor(add_and_normalise(_array(left), _array(right), self._weight, self._bias, self._eps), left.dtype)


def _array(numbers: Any) -> npt.NDArray[Any]:
    """The tensor's numbers as a kernel takes them: float32, or the bits of bfloat16."""
    if numbers.dtype == torch.bfloat16:
        return np.asarray(numbers.view(torch.int16).numpy().view(np.uint16))
    return np.asarray(numbers.float().numpy())


def _tensor(numbers: npt.NDArray[Any], dtype: Any) -> Any:
    """What a kernel gives as a tensor."""
    if numbers.dtype == np.uint16:
        return torch.from_numpy(numbers.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(numbers).to(dtype)
