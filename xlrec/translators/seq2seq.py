"""Translation by an M2M100, NLLB or Marian model of transformers, the same whatever the batch."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xlrec.config.models import TranslateConfig
from xlrec.encoders.packing import CPU_BATCH_TOKENS, padded_batches
from xlrec.translators.base import NOTHING_WRITTEN, UNREAD_LANGUAGE, Translation
from xlrec.translators.languages import family_of
from xlrec.translators.reading import read_folder

#: A translation has at most this many times the tokens of its text, and a few.
_GROWTH, _SLACK = 2, 16
#: After the end of a sentence: marks of Latin and its kin with a space, of Chinese and Japanese without, of Arabic,
#: Hindi and others.
_END = re.compile(r"(?<=[.!?…؟۔।])\s+|(?<=[。！？])")


def split_sentences(text: str) -> list[list[str]]:
    """Sentences of each line; a blank line has none. `join(split(text))` keeps the lines."""
    return [[part for part in _END.split(line.strip()) if part.strip()] for line in text.split("\n")]


def join(lines: list[list[str]]) -> str:
    """One text of the lines' sentences; lines with none are left out."""
    return "\n".join(" ".join(line) for line in lines if line)


class Seq2SeqTranslator:
    """Translates texts of many languages into the pivot language."""

    def __init__(self, config: TranslateConfig, folder: Path, device: str, fingerprint: str) -> None:
        """Reads the model from the folder.

        Raises:
            EncoderError: it cannot be read, is of another family, or cannot write the pivot language.
        """
        self.fingerprint = fingerprint
        self._config, self._device = config, device
        self._tokenizer, self._model = read_folder(folder, device, "AutoModelForSeq2SeqLM")
        kind = str(self._model.config.model_type)
        self._family = family_of(self._tokenizer, kind, config.pivot, str(folder))
        limit = getattr(self._model.config, "max_position_embeddings", None) or config.max_tokens
        self._longest = min(config.max_tokens, limit)
        self._batch_tokens = min(config.batch_tokens, CPU_BATCH_TOKENS) if device == "cpu" else config.batch_tokens

    def translate(self, texts: Sequence[str], languages: Sequence[str]) -> list[Translation]:
        """The texts in the pivot language; none where the model does not read a text's language or gives nothing.

        Texts, each of a canonical BCP 47 language, are translated sentence by sentence; lines are kept.
        """
        sources = [self._family.source(tag) for tag in languages]
        lines = [[] if source is None else split_sentences(text) for text, source in zip(texts, sources, strict=True)]
        sentences = ((part, source) for of, source in zip(lines, sources, strict=True) for line in of for part in line)
        jobs = [self._ids(sentence, source or []) for sentence, source in sentences]
        translations = iter(self._generate(jobs))
        done = [[[next(translations) for _ in line] for line in parts] for parts in lines]
        whole = [join([[sentence for sentence in line if sentence] for line in parts]) for parts in done]
        reasons = [UNREAD_LANGUAGE if source is None else NOTHING_WRITTEN for source in sources]
        return [Translation(text, "" if text else reason) for text, reason in zip(whole, reasons, strict=True)]

    def _ids(self, sentence: str, source: list[int]) -> list[int]:
        """Token ids of a sentence: language or target first, then the text, then the end."""
        before, after = [*self._family.prefix, *source], [int(self._tokenizer.eos_token_id)]
        room = max(1, self._longest - len(before) - len(after))
        ids = self._tokenizer(sentence, add_special_tokens=False, truncation=True, max_length=room)["input_ids"]
        return [*before, *ids, *after]

    def _generate(self, jobs: list[list[int]]) -> list[str]:
        import torch

        translated = [""] * len(jobs)
        if not jobs:
            return translated
        lengths = np.array([len(job) for job in jobs], dtype=np.int64)
        pad = self._tokenizer.pad_token_id or 0
        with torch.inference_mode():
            for length, n_texts, rows in padded_batches(lengths, self._longest, self._batch_tokens):
                ids = np.full((len(rows), length), pad, dtype=np.int64)
                for place, row in enumerate(rows.tolist()):
                    ids[place, : lengths[row]] = jobs[row]
                mask = np.arange(length) < lengths[rows][:, None]
                generated = self._batch(torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64)), length)
                for row, text in zip(rows[:n_texts].tolist(), generated, strict=False):
                    translated[row] = " ".join(text.split())
        return translated

    def _batch(self, ids: Any, mask: Any, length: int) -> list[str]:
        forced = {} if self._family.forced is None else {"forced_bos_token_id": self._family.forced}
        room = getattr(self._model.config, "max_position_embeddings", None) or 1024
        generated = self._model.generate(
            input_ids=ids.to(self._device), attention_mask=mask.to(self._device), do_sample=False, max_length=None,
            num_beams=self._config.beams, max_new_tokens=min(_GROWTH * length + _SLACK, room - 2), **forced,
        )  # fmt: skip
        start = 1 + len(forced)  # the decoder's own start, and the target language
        return list(self._tokenizer.batch_decode(generated[:, start:].cpu(), skip_special_tokens=True))
