"""Encoder from a sentence-transformers model, with its own tokenizer, pooling and normalisation."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets, weights
from xlrec.encoders.packing import COARSE, CPU_BATCH_TOKENS, CPU_ROW_TOKENS, FINE, in_order, padded_batches
from xlrec.encoders.unpadded import UnpaddedModel, supports_unpadded
from xlrec.errors import EncoderError

Input = TypeVar("Input")
Result = TypeVar("Result")
#: Texts tokenised at once: bounds the memory of token tables (max_tokens numbers a text).
_SLAB = 16384
#: The same for unpadded rows: enough to fill rows well, few enough to tokenise the next ones meanwhile.
UNPADDED_SLAB = 2048
#: Limit of tokens where neither config nor model has one.
_LONGEST = 512


def ahead(work: Callable[[Input], Result], inputs: Iterable[Input]) -> Iterator[Result]:
    """Results of `work` in the order of the inputs; a thread works on the next one meanwhile, as tokenizers can."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(1) as thread:
        for value in inputs:
            waiting.append(thread.submit(work, value))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def normalise(vectors: npt.NDArray[np.float32], dim: int) -> npt.NDArray[np.float32]:
    """(n, dim) float32: the first numbers of each row, scaled to unit norm in float64; a row of zeros stays.

    Raises:
        EncoderError: some are not finite.
    """
    kept = vectors[:, :dim].astype(np.float64)
    n_bad = int(np.count_nonzero(~np.isfinite(kept).all(axis=1)))
    if n_bad:
        raise EncoderError(
            f"embed.encoder: {n_bad} of {len(kept)} vectors are not finite: the weights are broken or overflow; "
            "name another model or revision"
        )
    norms = np.sqrt(np.einsum("ij,ij->i", kept, kept))
    norms[norms == 0.0] = 1.0
    return np.asarray(kept / norms[:, None], dtype=np.float32)


def _read(config: EmbedConfig, device: str, local_only: bool) -> Any:
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EncoderError(
            f"embed.device: {device} is wanted, but torch sees no GPU here: set `cpu`, or mend the driver"
        )
    folder = weights.locate_folder(presets.weights_of(config), local_only=local_only)
    dtype = getattr(torch, config.precision)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
    try:
        model = SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": dtype},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"embed.encoder: sentence-transformers cannot read {folder}: {reason}") from error
    _check_pooling(config, model)
    return model.to(dtype).eval()


def _check_pooling(config: EmbedConfig, model: Any) -> None:
    """Refuses files that do not pool as the preset says; a folder without modules.json pools by mean."""
    preset = presets.find_preset(config.encoder)
    mode = next((mode for module in model if (mode := getattr(module, "pooling_mode", None))), None)
    if preset is not None and mode is not None and mode != preset.pooling:
        raise EncoderError(
            f"embed.encoder: {preset.name} pools by {preset.pooling}, these files by {mode}: copy modules.json and "
            "1_Pooling too"
        )


class SentenceEncoder:
    """A sentence-transformers model behind the `Encoder` protocol."""

    def __init__(self, config: EmbedConfig, device: str, *, local_only: bool = False) -> None:
        """Reads the model.

        Raises:
            EncoderError: the model is missing, not pinned, no safetensors, or has fewer than `dim` numbers.
        """
        config = presets.resolve_preset(config)
        self._model = _read(config, device, local_only)
        own = int(self._model.get_embedding_dimension() or 0)
        if config.dim and own and config.dim > own:
            raise EncoderError(f"embed.dim: {config.dim} is more than the {own} numbers of {config.encoder}")
        self.dim = config.dim or own
        self.fingerprint = presets.fingerprint(config)
        names = self._model.prompts or {}
        default = names.get(self._model.default_prompt_name or "")
        self._prompt = (default if config.prompt is None else config.prompt) or None
        self._longest = self._cut_at(config.max_tokens)
        cpu = device == "cpu"
        self._batch_tokens = min(config.batch_tokens, CPU_BATCH_TOKENS) if cpu else config.batch_tokens
        self._ladder = FINE if cpu else COARSE
        self._unpadded, self._slab = None, _SLAB
        if cpu and supports_unpadded(self._model):
            n_tokens = max(self._longest, min(config.batch_tokens, CPU_ROW_TOKENS))
            self._unpadded, self._slab = UnpaddedModel(self._model, n_tokens), UNPADDED_SLAB

    def _cut_at(self, max_tokens: int) -> int:
        """Limit of tokens that the tokenizer now truncates at: `max_tokens`, or the model's own if lower."""
        limit = self._model.max_seq_length
        if limit == math.inf:  # a bag of words has no limit of its own, nor a way to set one
            self._model[0].tokenizer.enable_truncation(max_tokens)
            return max_tokens
        longest = min(max_tokens, limit or _LONGEST)
        if limit:
            self._model.max_seq_length = longest
        return longest

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, dim) float32, unit norm; zero only for a text in which the model sees no token."""
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        starts = range(0, len(texts), self._slab)
        slabs = (list(texts[start : start + self._slab]) for start in starts)
        for start, features in zip(starts, ahead(self._tokenised, slabs), strict=True):
            vectors[start : start + self._slab] = normalise(self._encode_slab(features), self.dim)
        return vectors

    def truncated_texts(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n_texts,) bool, true where the text has as many tokens as the model takes, or more."""
        if not texts:
            return np.zeros(0, dtype=np.bool_)
        features = self._tokenised(list(texts))
        mask, n_ids = features.get("attention_mask"), len(features["input_ids"])
        if mask is not None:
            return np.asarray((mask.sum(dim=1) >= self._longest).numpy())
        lengths = np.diff(features["offsets"].numpy(), append=n_ids)  # a bag of words: all ids in a row
        return np.asarray(lengths >= self._longest)

    def _tokenised(self, texts: list[str]) -> dict[str, Any]:
        return dict(self._model.preprocess(texts, prompt=self._prompt))

    def _encode_slab(self, features: dict[str, Any]) -> npt.NDArray[np.float32]:
        """(n_texts, the model's dim) float32 as the model gives them."""
        import torch

        with torch.inference_mode():
            mask = features.get("attention_mask")
            if mask is None:  # no transformer: a bag of words, in which rows never meet
                return self._forward(features)
            lengths = mask.sum(dim=1).numpy()
            if self._unpadded is not None:
                return self._unpadded.vectors(features, lengths)
            parts, order = [], []
            for length, n_texts, rows in padded_batches(lengths, self._longest, self._batch_tokens, self._ladder):
                parts.append(self._forward(self._cut(features, torch.from_numpy(rows), length))[:n_texts])
                order.append(rows[:n_texts])
            return in_order(parts, order)

    def _cut(self, features: dict[str, Any], rows: Any, length: int) -> dict[str, Any]:
        """The features of some rows, cut or padded to `length` tokens on the side where the tokenizer pads."""
        import torch

        batch = dict(features)
        shape, left = features["attention_mask"].shape, self._model.tokenizer.padding_side == "left"
        missing = max(0, length - shape[1])
        sides, kept = ((missing, 0), slice(-length, None)) if left else ((0, missing), slice(length))
        for name, value in features.items():
            if isinstance(value, torch.Tensor) and value.shape == shape:
                fill = (self._model.tokenizer.pad_token_id or 0) if name == "input_ids" else 0
                batch[name] = torch.nn.functional.pad(value[rows][:, kept], sides, value=fill).contiguous()
        return batch

    def _forward(self, features: dict[str, Any]) -> npt.NDArray[np.float32]:
        from sentence_transformers.util import batch_to_device

        vectors = self._model(batch_to_device(features, self._model.device))["sentence_embedding"]
        return np.asarray(vectors.float().cpu().numpy())
