"""A causal chat model of transformers in a folder: greedy answers, the same whatever the batch."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from xlrec.config.models import TranslateConfig
from xlrec.encoders.packing import CPU_BATCH_TOKENS, padded_batches
from xlrec.errors import EncoderError
from xlrec.translators.base import TOO_LONG
from xlrec.translators.conversation import Completion, Messages
from xlrec.translators.reading import read_folder

#: The answer's beginning, written for the model: small ones would chat instead.
_BEGINNING: Final = '{"text": "'
#: Tokens of a batch on a CPU: an answer's every token reads all weights, which a few texts share.
_CPU_TOKENS: Final = 4 * CPU_BATCH_TOKENS


class CausalModel:
    """A chat model in this process."""

    def __init__(self, config: TranslateConfig, folder: Path, device: str) -> None:
        """Reads the model from the folder.

        Raises:
            EncoderError: it cannot be read, is no causal model, or has no chat template.
        """
        self._device = device
        self._tokenizer, self._model = read_folder(folder, device, "AutoModelForCausalLM")
        if not self._tokenizer.chat_template:
            raise EncoderError(f"translate.model: {folder} has no chat template: it is no chat model, name another")
        self._longest = int(getattr(self._model.config, "max_position_embeddings", None) or 1 << 16)
        self._batch_tokens = min(config.batch_tokens, _CPU_TOKENS) if device == "cpu" else config.batch_tokens
        stated: Any = self._model.generation_config.eos_token_id
        ends = stated if isinstance(stated, list) else [stated, self._tokenizer.eos_token_id]
        self._ends = sorted({int(end) for end in ends if end is not None})
        self._pad = int(self._tokenizer.pad_token_id or 0)

    def complete(self, conversations: Sequence[Messages], limits: Sequence[int]) -> list[Completion]:
        """The answer to each conversation; `too_long` where it does not end within its limit or the model's memory.

        Temperature 0, batches of fixed shapes: an answer does not hang on its neighbours.
        """
        import torch

        asked = [self._ids(messages) for messages in conversations]
        done = [Completion(None, TOO_LONG)] * len(asked)
        fitting = np.array(
            [row for row, ids in enumerate(asked) if len(ids) + limits[row] <= self._longest], dtype=np.int64
        )
        lengths = np.array([len(asked[row]) for row in fitting.tolist()], dtype=np.int64)
        with torch.inference_mode():
            for length, n_texts, places in padded_batches(lengths, self._longest, self._batch_tokens):
                rows = fitting[places].tolist()
                written = self._written([asked[row] for row in rows], length, max(limits[row] for row in rows))
                for row, ids in islice(zip(rows, written, strict=True), n_texts):
                    done[row] = self._completion(len(asked[row]), ids, limits[row])
        return done

    def _ids(self, messages: Messages) -> list[int]:
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text + _BEGINNING, add_special_tokens=False)["input_ids"])

    def _written(self, asked: list[list[int]], length: int, limit: int) -> list[list[int]]:
        """Token ids that follow, the end among them where the model came to it."""
        import torch
        from transformers import GenerationConfig

        ids = np.full((len(asked), length), self._pad, dtype=np.int64)
        mask = np.zeros((len(asked), length), dtype=np.int64)
        for place, row in enumerate(asked):
            ids[place, length - len(row) :] = row
            mask[place, length - len(row) :] = 1
        # A config of its own: the folder's may sample, or punish words that the text has.
        greedy = GenerationConfig(
            do_sample=False, max_new_tokens=limit, pad_token_id=self._pad, eos_token_id=self._ends
        )  # type: ignore[no-untyped-call]
        generated = self._model.generate(
            input_ids=torch.from_numpy(ids).to(self._device),
            attention_mask=torch.from_numpy(mask).to(self._device),
            generation_config=greedy,
        )
        return [list(row) for row in generated[:, length:].cpu().tolist()]

    def _completion(self, n_read: int, ids: list[int], limit: int) -> Completion:
        ends = [place for place, token in enumerate(ids[:limit]) if token in self._ends]
        if not ends:
            return Completion(None, TOO_LONG, n_read, min(len(ids), limit))
        answer = self._tokenizer.decode(ids[: ends[0]], skip_special_tokens=True)
        return Completion(_BEGINNING + answer, "", n_read, ends[0] + 1)
