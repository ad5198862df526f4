"""Files of a static embedding table: a sentence-transformers folder, and the quantised form that is shipped."""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.kernels.text.quantise import CodedTable, Codes

WEIGHTS, TOKENIZER, CARD = "weights.safetensors", "tokenizer.json.xz", "README.md"
_MODULES = (
    ("0", "", "sentence_transformers.sentence_transformer.modules.StaticEmbedding"),
    ("1", "1_Normalize", "sentence_transformers.sentence_transformer.modules.Normalize"),
)


def write_static(folder: Path, tokenizer: Any, table: npt.NDArray[np.float32]) -> None:
    """Write a static model (mean of the tokens' rows, at unit norm) as a sentence-transformers folder.

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


def rounded_to_half(coded: CodedTable) -> CodedTable:
    """The coded table as it is after writing and reading: norms and codebooks in half precision."""
    every, finer = (Codes(_rounded(one.norms), one.codes, _rounded(one.books)) for one in (coded.every, coded.finer))
    return CodedTable(every, coded.rows, finer)


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32)


def write_coded(folder: Path, tokenizer: Any, coded: CodedTable) -> None:
    """Write the quantised table (codes, norms, codebooks) and the compressed tokenizer."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for start, one in (("", coded.every), ("finer_", coded.finer)):
        arrays[f"{start}norms"] = one.norms.astype(np.float16)
        arrays[f"{start}codes"] = one.codes
        arrays[f"{start}books"] = one.books.astype(np.float16)
    arrays["finer_rows"] = coded.rows.astype(np.int32)
    save_file(arrays, folder / WEIGHTS)
    (folder / TOKENIZER).write_bytes(lzma.compress(tokenizer.to_str().encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))


def read_coded(folder: Path) -> tuple[Any, CodedTable]:
    """Tokenizer and coded table of a folder that `write_coded` wrote."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(lzma.decompress((folder / TOKENIZER).read_bytes()).decode("utf-8"))
    arrays = load_file(folder / WEIGHTS)
    every, finer = (
        Codes(
            arrays[f"{start}norms"].astype(np.float32),
            np.ascontiguousarray(arrays[f"{start}codes"]),
            arrays[f"{start}books"].astype(np.float32),
        )
        for start in ("", "finer_")
    )
    return tokenizer, CodedTable(every, arrays["finer_rows"].astype(np.int64), finer)
