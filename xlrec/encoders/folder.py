"""Files of a static embedding table: a sentence-transformers folder, and the quantised form that is shipped."""

import lzma
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.kernels.text.quantise import CodedTable, Codes

WEIGHTS, TOKENIZER, CARD = "weights.safetensors", "tokenizer.json.xz", "README.md"


def write_static(folder: Path, tokenizer: Any, table: npt.NDArray[np.float32]) -> None:
    """Writes a static model, the mean of a text's rows at unit norm, as sentence-transformers does.

    `table` is (n_tokens, dim) float32.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    modules: Any = [StaticEmbedding(tokenizer, embedding_weights=np.ascontiguousarray(table)), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)


def rounded_to_half(coded: CodedTable) -> CodedTable:
    """The coded table as it is after writing and reading: norms and codebooks in half precision."""
    return _table_of(_arrays_of(coded))


def _arrays_of(coded: CodedTable) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "finer_rows": coded.rows.astype(np.int32), "order": coded.order.astype(np.int32)
    }  # fmt: skip
    for start, one in (("", coded.every), ("finer_", coded.finer)):
        arrays[f"{start}norms"] = one.norms.astype(np.float16)
        arrays[f"{start}codes"] = np.ascontiguousarray(one.codes)
        arrays[f"{start}books"] = one.books.astype(np.float16)
    return arrays


def _table_of(arrays: dict[str, npt.NDArray[Any]]) -> CodedTable:
    every, finer = (
        Codes(
            arrays[f"{start}norms"].astype(np.float32),
            arrays[f"{start}codes"],
            arrays[f"{start}books"].astype(np.float32),
        )
        for start in ("", "finer_")
    )
    return CodedTable(every, arrays["finer_rows"].astype(np.int64), finer, arrays["order"].astype(np.int64))


def write_coded(folder: Path, tokenizer: Any, coded: CodedTable) -> None:
    """Write the quantised table (codes, norms, codebooks) and the compressed tokenizer."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(_arrays_of(coded), folder / WEIGHTS)
    (folder / TOKENIZER).write_bytes(lzma.compress(tokenizer.to_str().encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))


def read_coded(folder: Path) -> tuple[Any, CodedTable]:
    """Tokenizer and coded table of a folder that `write_coded` wrote."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(lzma.decompress((folder / TOKENIZER).read_bytes()).decode("utf-8"))
    return tokenizer, _table_of(load_file(folder / WEIGHTS))
