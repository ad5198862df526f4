"""Fine-tuning of any sentence-transformers model, on the GPU in bf16 where there is one, in several processes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.encoders.packing import CPU_BATCH_TOKENS
from xlrec.errors import EncoderError
from xlrec.training.encoder import losses
from xlrec.training.encoder.backends import drawn_cut, texts_in_common
from xlrec.training.encoder.config import AdaptConfig, FineTuneConfig
from xlrec.training.encoder.sampler import Pairs
from xlrec.training.encoder.texts import Texts

Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_WARM_UP = 0.1
#: Tokens that go through the model at once on a GPU, padding included.
_GPU_TOKENS = 65_536
_SLAB = 4096
_MOMENTS = ("exp_avg", "exp_avg_sq")


def _read(folder: str, device: str) -> Any:
    """The model in float32 on the device.

    Raises:
        EncoderError: the folder holds no model, a pickle, or code of its own.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    from xlrec.encoders.weights import check

    path = Path(folder).expanduser()
    if not path.is_dir():
        raise EncoderError(f"finetune.model: no folder {folder!r} on this machine: name a sentence-transformers folder")
    check(path)
    arguments = {"use_safetensors": True, "dtype": torch.float32}
    return SentenceTransformer(str(path), device=device, local_files_only=True, model_kwargs=arguments).float()


def _table_of(model: Any) -> Any:
    """The module that holds the token vectors.

    Raises:
        EncoderError: there is none that is known.
    """
    backbone = getattr(model[0], "auto_model", None)
    table = backbone.get_input_embeddings() if backbone is not None else getattr(model[0], "embedding", None)
    if table is None:
        raise EncoderError(
            "finetune.freeze_embeddings: the model has no table of tokens that is known: set it to false"
        )
    return table


def batches_of_like_length(lengths: Longs, most_tokens: int) -> list[Longs]:
    """Rows of each batch, the shortest texts first, so that little is padded; each at most most_tokens if padded.

    Args:
        lengths: (n,) tokens of each text.
        most_tokens: at least one text goes into a batch, however long.
    """
    order = np.argsort(lengths, kind="stable")
    found, first = [], 0
    for place in range(1, len(order) + 1):
        if place == len(order) or (place - first + 1) * lengths[order[place]] > most_tokens:
            found.append(order[first:place])
            first = place
    return found


class FineTuneBackend:
    """A sentence-transformers model, AdamW, and gradients averaged over the processes."""

    def __init__(self, config: AdaptConfig, texts: Texts) -> None:
        """Reads the model; with several processes, torch.distributed is started already.

        Raises:
            EncoderError: see `_read`.
        """
        import torch

        self._settings: FineTuneConfig = config.finetune or FineTuneConfig(model="")
        self._config, self._texts = config, texts
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(config.seed)
        self.model = _read(self._settings.model, self._device)
        if self.model.max_seq_length and self.model.max_seq_length != float("inf"):
            self.model.max_seq_length = min(self._settings.max_tokens, int(self.model.max_seq_length))
        backbone = getattr(self.model[0], "auto_model", None)
        if self._device == "cpu" and self._settings.bfloat16_on_cpu and backbone is not None:
            backbone.set_attn_implementation("eager")  # torch's fused attention is slow in bfloat16 on a CPU
        if self._settings.freeze_embeddings:
            _table_of(self.model).requires_grad_(False)
        self._parameters = [one for one in self.model.parameters() if one.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._parameters, lr=self._settings.learning_rate, weight_decay=self._settings.weight_decay
        )

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(self.model.get_embedding_dimension())

    def _vectors(self, texts: list[str]) -> Any:
        """(n, dim) with gradients. Texts of like length go through together."""
        import torch

        features = self.model.preprocess(texts)
        mask = features.get("attention_mask")
        if mask is None:  # a bag of tokens pads nothing
            return self._forward(features)
        lengths = mask.sum(dim=1).numpy()
        left = self.model.tokenizer.padding_side == "left"
        parts, order = [], []
        for rows in batches_of_like_length(lengths, _GPU_TOKENS if self._device == "cuda" else CPU_BATCH_TOKENS):
            cut = slice(-int(lengths[rows].max()), None) if left else slice(0, int(lengths[rows].max()))
            some = {
                name: value[torch.from_numpy(rows)][:, cut] if getattr(value, "shape", None) == mask.shape else value
                for name, value in features.items()
            }
            parts.append(self._forward(some))
            order.append(rows)
        return torch.cat(parts)[torch.from_numpy(np.argsort(np.concatenate(order))).to(self._device)]

    def _forward(self, features: dict[str, Any]) -> Any:
        import torch
        from sentence_transformers.util import batch_to_device

        low = self._device == "cuda" or self._settings.bfloat16_on_cpu
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=low):
            return self.model(batch_to_device(features, self.model.device))["sentence_embedding"].float()

    def _joined(self, rows: Longs, starts: Longs) -> list[str]:
        texts = self._texts.take(rows)
        return [" ".join(texts[first:last]) for first, last in pairwise(starts.tolist())]

    def step(self, pairs: Pairs, targets: Floats | None, left: float, rng: np.random.Generator) -> float:
        """As `Backend.step`."""
        import torch

        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        a, b = self._joined(pairs.a, pairs.starts), self._joined(pairs.b, pairs.starts)
        numbers = {text: number for number, text in enumerate(dict.fromkeys(a + b))}
        every = np.arange(len(pairs))
        kinds = [texts_in_common(pairs, self._texts.concept)[0]]
        kinds += [(every, np.array([numbers[text] for text in side])) for side in (a, b)]
        same = [torch.from_numpy(one).to(self._device) for one in losses.same_pairs(kinds, len(pairs))]
        teacher = None
        if targets is not None:
            teacher = (torch.from_numpy(targets).to(self._device), self._config.loss.teacher_weight)
        self.model.train()
        both = self._vectors(a + b)
        loss = losses.whole_loss(
            (both[: len(a)], both[len(a) :]),
            (same[0], same[1]),
            self._config.loss.temperature,
            drawn_cut(self._config, rng),
            teacher,
            self._config.loss.teaches,
        )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        self._average_gradients()
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * min(left, (1 - left) / _WARM_UP + 1e-3)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimiser.step()
        return float(loss.detach())

    def _average_gradients(self) -> None:
        """The mean of the gradients over all processes."""
        from torch import distributed

        if not (distributed.is_available() and distributed.is_initialized()):
            return
        import torch

        for one in self._parameters:
            gradient = torch.zeros_like(one) if one.grad is None else one.grad
            distributed.all_reduce(gradient)
            one.grad = gradient / distributed.get_world_size()

    def encode(self, rows: Longs) -> Floats:
        """As `Backend.encode`."""
        import torch

        self.model.eval()
        with torch.inference_mode():
            parts = [
                losses.unit(self._vectors(self._texts.take(rows[start : start + _SLAB]))).cpu().numpy()
                for start in range(0, len(rows), _SLAB)
            ]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), dtype=np.float32)

    def state(self) -> dict[str, Floats]:
        """As `Backend.state`: parameters, and the moments of AdamW."""
        found = {}
        for number, one in enumerate(self._parameters):
            found[f"{number}.value"] = one.detach().cpu().numpy()
            for name in (*_MOMENTS, "step"):
                if name in self._optimiser.state.get(one, {}):
                    found[f"{number}.{name}"] = np.asarray(self._optimiser.state[one][name].cpu().numpy())
        return found

    def restore(self, state: dict[str, Floats]) -> None:
        """As `Backend.restore`."""
        import torch

        with torch.no_grad():
            for number, one in enumerate(self._parameters):
                one.copy_(torch.from_numpy(state[f"{number}.value"]))
                kept = {name: state.get(f"{number}.{name}") for name in (*_MOMENTS, "step")}
                if kept["step"] is not None:
                    moments = {name: torch.from_numpy(np.array(kept[name])).to(one.device) for name in _MOMENTS}
                    self._optimiser.state[one] = {"step": torch.tensor(float(kept["step"])), **moments}

    def finish(self) -> None:
        """As `Backend.finish`: nothing to do."""

    def export(self, folder: Path) -> None:
        """As `Backend.export`."""
        self.model.eval()
        self.model.save_pretrained(str(folder), create_model_card=False)

    def unknown_shares(self) -> dict[str, float]:
        """As `Backend.unknown_shares`: not known."""
        return {}
