"""Encoder training: `adapt_encoder` trains a compact encoder from parallel texts, or fine-tunes one that exists.

Nothing here knows Spark but `distributed`: a lake's texts and choices come as Parquet, which `xlrec.pipeline.adapting`
writes.
"""

from collections.abc import Callable

from xlrec.training.encoder.config import AdaptConfig

__all__ = ["AdaptConfig", "adapt_encoder"]

Recalls = dict[tuple[str, str], float]


def adapt_encoder(config: AdaptConfig, log: Callable[[str], None]) -> Recalls:
    """Recall at 1 on dev of each (source, language), once the model is trained and written.

    A run that was broken off goes on from its last checkpoint in the work folder; `log` gets counts and names only.

    Raises:
        InputError: the texts are missing or give no pairs.
        EncoderError: the model cannot be read.
        MachineError: a cluster does not suffice for several processes.
    """
    if config.finetune is None or config.finetune.processes == 1:
        return adapt_in_process(config, log)
    from xlrec.training.encoder.distributed import adapt_in_processes

    return adapt_in_processes(config)


def adapt_in_process(config: AdaptConfig, log: Callable[[str], None], rank: int = 0) -> Recalls:
    """As `adapt_encoder`, in this process; of several processes only rank 0 writes."""
    from pathlib import Path

    from xlrec.training.encoder.backends import Backend, StaticBackend
    from xlrec.training.encoder.card import encoder_card
    from xlrec.training.encoder.finetune import FineTuneBackend
    from xlrec.training.encoder.loop import Loop
    from xlrec.training.encoder.retrieval import choice_tasks, dev_tasks, measure_tasks
    from xlrec.training.encoder.sampler import Sampler
    from xlrec.training.encoder.teacher import read_targets
    from xlrec.training.encoder.texts import read_texts, read_word_lists
    from xlrec.training.encoder.tokens import tokenised_texts

    texts = read_texts(config.texts)
    log(f"{len(texts):,} texts in {len(texts.languages)} languages, {texts.is_dev.sum():,} of them dev")
    sampler = Sampler(texts, config.texts, config.batch)
    if len(texts.choices):
        n_dev = texts.choices.is_dev.sum()
        log(f"{len(texts.choices):,} pairs of items that the same users chose, {n_dev:,} of them dev")
    tasks = dev_tasks(texts, config.measure, config.batch.pivot, config.seed)
    tasks += choice_tasks(texts, config.measure, config.seed)
    if not tasks:
        log("no source and language has measure.min_pairs dev pairs: nothing is measured, the last step is kept")
    watched = [task for task in tasks if task.language in config.measure.languages] or tasks
    if config.mode == "static":
        prepared, lists = tokenised_texts(texts, config, log), read_word_lists(config.texts)
        targets = read_targets(config, texts, lists, config.static.dim, log) if config.teacher is not None else None
        backend: Backend = StaticBackend(config, texts, prepared, targets)
    else:
        backend = FineTuneBackend(config, texts)
    loop = Loop(config, backend, sampler, watched, log, rank)
    loop.run()
    backend.finish_model()
    recalls = measure_tasks(tasks, backend.encode)
    if rank == 0:
        backend.write_model(Path(config.output))
        text = encoder_card(config, texts, recalls, backend.unknown_shares(), loop.progress.step)
        for folder in (config.output, *([config.compress.output] if config.compress else [])):
            (Path(folder) / "README.md").write_text(text, encoding="utf-8")
    return recalls
