"""Rows without padding: who reads them, that texts keep apart in them, and that nearly nothing of them is empty."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds.tiny_models import ARCHITECTURES, TEXTS, build_encoder

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders.packing import CPU_ROW_TOKENS, unpadded_batches
from xlrec.encoders.sentence import ahead
from xlrec.encoders.unpadded import supports_unpadded


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(60, 200))
def test_every_text_is_in_one_batch_that_holds_it(sizes: list[int], n_tokens: int) -> None:
    lengths = np.array(sizes, dtype=np.int64)
    seen: list[int] = []
    for batch in unpadded_batches(lengths, n_tokens):
        assert [length for length, _ in batch] == sorted({length for length, _ in batch}, reverse=True)
        assert all((lengths[rows] == length).all() for length, rows in batch)
        assert 0 < sum(length * len(rows) for length, rows in batch) <= n_tokens
        seen += [row for _, rows in batch for row in rows.tolist()]
    assert sorted(seen) == list(range(len(sizes)))


def test_nearly_nothing_of_the_rows_is_empty() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(3.2, 0.9, 2048), 3, 256).astype(np.int64)
    assert lengths.sum() / (CPU_ROW_TOKENS * len(list(unpadded_batches(lengths, CPU_ROW_TOKENS)))) > 0.98


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_known_architectures_read_rows_without_padding(tmp_path: Path, architecture: str) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(build_encoder(tmp_path, architecture)), device="cpu", local_files_only=True)
    assert supports_unpadded(model) == (ARCHITECTURES[architecture][0] in ("bert", "xlm-roberta"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ["bert-mean", "xlm-roberta-cls"])
def test_neighbours_do_not_change_a_bit(tmp_path: Path, architecture: str, precision: str) -> None:
    folder = str(build_encoder(tmp_path, architecture))
    encoder = encoders.load(EmbedConfig.model_validate({"encoder": folder, "precision": precision}))
    texts = [" ".join(TEXTS[place % 7 : place % 11]) + " bike" * (place % 13) for place in range(120)]
    whole = encoder.encode(texts)
    for start in (0, 17, 60):
        np.testing.assert_array_equal(encoder.encode(texts[start : start + 31]), whole[start : start + 31])
    np.testing.assert_array_equal(encoder.encode(texts[::-1]), whole[::-1])


def test_padding_that_a_text_spells_is_read_as_sentence_transformers_reads_it(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = str(build_encoder(tmp_path, "xlm-roberta-mean"))
    texts = ["bike helmet", "bike <pad> helmet", "<pad> bike"]
    own = SentenceTransformer(folder, device="cpu", local_files_only=True).encode(texts)
    np.testing.assert_allclose(encoders.load(EmbedConfig(encoder=folder)).encode(texts), own, atol=1e-5)


def test_results_come_in_order_while_the_next_is_under_way() -> None:
    began: list[int] = []

    def work(number: int) -> int:
        began.append(number)
        return number * number

    found = ahead(work, range(4))
    assert next(found) == 0
    deadline = time.monotonic() + 10
    while began != [0, 1] and time.monotonic() < deadline:
        time.sleep(0.001)
    assert began == [0, 1]  # the second, and no more, while the first is used
    assert list(found) == [1, 4, 9]
    assert list(ahead(work, [])) == []


def test_an_error_in_the_thread_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda number: 1 // number, [1, 0, 2]))
