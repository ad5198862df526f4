"""A tokenizer and a model of transformers, read from a folder: safetensors alone, no code of the model's own."""

from pathlib import Path
from typing import Any, Literal

from xlrec.errors import EncoderError


def read_folder(
    folder: Path, device: str, kind: Literal["AutoModelForSeq2SeqLM", "AutoModelForCausalLM"]
) -> tuple[Any, Any]:
    """Tokenizer and model, float32, on the device.

    Raises:
        EncoderError: the folder cannot be read, holds a model of another kind, or the device is missing.
    """
    import torch
    import transformers
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EncoderError(f"translate.device: {device} is wanted, but torch sees no GPU here: set `cpu`")
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **safe)
        reader = getattr(transformers, kind)
        model = reader.from_pretrained(str(folder), use_safetensors=True, dtype=torch.float32, **safe)
    except ImportError as error:
        raise EncoderError(
            f"translate.model: the tokenizer of {folder} needs a package: run `pip install 'xlrec[translate]'` on "
            "every machine"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, SafetensorError) as error:
        if "Unrecognized configuration class" in str(error):
            raise EncoderError(
                f"translate.model: {folder} is of another kind than translate.kind says: set it to translation for an "
                "M2M100, NLLB or Marian model, to chat for a causal one"
            ) from error
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"translate.model: transformers cannot read {folder}: {reason}") from error
    return tokenizer, model.to(device).eval()
