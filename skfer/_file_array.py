"""Arrays that lie in a temporary file instead of in memory, and reading them part by part."""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

# Images a part: their pages are let go together.
_PART = 1024


class _TemporaryPages(mmap.mmap):
    """A temporary file of ours: other mapped memory may be private, and lost when let go."""


def file_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of zeros in a temporary file that has no name, and is gone with the array.

    It is written and read like any other array; a pickle holds its values. The file lies where
    Python keeps temporary files (``TMPDIR``). It goes even if the process is killed.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray

    Raises
    ------
    OSError
        If there is no room for it; the size is named.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile(prefix="skfer-") as file:
            _reserve(file, n_bytes)
            pages = _TemporaryPages(file.fileno(), n_bytes)  # keeps the file open by itself
    except OSError as error:
        raise OSError(
            error.errno,
            f"There is no room for a temporary file of {n_bytes / 1e9:,.1f} GB with images of "
            f"shape {shape} in {tempfile.gettempdir()!r} ({error.strerror}). Name a larger "
            "folder by the environment variable TMPDIR, or keep them in memory: "
            "sklearn.set_config(working_memory=...), in MiB, of which a sixteenth may be taken.",
        ) from error
    # Not an np.memmap: joblib would send its workers the name of the file, which has none.
    return np.ndarray(shape, dtype, buffer=pages)


def _reserve(file: IO[bytes], n_bytes: int) -> None:
    """Make the file that long; where the system can, with room on the disk that stays."""
    # Asked first: the system would take what is left of the disk from others before it gives up.
    if n_bytes > shutil.disk_usage(tempfile.gettempdir()).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file.truncate(n_bytes)
    if hasattr(os, "posix_fallocate"):
        # A disk that is full later, while pages are written, would kill the process.
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # not all systems of files can
                raise


def parts(array: np.ndarray, size: int = _PART) -> Iterator[np.ndarray]:
    """The array in slices of its first axis, as views; each is let go when the next is asked for.

    So reading an array that lies in a file takes the memory of a part.
    """
    for start in range(0, len(array), size):
        yield array[start : start + size]
        let_go(array)


def let_go(array: np.ndarray) -> None:
    """Take an array's pages out of the process's memory, if they lie in a file.

    Nothing is lost: they are read from the file again, or from the system's cache of it, when
    they are next looked at. An array in memory stays as it is.
    """
    pages = _pages_of(array)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _pages_of(array: Any) -> mmap.mmap | None:
    """The mapped file that an array lies in; None if there is none, or none that may be let go."""
    kind: type[mmap.mmap] = _TemporaryPages
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            # With mode "c" what was written is nowhere else, and would be lost.
            if array.mode not in ("r", "r+", "w+"):
                return None
            kind = mmap.mmap
        array = array.base
    return array if isinstance(array, kind) else None
