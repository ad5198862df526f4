"""Files on their way to executors, as one archive, and back, whole or not at all."""

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from xlrec.errors import ConfigError, MachineError
from xlrec.runtime.machine import cannot_write


def pack(archive: Path, places: Mapping[str, Path]) -> dict[str, str]:
    """Writes the archive, and gives where in it each place lies.

    Args:
        archive: Of the kind that Spark unpacks, a zip; weights would not shrink, so nothing is compressed.
        places: Files and folders by the names of the folders that they get in the archive; '' is its top.
    """
    with zipfile.ZipFile(archive, "w", strict_timestamps=False) as opened:
        for name, place in places.items():
            paths = sorted(one for one in place.rglob("*") if one.is_file()) if place.is_dir() else [place]
            root = place if place.is_dir() else place.parent
            for path in paths:
                opened.write(path, Path(name, path.relative_to(root)).as_posix())
    return {name: name if place.is_dir() else f"{name}/{place.name}" for name, place in places.items()}


def require_room(folder: Path, mark: str) -> None:
    """Passes where `replaced` may put something in the folder's place.

    Args:
        folder: May be absent.
        mark: A file that only what is to be replaced holds.

    Raises:
        ConfigError: it holds something else.
        MachineError: nothing can be written there.
    """
    if folder.exists() and not (folder / mark).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"output: {folder} is there and holds no {mark}, so it is not replaced: name another folder")
    reason = cannot_write(folder.absolute().parent)
    if reason is not None:
        raise MachineError(f"output: nothing can be written beside {folder} ({reason}): name another folder")


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder for the block; after it, in one move, that is `folder`: who looks sees the old or the new.

    Raises:
        MachineError: it cannot be written.
    """
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            new = Path(beside, "new")
            new.mkdir()
            yield new
            if folder.exists():
                folder.rename(Path(beside, "old"))
            new.rename(folder)
    except OSError as error:
        raise MachineError(f"output: {folder} cannot be written ({error.strerror or error}): name another") from error
