"""Rows of many texts without padding: linear layers see real tokens only, attention stays within a text.

Every row has the same number of tokens, so that matrix products keep one shape whatever the texts are. Texts of one
length lie side by side, and attend and are pooled as one batch without a mask.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from xlrec.encoders.packing import Batch, in_order, unpadded_batches

#: Architectures in which tokens meet in attention alone, every token attends to its whole text, and positions are rows
#: of a table. Others have windows, causal masks or relative positions.
KNOWN: Final = ("bert", "roberta", "xlm-roberta")
_ATTENTION: Final = "xlrec_within_texts"


def supports_unpadded(model: Any) -> bool:
    """Whether the sentence-transformers model is a transformer that can read such rows."""
    core = getattr(model[0], "model", None)
    config = getattr(core, "config", None)
    return (
        getattr(config, "model_type", None) in KNOWN
        and getattr(config, "position_embedding_type", None) in (None, "absolute")
        and not getattr(config, "is_decoder", False)
        and model.tokenizer.padding_side == "right"
        and model[0].modality_config["text"] == {"method": "forward", "method_output_name": "last_hidden_state"}
    )


def _attend_within_texts(
    _module: Any, query: Any, key: Any, value: Any, _mask: Any, *, scaling: float, groups: Any, **_: Any
) -> tuple[Any, None]:
    """(1, n_tokens, n_heads, head_size) attention of each text to itself; zero behind the last text.

    Query, key and value are (1, n_heads, n_tokens, head_size). A group is (first token, number of texts, length) of the
    texts of one length.
    """
    import torch

    attended = torch.zeros_like(query[0].transpose(0, 1))
    for start, n_texts, length in groups:
        tokens = slice(start, start + n_texts * length)
        q, k, v = (part[0, :, tokens].unflatten(1, (n_texts, length)).transpose(0, 1) for part in (query, key, value))
        group = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scaling)
        attended[tokens] = group.transpose(1, 2).flatten(0, 1)
    return attended[None], None


class UnpaddedModel:
    """A model that supports unpadded rows, with its pooling and the modules after it."""

    def __init__(self, model: Any, n_tokens: int) -> None:
        """Gives the model an attention of its own; `n_tokens` of a row are at least the longest text's."""
        from transformers import AttentionInterface

        AttentionInterface.register(_ATTENTION, _attend_within_texts)
        self._core, self._after, self._n_tokens = model[0].model, list(model)[1:], n_tokens
        self._core.set_attn_implementation(_ATTENTION)
        #: RoBERTa counts positions from its padding's number on, and skips padding that a text spells.
        config = self._core.config
        self._pad = None if config.model_type == "bert" else int(config.pad_token_id)

    def vectors(self, features: dict[str, Any], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n_texts, dim) float32 vectors, at the model's own dim, of features padded on the right.

        `lengths` are (n_texts,) int64 tokens of each text. A text without any is read as one of padding.
        """
        ids = features["input_ids"]
        positions, rest = self._positions(ids), {name: features[name] for name in features if name == "prompt_length"}
        parts, order = [], []
        for batch in unpadded_batches(np.maximum(lengths, 1), self._n_tokens):
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

        groups, places, end = [], [], 0
        for length, rows in batch:
            groups.append((end, len(rows), length))
            places.append((torch.from_numpy(rows)[:, None] * ids.shape[1] + torch.arange(length)).flatten())
            end += len(rows) * length
        chosen = torch.cat([*places, ids.new_zeros(self._n_tokens - end)])
        row, position = (table.reshape(-1)[chosen][None] for table in (ids, positions))
        hidden = self._core(input_ids=row, position_ids=position, groups=groups).last_hidden_state[0]
        texts = [hidden[start : start + n * length].unflatten(0, (n, length)) for start, n, length in groups]
        return torch.cat([self._pooled(tokens, rest) for tokens in texts])

    def _pooled(self, hidden: Any, rest: dict[str, Any]) -> Any:
        """(n_texts, the model's dim) of (n_texts, length, hidden size)."""
        features = {**rest, "token_embeddings": hidden}
        for module in self._after:
            features = module(features)
        return features["sentence_embedding"]
