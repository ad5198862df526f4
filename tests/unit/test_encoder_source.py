"""Where weights come from: what is refused before anything of a model is read."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from xlrec.config.models import EmbedConfig
from xlrec.encoders import fingerprint, load, locate_model
from xlrec.errors import EncoderError

REVISION = "0123456789abcdef0123456789abcdef01234567"
HUB = EmbedConfig(encoder="owner/name", revision=REVISION)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Looks like a model, as far as files go."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer"}]))
    return tmp_path


@pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "s3://bucket/model", "a/b/c"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(EncoderError, match=f"no folder '{name}'"):
        load(EmbedConfig(encoder=name))


@pytest.mark.parametrize("revision", [None, "main", REVISION[:39]])
def test_a_hub_name_needs_its_commit(revision: str | None) -> None:
    with pytest.raises(EncoderError, match=r"no folder here.*40-hex"):
        fingerprint(EmbedConfig(encoder="owner/name", revision=revision))


def test_a_hub_model_is_named_by_its_revision_and_needs_no_network_for_that() -> None:
    assert fingerprint(HUB).startswith("sentence-")
    assert fingerprint(HUB) != fingerprint(HUB.model_copy(update={"revision": REVISION[::-1]}))


def test_a_hub_that_cannot_be_reached_says_what_to_copy_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> str:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(EncoderError, match=f"hf download owner/name --revision {REVISION}"):
        load(HUB)


def test_a_hub_model_is_downloaded_once_without_code_and_pickles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    cached = False

    def download(*_: Any, **kwargs: Any) -> str:
        calls.append(kwargs)
        if kwargs["local_files_only"] and not cached:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert locate_model(HUB) == folder
    assert [call["local_files_only"] for call in calls] == [True, False]
    assert {call["revision"] for call in calls} == {REVISION}
    assert not [pattern for pattern in calls[0]["allow_patterns"] if pattern.endswith((".py", ".bin"))]
    cached = True
    locate_model(HUB)
    assert [call["local_files_only"] for call in calls[2:]] == [True]


def test_a_changed_tokenizer_or_weight_changes_the_fingerprint_and_moving_the_folder_does_not(folder: Path) -> None:
    seen = {fingerprint(EmbedConfig(encoder=str(folder)))}
    (folder / "tokenizer.json").write_text("{}")
    seen.add(fingerprint(EmbedConfig(encoder=str(folder))))
    (folder / "model.safetensors").write_bytes(b"other weights")
    last = fingerprint(EmbedConfig(encoder=str(folder)))
    assert len(seen | {last}) == 3
    moved = folder.rename(folder.parent / "moved")
    assert fingerprint(EmbedConfig(encoder=str(moved))) == last


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"pytorch_model\.bin is a pickle"):
        load(EmbedConfig(encoder=str(folder)))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no \*\.safetensors"):
        fingerprint(EmbedConfig(encoder=str(tmp_path)))


def test_a_model_with_its_own_code_is_refused(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"type": "custom.Module"}]))
    (folder / "custom.py").write_text("raise SystemExit('code ran')")
    with pytest.raises(EncoderError, match="own code"):
        load(EmbedConfig(encoder=str(folder)))
