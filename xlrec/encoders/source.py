"""Where the weights of a sentence-transformers model come from, and what names them.

A model is a folder that every worker sees, or a name on the hub with its revision pinned. Weights are safetensors and
modules are sentence-transformers' own: nothing that is downloaded or unpacked can run code.
"""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path

from xlrec.config import EmbedConfig
from xlrec.errors import EncoderError

#: What a model consists of; code and pickled weights are neither read nor downloaded.
PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_REVISION = re.compile(r"[0-9a-f]{40}")
#: Raise it whenever the vectors of a sentence encoder change.
_VERSION = 1


def is_folder(config: EmbedConfig) -> bool:
    """True where the encoder is a folder, False where it is a hub name with its revision.

    Raises:
        EncoderError: it is neither; the config's owner mends it.
    """
    seen = config.encoder
    if Path(seen).expanduser().is_dir():
        return True
    if not _NAME.fullmatch(seen):
        raise EncoderError(
            f"embed.encoder: no folder {seen!r} on this machine. Allowed: `default`, `hashing`, a "
            "sentence-transformers folder that every worker sees, or a hub name (`owner/name`) with embed.revision"
        )
    if not _REVISION.fullmatch(config.revision or ""):
        raise EncoderError(
            f"embed.encoder: {seen!r} is no folder here, and as a hub name it needs embed.revision, the 40-hex commit "
            f"of the model; seen: {config.revision!r}"
        )
    return False


def _files(folder: Path) -> list[Path]:
    """Files that the model consists of, in order of their path."""
    found = {path for pattern in PATTERNS for path in folder.rglob(pattern) if path.is_file()}
    kept = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def check(folder: Path) -> None:
    """Refuses a folder that holds no weights, pickled ones alone, or modules with their own code.

    Raises:
        EncoderError: see above; the config's owner names another model, or saves it again.
    """
    modules = folder / "modules.json"
    if modules.is_file():
        kinds = [str(module.get("type", "")) for module in json.loads(modules.read_text(encoding="utf-8"))]
        own = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
        if own:
            raise EncoderError(
                f"embed.encoder: {folder} wants to run its own code ({', '.join(own)}), which xlrec never does"
            )
    weights = {path.parent for path in folder.rglob("*.safetensors")}
    pickled = [path for path in folder.rglob("*") if path.suffix in _PICKLED and path.parent not in weights]
    pickled = [path for path in pickled if path.name != "training_args.bin"]
    if pickled:
        raise EncoderError(
            f"embed.encoder: {pickled[0]} is a pickle, which can run code. Only safetensors are read: save the model "
            "again with `SentenceTransformer.save_pretrained`"
        )
    if not weights:
        raise EncoderError(
            f"embed.encoder: no *.safetensors in {folder}: this is no sentence-transformers model, or not whole"
        )


def locate(config: EmbedConfig) -> Path:
    """The folder of the model, downloaded from the hub where it is not in this machine's cache yet.

    Raises:
        EncoderError: folder or hub model is missing, cannot be reached, or may run code.
    """
    if is_folder(config):
        folder = Path(config.encoder).expanduser()
        check(folder)
        return folder
    from huggingface_hub import snapshot_download

    def fetch(local: bool) -> Path:
        patterns = list(PATTERNS)
        return Path(
            snapshot_download(config.encoder, revision=config.revision, allow_patterns=patterns, local_files_only=local)
        )

    try:
        folder = fetch(local=True)
        check(folder)
    except (OSError, ValueError, EncoderError):  # not there, or not whole
        try:
            folder = fetch(local=False)
        except Exception as error:
            raise EncoderError(
                f"embed.encoder: {config.encoder!r} at {config.revision} is not in this machine's hub cache, and the "
                f"hub could not give it ({type(error).__name__}). Without a network: run `hf download {config.encoder} "
                f"--revision {config.revision} --local-dir FOLDER` on another machine, copy FOLDER to where every "
                "worker sees it, and set embed.encoder to it"
            ) from error
        check(folder)
    return folder


def stamp(config: EmbedConfig) -> str:
    """Changes whenever a file of a model folder does; empty for a hub model, whose revision is pinned."""
    if not is_folder(config):
        return ""
    folder = Path(config.encoder).expanduser()
    facts = [(path.relative_to(folder).as_posix(), path.stat()) for path in _files(folder)]
    return json.dumps([(name, fact.st_size, fact.st_mtime_ns) for name, fact in facts])


@lru_cache(maxsize=4)
def _digest(folder: Path, _stamp: str) -> str:
    """SHA-256 over names and contents of the model's files: weights, tokenizer, pooling and normalisation."""
    total = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def fingerprint(config: EmbedConfig) -> str:
    """Names all that a vector depends on; reads the weights of a folder, and loads no model.

    Raises:
        EncoderError: the model is missing or not pinned.
    """
    if is_folder(config):
        folder = Path(config.encoder).expanduser()
        check(folder)
        weights = _digest(folder, stamp(config))
    else:
        weights = f"{config.encoder}@{config.revision}"
    facts = [_VERSION, weights, config.prompt, config.dim, config.max_tokens]
    return f"sentence-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}"
