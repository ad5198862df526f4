"""Batches of fixed shapes."""

import numpy as np

from xlrec.encoders.packing import COARSE, CPU_BATCH_TOKENS, FINE, padded_batches


def test_batches_of_one_length_have_one_shape_and_every_text_is_in_one() -> None:
    lengths = np.random.default_rng(2).integers(0, 101, 300)
    shapes: dict[int, set[int]] = {}
    seen: list[int] = []
    for length, n_texts, rows in padded_batches(lengths, 100, 512):
        shapes.setdefault(length, set()).add(len(rows))
        seen += rows[:n_texts].tolist()
        assert (lengths[rows] <= length).all()
        assert len(rows) * length <= 512
    assert sorted(seen) == list(range(300))
    assert all(len(found) == 1 for found in shapes.values())
    assert max(shapes) == 100


def test_a_text_longer_than_the_budget_is_a_batch() -> None:
    assert [(length, n) for length, n, _ in padded_batches(np.array([90, 100]), 100, 10)] == [(96, 1), (100, 1)]


def test_little_of_a_cpus_batches_is_padding_or_filling() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(3.2, 0.9, 10_000), 3, 256).astype(np.int64)
    batches = list(padded_batches(lengths, 256, CPU_BATCH_TOKENS, FINE))
    assert lengths.sum() / sum(length * len(rows) for length, _, rows in batches) > 0.94


def test_ladders_rise_and_pad_by_a_third_or_an_eighth() -> None:
    for ladder, least, share in ((COARSE, 24, 1.34), (FINE, 32, 1.13)):
        assert (np.diff(ladder) > 0).all()
        steps = ladder[ladder >= least]
        assert (steps[1:] <= share * steps[:-1]).all()
