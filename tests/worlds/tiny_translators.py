"""Small random translation models of the three families, with tokenizers of the `tokenizers` library."""

from pathlib import Path
from typing import Any

from worlds.tiny_models import TEXTS, word_pieces

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
#: Tokens that name languages in each family's vocabulary.
LANGUAGES = {
    "m2m100": ("__en__", "__de__", "__fr__", "__ja__", "__zh__", "__no__"),
    "nllb": ("eng_Latn", "deu_Latn", "fra_Latn", "jpn_Jpan", "zho_Hans", "zho_Hant", "nob_Latn"),
    "marian": (">>eng<<", ">>fra<<"),
    "marian-pair": (),
}


def build_translator(folder: Path, kind: str, *, seed: int = 0, **stated: str) -> Path:
    """The folder of a random model: m2m100, nllb, marian (several targets) or marian-pair.

    Args:
        folder: gets config, weights and tokenizer.
        kind: the family.
        seed: of the weights.
        stated: source_lang and target_lang of the tokenizer's config.
    """
    import torch
    from transformers import (
        M2M100Config,
        M2M100ForConditionalGeneration,
        MarianConfig,
        MarianMTModel,
        PreTrainedTokenizerFast,
    )

    core = word_pieces((*SPECIAL, *LANGUAGES[kind]), TEXTS)
    wrap: Any = PreTrainedTokenizerFast
    tokenizer = wrap(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=list(LANGUAGES[kind]), model_max_length=64, **stated,
    )  # fmt: skip
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer), "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        "max_position_embeddings": 128, "init_std": 0.6, "pad_token_id": 1, "eos_token_id": 2,
        "forced_eos_token_id": None,
    }  # fmt: skip
    torch.manual_seed(seed)
    if kind.startswith("marian"):
        model: Any = MarianMTModel(MarianConfig(**shape, decoder_start_token_id=1))
    else:
        model = M2M100ForConditionalGeneration(M2M100Config(**shape, bos_token_id=0, decoder_start_token_id=2))
    model.generation_config.update(min_new_tokens=6, suppress_tokens=[0, 1, 3])  # random weights would say nothing
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
