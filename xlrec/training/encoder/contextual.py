"""The start of a contextual encoder: new layers over the table of a static model, giving the static model's vectors."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlrec.encoders import shipped
from xlrec.errors import EncoderError
from xlrec.kernels.base.level import common_length, levelled
from xlrec.training.encoder.config import LayersConfig
from xlrec.training.encoder.layers import Shape, backbone, head
from xlrec.training.encoder.vocabulary import PAD, UNKNOWN

_TABLE = "embedding.weight"


def on_static(model: str, config: LayersConfig, max_tokens: int, device: str) -> Any:
    """The model that gives the static model's vectors.

    Every text starts with the unknown token, of which texts have none by themselves, and whose row is zero: it changes
    no direction at the start, gives attention a place to rest, and no text is without a token.

    Args:
        model: folder of a static model, or `default`.
        config: of the layers.
        max_tokens: longer texts are cut.
        device: of torch.

    Raises:
        EncoderError: the folder holds no static model that `adapt` wrote.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    tokenizer, table = _read(model)
    table[tokenizer.token_to_id(UNKNOWN)] = 0.0
    shape = Shape(config.number, config.heads, config.inner, config.hidden, table.shape[1])
    n_more = shape.hidden - shape.dim
    if n_more < 2 or n_more % 2:
        raise EncoderError(
            f"finetune.layers.hidden: {shape.hidden} is not the table's {shape.dim} numbers and an even number more: "
            f"set {shape.dim + 16}"
        )
    base = backbone(shape, len(table), max_tokens, tokenizer.token_to_id(PAD))
    with torch.no_grad():
        rows = levelled(table, n_more, common_length(table, n_more))
        base.embeddings.tok_embeddings.weight.copy_(torch.from_numpy(rows))
    start = (UNKNOWN, tokenizer.token_to_id(UNKNOWN))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{UNKNOWN} $A", special_tokens=[start])
    wrap: Any = PreTrainedTokenizerFast
    fast = wrap(tokenizer_object=tokenizer, model_max_length=max_tokens, pad_token=PAD, unk_token=UNKNOWN)
    with tempfile.TemporaryDirectory() as folder:
        base.save_pretrained(folder)
        fast.save_pretrained(folder)
        modules = [Transformer(folder), Pooling(shape.hidden), head(shape), Normalize()]
        return SentenceTransformer(modules=modules, device=device)


def _read(model: str) -> tuple[Any, npt.NDArray[np.float32]]:
    """(tokenizer, table) of a static model.

    Raises:
        EncoderError: see `on_static`.
    """
    from safetensors import safe_open
    from tokenizers import Tokenizer

    if model == shipped.NAME:
        return shipped.table()
    folder = Path(model).expanduser()
    weights = folder / "model.safetensors"
    if weights.is_file() and (folder / "tokenizer.json").is_file():
        with safe_open(weights, framework="numpy") as opened:
            if _TABLE in opened.keys():  # noqa: SIM118  # not a dict
                tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
                if tokenizer.token_to_id(PAD) is not None:
                    return tokenizer, opened.get_tensor(_TABLE).astype(np.float32)
    raise EncoderError(
        f"finetune.model: {model!r} is no static model that `xlrec adapt-encoder` wrote, on which finetune.layers can "
        "stand: name such a folder, or `default`"
    )
