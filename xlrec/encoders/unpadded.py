"""Texts of many lengths behind one another in one row: linear layers see real tokens only, attention stays in a text.

Every row has the same number of tokens, so that matrix products keep one shape whatever the texts are. Texts of one
length lie side by side, and are pooled as one batch without a mask.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from xlrec.encoders.packing import Batch, fill, in_order

#: Architectures whose tokens meet in attention alone, where all of a text attends to all of it, and whose positions are
#: numbers of rows in a table. Others have windows, causal masks or relative positions.
KNOWN: Final = ("bert", "roberta", "xlm-roberta")


def takes(model: Any) -> bool:
    """Whether the sentence-transformers model is a transformer that can read such rows."""
    core = getattr(model[0], "model", None)
    config = getattr(core, "config", None)
    return (
        getattr(config, "model_type", None) in KNOWN
        and _plain(core)
        and getattr(config, "position_embedding_type", None) in (None, "absolute")
        and not getattr(config, "is_decoder", False)
        and model.tokenizer.padding_side == "right"
        and model[0].modality_config["text"] == {"method": "forward", "method_output_name": "last_hidden_state"}
    )


def _plain(core: Any) -> bool:
    """Whether its layers are transformers' own, and no adapter or coded weights stand in the place of a linear one."""
    from torch import nn

    names = [getattr(layer, "_get_name", str)() for layer in core.encoder.layer]
    kinds = {type(module) for module in core.encoder.modules() if hasattr(module, "weight")}
    return kinds <= {nn.Linear, nn.LayerNorm} and set(names) <= {"BertLayer", "RobertaLayer", "XLMRobertaLayer"}


class UnpaddedModel:
    """A model that `takes` such rows, with its pooling and whatever follows it."""

    def __init__(self, model: Any, n_tokens: int) -> None:
        """Takes the model's layers out of it; `n_tokens` are those of a row: at least the longest text's."""
        from xlrec.encoders.layers import Layers

        core = model[0].model
        self._layers, self._after, self._n_tokens = Layers(core), list(model)[1:], n_tokens
        #: RoBERTa numbers positions from behind its padding's number, and leaves out padding that a text spells.
        self._pad = None if core.config.model_type == "bert" else int(core.config.pad_token_id)

    def vectors(self, features: dict[str, Any], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n_texts, the model's dim) float32.

        Args:
            features: of the tokenizer, padded on the right.
            lengths: (n_texts,) tokens of each; a text without any is read as one of padding.
        """
        ids = features["input_ids"]
        positions, rest = self._positions(ids), {name: features[name] for name in features if name == "prompt_length"}
        parts, order = [], []
        for batch in fill(np.maximum(lengths, 1), self._n_tokens):
            parts.append(self._row(ids, positions, batch, rest).float().numpy())
            order += [rows for _, rows in batch]
        return in_order(parts, order)

    def _positions(self, ids: Any) -> Any:
        """(n, longest) number of each token's position, of ids padded on the right."""
        import torch

        if self._pad is None:
            return torch.arange(ids.shape[1]).expand_as(ids)
        real = ids != self._pad
        return real.cumsum(dim=1) * real + self._pad

    def _row(self, ids: Any, positions: Any, batch: Batch, rest: dict[str, Any]) -> Any:
        """(n_texts of the batch, the model's dim) in the order of the batch."""
        import torch

        runs, places, end = [], [], 0
        for length, rows in batch:
            runs.append((end, len(rows), length))
            places.append((torch.from_numpy(rows)[:, None] * ids.shape[1] + torch.arange(length)).flatten())
            end += len(rows) * length
        picked = torch.cat([*places, ids.new_zeros(self._n_tokens - end)])
        row, position = (one.reshape(-1)[picked] for one in (ids, positions))
        lengths = np.repeat([size for _, _, size in runs], [n for _, n, _ in runs])
        hidden = self._layers(row, position, lengths)
        texts = [hidden[start : start + n * size].unflatten(0, (n, size)) for start, n, size in runs]
        return torch.cat([self._pooled(one, rest) for one in texts])

    def _pooled(self, hidden: Any, rest: dict[str, Any]) -> Any:
        """(n_texts, the model's dim) of (n_texts, length, hidden size)."""
        features = {**rest, "token_embeddings": hidden}
        for module in self._after:
            features = module(features)
        return features["sentence_embedding"]
