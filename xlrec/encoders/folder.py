"""A static table as a folder that sentence-transformers loads by itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_MODULES = (
    ("0", "", "sentence_transformers.sentence_transformer.modules.StaticEmbedding"),
    ("1", "1_Normalize", "sentence_transformers.sentence_transformer.modules.Normalize"),
)


def write_static(folder: Path, tokenizer: Any, table: npt.NDArray[np.float32]) -> None:
    """Writes weights, tokenizer and the list of modules: the mean of the tokens' rows, at unit norm.

    Args:
        folder: made where it is missing.
        tokenizer: of `tokenizers`.
        table: (n_tokens, dim) float32.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {"embedding.weight": np.ascontiguousarray(table)}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    modules = [{"idx": int(name), "name": name, "path": path, "type": kind} for name, path, kind in _MODULES]
    (folder / "modules.json").write_text(json.dumps(modules, indent=1), encoding="utf-8")
    settings: dict[str, Any] = {
        "model_type": "SentenceTransformer",
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    (folder / "1_Normalize").mkdir(exist_ok=True)
