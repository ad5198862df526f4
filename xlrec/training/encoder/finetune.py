"""Fine-tuning of any sentence-transformers model, on the GPU in bf16 where there is one, in several processes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xlrec.errors import EncoderError
from xlrec.kernels.text.bags import Floats, Longs
from xlrec.training.encoder import losses
from xlrec.training.encoder.backends import Backend
from xlrec.training.encoder.config import AdaptConfig, FineTuneConfig
from xlrec.training.encoder.sampler import Pairs
from xlrec.training.encoder.texts import Texts

_WARM_UP = 0.1
#: Texts that go through the model at once.
_GPU_TEXTS, _CPU_TEXTS = 512, 16


def _read(folder: str, device: str) -> Any:
    """The model in float32 on the device."""
    import torch
    from sentence_transformers import SentenceTransformer

    from xlrec.encoders.weights import check_folder

    path = Path(folder).expanduser()
    if not path.is_dir():
        raise EncoderError(f"finetune.model: no folder {folder!r} on this machine: name a sentence-transformers folder")
    check_folder(path)
    arguments = {"use_safetensors": True, "dtype": torch.float32}
    return SentenceTransformer(str(path), device=device, local_files_only=True, model_kwargs=arguments).float()


def _table_of(model: Any) -> Any:
    """The module that holds the token vectors."""
    backbone = getattr(model[0], "auto_model", None)
    table = backbone.get_input_embeddings() if backbone is not None else getattr(model[0], "embedding", None)
    if table is None:
        raise EncoderError("finetune.freeze_embeddings: the model has no known table of tokens: set it to false")
    return table


class FineTuneBackend(Backend):
    """A sentence-transformers model, AdamW, and gradients averaged over the processes."""

    def __init__(self, config: AdaptConfig, texts: Texts) -> None:
        """Reads the model; with several processes, torch.distributed is started already.

        Raises:
            EncoderError: the folder holds no model, a pickle, or code of its own, or its table of tokens is not known.
        """
        import torch

        self._settings: FineTuneConfig = config.finetune or FineTuneConfig(model="")
        self._config, self._texts = config, texts
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(config.seed)
        self.model = _read(self._settings.model, self._device)
        if self.model.max_seq_length and self.model.max_seq_length != float("inf"):
            self.model.max_seq_length = min(self._settings.max_tokens, int(self.model.max_seq_length))
        if self._settings.freeze_embeddings:
            _table_of(self.model).requires_grad_(False)
        self._parameters = [one for one in self.model.parameters() if one.requires_grad]
        self._optimiser = torch.optim.AdamW(self._parameters, lr=self._settings.learning_rate, weight_decay=0.01)

    def _vectors(self, texts: list[str]) -> Any:
        """(n_texts, dim) vectors with gradients; texts of like length go through together, so that little is padded."""
        import torch
        from sentence_transformers.util import batch_to_device

        order = np.argsort([len(text) for text in texts], kind="stable")
        n_texts = _GPU_TEXTS if self._device == "cuda" else _CPU_TEXTS
        blocks = [order[start : start + n_texts] for start in range(0, len(order), n_texts)]
        parts = []
        for block in blocks:
            features = batch_to_device(self.model.preprocess([texts[place] for place in block]), self.model.device)
            with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._device == "cuda"):
                parts.append(self.model(features)["sentence_embedding"].float())
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(self._device)]

    def _joined(self, rows: Longs, starts: Longs) -> list[str]:
        texts = self._texts.take(rows)
        return [" ".join(texts[first:last]) for first, last in pairwise(starts.tolist())]

    def train_step(self, pairs: Pairs, left: float, rng: np.random.Generator) -> float:
        """Loss of one step; see `Backend.train_step`."""
        import torch

        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        spelled = self._joined(pairs.a, pairs.starts) + self._joined(pairs.b, pairs.starts)
        numbers = {text: number for number, text in enumerate(dict.fromkeys(spelled))}
        same = losses.same_pairs(pairs, self._texts.concept, np.array([numbers[text] for text in spelled]))
        self.model.train()
        loss = losses.batch_loss(self._vectors(spelled), same, self._config.loss, rng)
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

        for parameter in self._parameters:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            distributed.all_reduce(gradient)
            parameter.grad = gradient / distributed.get_world_size()

    def encode(self, rows: Longs) -> Floats:
        """(n, dim) float32 unit vectors of (n,) int64 rows, as `Backend.encode`."""
        import torch

        self.model.eval()
        with torch.inference_mode():
            return np.asarray(losses.unit_vectors(self._vectors(self._texts.take(rows))).cpu().numpy())

    def checkpoint_state(self) -> dict[str, Floats]:
        """Parameters and the moments of AdamW, as `Backend.checkpoint_state` names them.

        `"{row}.value"` is a parameter, `"{row}.exp_avg"` and `"{row}.exp_avg_sq"` are its moments. They are float32 of
        the parameter's shape, such as (n_tokens, dim) of a table. `"{row}.step"` is a float32 scalar, of shape ().
        """
        state = {f"{row}.value": parameter.detach().cpu().numpy() for row, parameter in enumerate(self._parameters)}
        for number, moments in self._optimiser.state_dict()["state"].items():
            state |= {f"{number}.{name}": np.asarray(value.cpu().numpy()) for name, value in moments.items()}
        return state

    def restore_state(self, state: dict[str, Floats]) -> None:
        """Parameters and moments set from a checkpoint; see `Backend.restore_state`.

        `"{row}.value"` is a parameter, `"{row}.exp_avg"` and `"{row}.exp_avg_sq"` are its moments. They are float32 of
        the parameter's shape, such as (n_tokens, dim) of a table. `"{row}.step"` is a float32 scalar, of shape ().
        """
        import torch

        optimiser: dict[str, Any] = self._optimiser.state_dict() | {"state": {}}
        for key, array in state.items():
            number, _, name = key.partition(".")
            if name == "value":
                with torch.no_grad():
                    self._parameters[int(number)].copy_(torch.from_numpy(array))
            else:
                optimiser["state"].setdefault(int(number), {})[name] = torch.from_numpy(np.array(array))
        self._optimiser.load_state_dict(optimiser)

    def write_model(self, folder: Path) -> None:
        """Folder of the trained model; see `Backend.write_model`."""
        self.model.eval()
        self.model.save_pretrained(str(folder), create_model_card=False)
