"""Arrays as .npy files: written whole or not at all, mapped where large."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

_MAP_FROM_BYTES: Final = 1 << 16


def load_array(path: Path) -> NDArray[Any]:
    """Array of an .npy file, (n,) or (n, m) of any dtype, read-only: mapped where large, read where small."""
    if path.stat().st_size >= _MAP_FROM_BYTES:
        return np.asarray(np.load(path, mmap_mode="r"))  # a plain view: slices of a memmap object cost ten times more
    array: NDArray[Any] = np.load(path)
    array.flags.writeable = False
    return array


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file that other processes see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Writes one .npy file of an (n,) or (n, m) array of any dtype."""
    replace_file(path, lambda file: np.save(file, array))


def save_array_parts(path: Path, kind: "np.dtype[Any]", shape: tuple[int, ...], parts: Iterable[NDArray[Any]]) -> None:
    """Writes one .npy file of this dtype and shape from its parts in C order.

    Parts are (n,) or (n, m) arrays of dtype `kind`; memory holds one at a time.
    """
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}

    def write(file: IO[bytes]) -> None:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(part.tobytes())

    replace_file(path, write)
