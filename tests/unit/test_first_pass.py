"""The first pass of this machine: named by the processor, measured, and left out where it breaks its bound."""

import numpy as np
import pytest

from xlrec.kernels.search.paths import PATHS
from xlrec.runtime import first_pass
from xlrec.runtime.first_pass import first_pass_for, paths_by_speed, supported_paths


def test_a_path_is_tried_only_where_the_processor_names_its_instructions() -> None:
    assert supported_paths(frozenset({"avx2"})) == ("float32",)
    assert supported_paths(frozenset({"avx512_vnni", "amx_bf16"})) == ("float32", "bf16", "int8")


def test_a_product_that_breaks_its_bound_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_pass, "cpu_flags", lambda: frozenset({"avx512_bf16", "avx512_vnni"}))
    paths_by_speed.cache_clear()
    assert set(paths_by_speed(72)) == {"float32", "bf16", "int8"}
    right = PATHS["int8"].raw_scores
    saturated = staticmethod(lambda *args: np.minimum(right(*args), 500_000))
    monkeypatch.setattr(PATHS["int8"], "raw_scores", saturated)
    paths_by_speed.cache_clear()
    assert set(paths_by_speed(72)) == {"float32", "bf16"}
    paths_by_speed.cache_clear()


def test_int8_is_left_where_vectors_are_short_or_one_coordinate_drowns_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_pass, "paths_by_speed", lambda _: ("int8", "bf16", "float32"))
    vectors = np.random.default_rng(0).normal(size=(20_000, 256)).astype(np.float32)
    assert first_pass_for([(0, vectors)]) == "int8"
    assert first_pass_for([(0, vectors[:, :152])]) == "bf16"
    assert first_pass_for([(0, vectors)], n_queries=3) == "float32"
    assert first_pass_for([(0, vectors[:100])]) == "float32"
    vectors[:, 0] = 100
    assert first_pass_for([(0, vectors)]) == "bf16"
