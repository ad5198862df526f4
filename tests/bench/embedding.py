"""Embedding beside sentence-transformers' own encode, and the embed stage beside the bare encoder.

python tests/bench/embedding.py --json .cache/bench/embedding.json     # part of make bench

The transformer has MiniLM's shape (6 layers of 384) and random weights; texts are the demo catalogue's, of twelve
languages and many lengths. Everything on one thread, but that ours tokenises the next texts on another. A stage reads
texts from Parquet, hashes them, shuffles and sorts them by hash, embeds them in a Python worker and writes hashes and
vectors as Parquet. Shares of padding are counted at 10,000 texts, the size of a task, and at the size that is timed.
"""

# ruff: noqa: E402  # threads are set before numpy and torch come in
import argparse
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from measure import Row, machine, minima, one_thread, report

one_thread()

import numpy as np
import torch

from xlrec import encoders
from xlrec.config.models import EmbedConfig, SparkConfig
from xlrec.encoders.packing import CPU_BATCH_TOKENS, CPU_ROW_TOKENS, FINE, padded_batches, unpadded_batches
from xlrec.encoders.sentence import UNPADDED_SLAB

#: Texts that warm a model up, and texts of a task.
_WARM, _TASK = 64, 10_000
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def texts_of(n: int) -> list[str]:
    """Titles, titles with descriptions and whole paragraphs of the demo catalogue, no two alike."""
    from xlrec.datasets.demo.catalogue import catalogue_rows
    from xlrec.datasets.demo.world import World

    rows = catalogue_rows(World(seed=0, users=1, items=180), 0, 180)[0].to_pylist()
    titles = [row["title"] for row in rows if row["title"]]
    described = [f"{row['title']}. {row['description'] or ''}" for row in rows if row["title"]]
    rng = np.random.default_rng(0)
    found = []
    for place in range(n):
        kind = rng.random()
        some = rng.integers(0, len(titles), 8)
        text = titles[some[0]] if kind < 0.5 else described[some[0]]
        if kind > 0.9:
            text = " ".join(described[one] for one in some[: rng.integers(2, 9)])
        found.append(f"{text} {place}")
    return found


#: MiniLM's.
SHAPE = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}


def minilm(folder: Path, texts: list[str], shape: dict[str, int] | None = None) -> str:
    """A random transformer of MiniLM's or another shape, with word pieces of the texts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=30_000, special_tokens=list(_SPECIAL), show_progress=False)
    core.train_from_iterator(texts, trainer)
    around = [(token, core.token_to_id(token)) for token in _SPECIAL]
    core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    wrap: Any = PreTrainedTokenizerFast
    torch.manual_seed(0)
    model: Any = BertModel(BertConfig(vocab_size=30_522, **(shape or SHAPE)))
    model.save_pretrained(folder / "model")
    wrap(tokenizer_object=core, model_max_length=256, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder / "model"
    )
    whole = Transformer(str(folder / "model"), max_seq_length=256)
    SentenceTransformer(modules=[whole, Pooling(whole.get_embedding_dimension(), "mean")]).save(str(folder / "st"))
    return str(folder / "st")


def against_own_encode(folder: str, texts: list[str], rounds: int) -> list[Row]:
    """Our encoder in float32 and bfloat16 against sentence-transformers' encode with its defaults."""
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(folder, device="cpu", local_files_only=True)
    ours = {
        name: encoders.load(EmbedConfig(encoder=folder, precision=name, device="cpu"), device="cpu")  # type: ignore[arg-type]
        for name in ("float32", "bfloat16")
    }
    found: dict[str, Any] = {}
    runs: dict[str, Any] = {
        name: lambda name=name, one=one: found.update({name: one.encode(texts)}) for name, one in ours.items()
    }
    runs["own"] = lambda: own.encode(texts, show_progress_bar=False)
    own.encode(texts[:_WARM], show_progress_bar=False)
    for one in ours.values():
        one.encode(texts[:_WARM])
    least = minima(runs, rounds, warm=True)
    exact, rough = found["float32"], found["bfloat16"]
    native = "avx512_bf16" in machine()["instructions"] or "amx_bf16" in machine()["instructions"]
    what, against = f"MiniLM-sized, {len(texts):,} texts", "sentence-transformers encode()"
    return [
        Row(f"{what}, float32", against, least["own"] / least["float32"], 1.3),
        Row(f"{what}, bfloat16", against, least["own"] / least["bfloat16"], 3.0 if native else 0.0),
        Row(f"{what}, bfloat16: least cosine with float32", "", float((exact * rough).sum(axis=1).min()), 0, ""),
        Row(f"{what}, float32: tokens a second", "", lengths_of(own, texts).sum() / least["float32"], 0, "/s"),
        *shares(own, texts),
        *shares(own, texts_of(_TASK)),
    ]


def lengths_of(model: Any, texts: list[str]) -> Any:
    """(n,) tokens of each text."""
    return model.preprocess(texts)["attention_mask"].sum(dim=1).numpy()


def shares(model: Any, texts: list[str]) -> list[Row]:
    """Real of all tokens that a model is given: in our rows, in padded batches (other architectures), by encode()."""
    lengths, what = lengths_of(model, texts), f"{len(texts):,} texts: real of all tokens"
    slabs = [lengths[start : start + UNPADDED_SLAB] for start in range(0, len(lengths), UNPADDED_SLAB)]
    rows = sum(CPU_ROW_TOKENS for slab in slabs for _ in unpadded_batches(slab, CPU_ROW_TOKENS))
    padded = sum(length * len(batch) for length, _, batch in padded_batches(lengths, 256, CPU_BATCH_TOKENS, FINE))
    longest_first = lengths[np.argsort([-len(text) for text in texts])]
    batches = [longest_first[start : start + 32] for start in range(0, len(lengths), 32)]
    theirs = sum(int(batch.max()) * len(batch) for batch in batches)
    aim = 0.95 if len(texts) >= _TASK else 0.0
    return [
        Row(what, "", lengths.sum() / rows, aim, ""),
        Row(f"{what}, architectures that need padding", "", lengths.sum() / padded, aim, ""),
        Row(f"{what}, sentence-transformers' batches", "", lengths.sum() / theirs, 0.0, ""),
    ]


def stage(config: EmbedConfig, texts: list[str], what: str, rounds: int) -> Row:
    """The embed stage on one core, from a table of texts to a table of vectors, against the encoder alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark.sql import functions as F

    from xlrec.runtime.session import start_session
    from xlrec.stages.embed import embed

    spark = start_session(SparkConfig(master="local[1]", driver_memory="2g"), "bench")
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"text": texts}), f"{folder}/texts.parquet")
        table = spark.read.parquet(f"{folder}/texts.parquet").select(F.sha2("text", 256).alias("text_hash"), "text")
        encoder = encoders.load(config, device="cpu")
        fingerprint = encoder.fingerprint

        def run() -> None:
            rows = embed(table, config, fingerprint, n_texts=len(texts))
            rows.write.mode("overwrite").parquet(f"{folder}/vectors")

        encoder.encode(texts[:_WARM])
        small = table.limit(_WARM)
        embed(small, config, fingerprint, n_texts=_WARM).write.parquet(f"{folder}/warm")  # starts the worker
        least = minima({"stage": run, "bare": lambda: encoder.encode(texts)}, rounds, warm=True)
    return Row(
        f"embed stage, {what}, {len(texts):,} texts", "bare encode", least["stage"] / least["bare"], 1.15, "×", True
    )


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    facts: dict[str, Any] = {"machine": machine()}
    texts = texts_of(args.texts)
    with tempfile.TemporaryDirectory() as folder:
        model = minilm(Path(folder), texts_of(_TASK))
        rows = against_own_encode(model, texts, args.rounds)
        rows.append(stage(EmbedConfig(encoder=model, device="cpu"), texts, "MiniLM-sized", args.rounds))
    many = list(islice((f"{text} {turn}" for turn, text in enumerate(cycle(texts_of(_TASK)))), args.many))
    rows.append(stage(EmbedConfig(), many, "default encoder", args.rounds))
    facts["load after"] = machine()["load"]
    report("Embedding, one thread", rows, facts, args.json)


if __name__ == "__main__":
    main()
