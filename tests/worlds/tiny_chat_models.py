"""Small chat models in folders: one that always writes the same words, and a random one."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from worlds.tiny_models import TEXTS, word_pieces

_TEMPLATE = "{% for m in messages %}<s> {{ m['role'] }} {{ m['content'] }} {% endfor %}"
#: One token, so that it differs from the quote before an answer.
_CLOSING = '"}'


def build_chat_model(
    folder: Path, words: Sequence[str] | None = ("bike", "helmet"), *, template: str | None = _TEMPLATE
) -> Path:
    """The folder of a Llama whose every answer is these words, without end where one repeats. None: a random one."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    wrap: Any = PreTrainedTokenizerFast
    core = word_pieces(("<s>", "<pad>", "</s>", "<unk>"), (*TEXTS, 'system user assistant { } " : text language'))
    tokenizer = wrap(tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    tokenizer.add_tokens([_CLOSING])
    tokenizer.chat_template = template
    n_tokens = len(tokenizer)
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "hidden_size": 256, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
        "max_position_embeddings": 1024, "initializer_range": 0.3, "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
    }  # fmt: skip
    model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=n_tokens, **shape))
    if words is None:
        model.generation_config.eos_token_id = [2, *range(20, n_tokens, 9)]
    else:
        _plant(model, [tokenizer.convert_tokens_to_ids(token) for token in ('"', *words, _CLOSING, "</s>")], n_tokens)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _plant(model: Any, chain: list[int], n_tokens: int) -> None:
    """Lets each token of the chain be followed by the next one: the layer does nothing, the head is a table."""
    import torch

    with torch.no_grad():
        layer = model.model.layers[0]
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(n_tokens, 256))
        model.lm_head.weight.zero_()
        for before, after in pairwise(chain):
            model.lm_head.weight[after, before] = 1.0
