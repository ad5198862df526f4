"""Small random models of every architecture that a preset names, as sentence-transformers folders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXTS = (
    "",
    "Ventilated road bike helmet",
    "Casque de vélo de route bien ventilé",
    "透气公路自行车头盔",
    "Вентилируемый шлем для шоссейного велосипеда",
    "!!!",
    "🎸",
    "helmet " * 80,
    "ヘルメット",
    "bike",
)
HIDDEN, LONGEST = 32, 64
_SHAPE: dict[str, Any] = {
    "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "initializer_range": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class Tokens:
    """A tokenizer's special tokens in the order of their ids, its template, and its side of padding."""

    special: tuple[str, ...]
    template: str
    pad: str
    padding_side: str = "right"


_BERT = Tokens(("[PAD]", "[UNK]", "[CLS]", "[SEP]"), "[CLS] $A [SEP]", "[PAD]")
_XLMR = Tokens(("<s>", "<pad>", "</s>", "<unk>"), "<s> $A </s>", "<pad>")
_GEMMA = Tokens(("<pad>", "<eos>", "<bos>", "<unk>"), "<bos> $A <eos>", "<pad>")
_QWEN = Tokens(("<|endoftext|>", "<unk>"), "$A <|endoftext|>", "<|endoftext|>", padding_side="left")


def word_pieces(special: tuple[str, ...], texts: tuple[str, ...] = TEXTS) -> Any:
    """A WordPiece tokenizer of the `tokenizers` library, trained on the texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    unknown = next(token for token in special if "unk" in token.lower())
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=list(special), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _tokenizer(tokens: Tokens) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    core = word_pieces(tokens.special)
    around = [(token, core.token_to_id(token)) for token in tokens.special]
    core.post_processor = processors.TemplateProcessing(single=tokens.template, special_tokens=around)
    unknown = next(token for token in tokens.special if "unk" in token.lower())
    wrap: Any = PreTrainedTokenizerFast
    return wrap(
        tokenizer_object=core, model_max_length=LONGEST, pad_token=tokens.pad, unk_token=unknown,
        padding_side=tokens.padding_side,
    )  # fmt: skip


def _backbone(kind: str, n_tokens: int) -> Any:
    import transformers as hf

    size = {"vocab_size": n_tokens, "max_position_embeddings": LONGEST + 2, **_SHAPE}
    decoder = {"num_key_value_heads": 1, "head_dim": 16}
    makers: dict[str, Callable[[], Any]] = {
        "bert": lambda: hf.BertModel(hf.BertConfig(**size)),
        "xlm-roberta": lambda: hf.XLMRobertaModel(hf.XLMRobertaConfig(**size, pad_token_id=1)),
        "mpnet": lambda: hf.MPNetModel(hf.MPNetConfig(**size, pad_token_id=1)),
        "modernbert": lambda: hf.ModernBertModel(
            hf.ModernBertConfig(**size, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3)
        ),
        "gte": lambda: hf.GteModel(hf.GteConfig(**size, pad_token_id=0)),
        "qwen3": lambda: hf.Qwen3Model(hf.Qwen3Config(**size, **decoder, pad_token_id=0)),
        "gemma3": lambda: hf.Gemma3TextModel(
            hf.Gemma3TextConfig(
                **size, **decoder, use_bidirectional_attention=True, sliding_window=16, query_pre_attn_scalar=16
            )
        ),
    }
    return makers[kind]()


#: Architecture → its tokens, its pooling, and whether dense layers follow (EmbeddingGemma, LaBSE).
ARCHITECTURES: dict[str, tuple[str, Tokens, str, bool]] = {
    "bert-mean": ("bert", _BERT, "mean", False),  # e5-small, MiniLM
    "bert-cls-dense": ("bert", _BERT, "cls", True),  # LaBSE
    "xlm-roberta-mean": ("xlm-roberta", _XLMR, "mean", False),  # e5, paraphrase
    "xlm-roberta-cls": ("xlm-roberta", _XLMR, "cls", False),  # bge-m3, arctic, granite
    "mpnet": ("mpnet", _XLMR, "mean", False),
    "modernbert": ("modernbert", _BERT, "cls", False),  # granite r2
    "gte": ("gte", _BERT, "cls", False),
    "qwen3": ("qwen3", _QWEN, "lasttoken", False),
    "gemma3": ("gemma3", _GEMMA, "mean", True),
}


def build_encoder(folder: Path, architecture: str, *, seed: int = 0) -> Path:
    """The folder of a random sentence-transformers model with two layers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    kind, tokens, pooling, dense = ARCHITECTURES[architecture]
    tokenizer = _tokenizer(tokens)
    torch.manual_seed(seed)
    _backbone(kind, len(tokenizer)).save_pretrained(folder / "plain")
    tokenizer.save_pretrained(folder / "plain")
    modules: list[Any] = [Transformer(str(folder / "plain"), max_seq_length=LONGEST), Pooling(HIDDEN, pooling)]
    modules += [Dense(HIDDEN, HIDDEN)] if dense else []
    SentenceTransformer(modules=[*modules, Normalize()], device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


def build_static(folder: Path, *, seed: int = 0) -> Path:
    """The folder of a random static model: a table of token vectors, averaged."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = word_pieces(_BERT.special)
    table = torch.randn(tokenizer.get_vocab_size(), HIDDEN, generator=torch.Generator().manual_seed(seed))
    static = StaticEmbedding(tokenizer, embedding_weights=table)
    SentenceTransformer(modules=[static], device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"
