"""Layers of the Universal Sentence Encoder: two convolutions over n-grams of tokens, their sum, a small network.

What hangs on a token alone, the first convolution's products with it among them, is computed once for each distinct
token of many texts. All products have a fixed number of rows, so that a text's vector never depends on its neighbours.

Source: Yang et al. 2019, Multilingual Universal Sentence Encoder for Semantic Retrieval (the model without attention).
"""

from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from xlrec.encoders.packing import in_order, unpadded_batches

#: Numbers of a vector, and of a token in a convolution.
DIM, _WIDTH = 512, 256
#: (n-gram, tokens of it to the left) of the convolutions.
_ORDERS: Final = ((2, 0), (3, 1), (5, 2))
#: Places without a token between texts: as many as an n-gram reaches to a side.
_GAP: Final = 2
#: Blocks of the token table: token t is row t // 17 of block t % 17, with a scale of its own.
_N_BLOCKS: Final = 17
#: Texts of a product behind the sum.
_TEXT_ROWS: Final = 128


class _Tokens(NamedTuple):
    """Rows of n distinct tokens."""

    embeddings: Any
    """(n, 512) float32."""
    inputs: Any
    """(n, 3, 256) float32: what each convolution reads."""
    firsts: list[Any]
    """((n + 1) · n-gram, 256) float32 of each: products with the first convolution's part of each place; then zeros."""


class UseNetwork:
    """The model of tokens, on a torch device."""

    def __init__(self, file: Path, device: str) -> None:
        """Reads the weights; the table of tokens stays as codes of a byte."""
        import torch

        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        self._codes = np.stack([arrays.pop(f"q{number + 1}") for number in range(_N_BLOCKS)], axis=1).reshape(-1, DIM)
        self._scale, self._low, self._eps = arrays.pop("scale"), arrays.pop("lo"), float(arrays.pop("eps"))
        for name in ("proj", "proj_b", "ln_g", "ln_b"):
            arrays[f"token_{name}"] = np.concatenate([arrays[f"{name}{order}"] for order, _ in _ORDERS], axis=-1)
        for order, _ in _ORDERS:
            places = arrays[f"w1_{order}"].reshape(order, _WIDTH, _WIDTH)
            arrays[f"w1_{order}"] = places.swapaxes(0, 1).reshape(_WIDTH, order * _WIDTH)
        self._device, self._weights = torch.device(device), {}
        for name, array in arrays.items():
            self._weights[name] = torch.from_numpy(np.ascontiguousarray(array.T)).to(self._device)

    def vectors(self, ids: list[list[int]], n_rows: int) -> npt.NDArray[np.float32]:
        """(n_texts, 512) float32, not of unit norm, of the ids of each text; products have `n_rows` tokens.

        A text has from 1 to n_rows tokens.
        """
        import torch

        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int64, count=int(lengths.sum()))
        distinct, nums = np.unique(flat, return_inverse=True)
        texts = np.split(nums, np.cumsum(lengths)[:-1])
        parts, order = [], []
        with torch.inference_mode():
            tokens = self._tokens(distinct, n_rows)
            for batch in unpadded_batches(lengths, n_rows):
                order.append(np.concatenate([rows for _, rows in batch]))
                parts.append(self._sums([texts[row] for row in order[-1]], tokens, n_rows).cpu().numpy())
            return self._outputs(in_order(parts, order), lengths)

    def _tokens(self, ids: npt.NDArray[np.int64], n_rows: int) -> _Tokens:
        import torch

        blocks = ids % _N_BLOCKS
        rows = self._codes[ids] * self._scale[blocks, None] + self._low[blocks, None]
        found = []
        for start in range(0, len(rows), n_rows):
            block = self._filled(rows[start : start + n_rows], n_rows)
            inputs = self._normed(self._linear(block, "token_proj", "token_proj_b"), "token_").unflatten(
                1, (-1, _WIDTH)
            )
            firsts = [self._linear(inputs[:, row], f"w1_{order}") for row, (order, _) in enumerate(_ORDERS)]
            found.append([block, inputs, *firsts])
        embeddings, inputs, *firsts = (torch.cat(parts)[: len(ids)] for parts in zip(*found, strict=True))
        padded = [torch.nn.functional.pad(rows, (0, 0, 0, 1)).view(-1, _WIDTH) for rows in firsts]
        return _Tokens(embeddings, inputs, padded)

    def _sums(self, texts: list[npt.NDArray[np.int64]], tokens: _Tokens, n_rows: int) -> Any:
        """(n_texts, 1280) sums over the tokens of each text: embedding and convolutions."""
        import torch

        sizes = np.array([len(text) for text in texts])
        nums = np.concatenate(texts)
        places = np.arange(len(nums)) + np.repeat(np.arange(1, len(texts) + 1) * _GAP, sizes)
        spaced = np.full(len(nums) + (len(texts) + 1) * _GAP, len(tokens.embeddings))
        spaced[places] = nums
        places = np.append(places, np.full(n_rows - len(nums), places[0]))  # the last rows count for no text
        nums = self._to(spaced[places])
        features = [tokens.embeddings[nums]]
        for row, (order, left) in enumerate(_ORDERS):
            windows = places[:, None] + np.arange(-left, order - left)
            terms = self._to(spaced[windows] * order + np.arange(order))
            first = (
                torch.nn.functional.embedding_bag(terms, tokens.firsts[row], mode="sum") + self._weights[f"b1_{order}"]
            )
            hidden = first.relu_() + tokens.inputs[nums, row]
            around = hidden.new_zeros((len(spaced), _WIDTH))
            around[self._to(places)] = hidden
            gathered = around.index_select(0, self._to(windows.ravel())).view(n_rows, -1)
            features.append(self._linear(gathered, f"w2_{order}", f"b2_{order}").relu_() + hidden)
        normed, offsets = self._normed(torch.cat(features, dim=1)), self._to(np.cumsum(sizes) - sizes)
        rows = torch.arange(int(sizes.sum()), device=self._device)
        return torch.nn.functional.embedding_bag(rows, normed, offsets, mode="sum")

    def _outputs(self, sums: npt.NDArray[np.float32], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n_texts, 512) float32 of (n_texts, 1280) sums over (n_texts,) tokens."""
        outputs = np.empty((len(sums), DIM), dtype=np.float32)
        for start in range(0, len(sums), _TEXT_ROWS):
            part = slice(start, start + _TEXT_ROWS)
            n_tokens = self._filled(lengths[part, None].astype(np.float32), _TEXT_ROWS).clamp_(min=1)
            total = self._linear(self._filled(sums[part], _TEXT_ROWS), "cnn_W") + n_tokens * self._weights["cnn_b"]
            mean = total / n_tokens.sqrt()
            inner = self._linear(mean, "d0").relu_()
            inner = (self._linear(mean, "p1") + self._linear(inner, "d1")).relu_()
            last = self._linear(inner, "p3") + self._linear(self._linear(inner, "d2").relu_(), "d3")
            outputs[part] = last.tanh_().cpu().numpy()[: len(sums) - start]
        return outputs

    def _linear(self, inputs: Any, name: str, bias: str | None = None) -> Any:
        import torch

        return torch.nn.functional.linear(inputs, self._weights[name], self._weights[bias] if bias else None)

    def _normed(self, rows: Any, start: str = "") -> Any:
        import torch

        gain, shift = self._weights[f"{start}ln_g"], self._weights[f"{start}ln_b"]
        return torch.nn.functional.layer_norm(rows, gain.shape, gain, shift, self._eps)

    def _to(self, numbers: npt.NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(numbers).to(self._device)

    def _filled(self, rows: npt.NDArray[np.float32], n_rows: int) -> Any:
        """(n_rows, dim) tensor: the rows, then zeros."""
        filled = np.zeros((n_rows, rows.shape[1]), dtype=np.float32)
        filled[: len(rows)] = rows
        return self._to(filled)
