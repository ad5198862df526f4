"""Encoder training: `adapt` trains a compact encoder from parallel texts, or fine-tunes one that exists.

Nothing here knows Spark but `distributed`: a lake's texts and choices come as Parquet, which `xlrec.pipeline.adapting`
writes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from xlrec.training.encoder.config import AdaptConfig

if TYPE_CHECKING:
    from xlrec.training.encoder.backends import Backend
    from xlrec.training.encoder.texts import Texts

__all__ = ["AdaptConfig", "adapt"]

Say = Callable[[str], None]
Figures = dict[tuple[str, str], float]


def adapt(config: AdaptConfig, say: Say) -> Figures:
    """Trains as the config says and writes the model; recall at 1 on dev of each (source, language).

    A run that was broken off goes on from its last checkpoint in the work folder.

    Args:
        config: see `AdaptConfig`.
        say: takes lines of progress, which hold counts and names only.

    Raises:
        InputError: the texts are missing or give no pairs.
        EncoderError: the model or the teacher cannot be read.
        MachineError: a cluster does not suffice for several processes.
    """
    if config.finetune is None or config.finetune.processes == 1:
        return train(config, say)
    from xlrec.training.encoder.distributed import train_in_processes

    return train_in_processes(config)


def train(config: AdaptConfig, say: Say, rank: int = 0) -> Figures:
    """As `adapt`, in this process; of several processes only rank 0 measures and writes.

    Raises:
        InputError: as `adapt`.
        EncoderError: as `adapt`.
    """
    from pathlib import Path

    from xlrec.training.encoder.card import card
    from xlrec.training.encoder.loop import Loop
    from xlrec.training.encoder.retrieval import choice_tasks, dev_tasks, measure
    from xlrec.training.encoder.sampler import Sampler
    from xlrec.training.encoder.teacher import teach
    from xlrec.training.encoder.texts import read_texts

    texts = read_texts(config.texts)
    say(f"{len(texts):,} texts in {len(texts.languages)} languages, {int(texts.is_dev.sum()):,} of them dev")
    sampler = Sampler(texts, config.texts, config.batch)
    if len(texts.choices):
        n_dev = int(texts.choices.is_dev.sum())
        say(f"{len(texts.choices):,} pairs of items that the same users chose, {n_dev:,} of them dev")
    tasks = dev_tasks(texts, config.measure, config.batch.pivot, config.seed)
    tasks += choice_tasks(texts, config.measure, config.seed)
    if not tasks:
        say("no source and language has measure.min_pairs dev pairs: nothing is measured, the last step is kept")
    watched = [task for task in tasks if task.language in config.measure.languages] or tasks
    backend = _backend(config, texts, say)
    loop = Loop(config, backend, sampler, watched, teach(config, texts, backend.dim, say), say, rank)
    loop.run()
    backend.finish()
    found = measure(tasks, backend.encode)
    if rank == 0:
        backend.export(Path(config.output))
        text = card(config, texts, found, backend.unknown_shares(), loop.standing.step)
        for folder in (config.output, *([config.compress.output] if config.compress else [])):
            (Path(folder) / "README.md").write_text(text, encoding="utf-8")
    return found


def _backend(config: AdaptConfig, texts: "Texts", say: Say) -> "Backend":
    if config.mode == "static":
        from xlrec.training.encoder import tokens
        from xlrec.training.encoder.backends import StaticBackend

        return StaticBackend(config, texts, tokens.prepare(texts, config, say))
    from xlrec.training.encoder.finetune import FineTuneBackend

    return FineTuneBackend(config, texts)
