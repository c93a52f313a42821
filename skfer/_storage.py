"""Files that appear as a whole, arrays in temporary files, and arrays in zip archives."""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
import secrets
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from skfer._utils import open_regular

# The disk, a quota or the largest file size is exceeded, or the disk fails.
DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def check_output(path: str | os.PathLike) -> None:
    """Raise an OSError if no regular file can be written or replaced at `path`."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder, not a file to write.")
    # The administrator would replace /dev/null, or the link /dev/stdout, by a file.
    is_stream = target.is_symlink() and os.readlink(target).startswith("/proc/")
    if is_stream or (target.exists() and not target.is_file()):
        raise OSError(f"{str(target)!r} is a device or a pipe, not a file to write.")
    if target.parent.is_dir() and not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{str(target)!r} can't be written: Permission denied.")


@contextlib.contextmanager
def partial_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a file beside `path` that replaces it at the end of the block.

    If the block raises or is interrupted, the file is removed and `path` is not changed.
    """
    check_output(path)
    target = Path(path)
    # Not tempfile, whose files are private: this file has the mode of open().
    # Part of the stem, as a name can have 255 bytes.
    part = target.with_name(f".{target.stem[:40]}.{secrets.token_hex(8)}{target.suffix}")
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise _with_name(error, target) from error
    try:
        yield part
        part.replace(target)
    except OSError as error:
        if error.errno not in DISK_ERRNOS:
            raise
        raise _with_name(error, target) from error
    finally:
        part.unlink(missing_ok=True)


def _with_name(error: OSError, target: Path) -> OSError:
    """Return the error with the name of the file, which errors of writing lack."""
    kind = type(OSError(error.errno, ""))  # that of PyAV's errors needs other arguments
    named = kind(f"{str(target)!r} can't be written: {error.strerror}.")
    named.errno = error.errno
    return named


# Images of a part, whose pages are released together.
_PART = 1024


class _TemporaryPages(mmap.mmap):
    """Pages of a file of `file_array`. Other mapped memory may be private, and lost if released."""


def file_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros in a temporary file without a name, which ends with the array.

    A pickle of the array holds its values. The file is in the folder of temporary files
    (``TMPDIR``). It is removed even if the process is killed.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile(prefix="skfer-") as file:
            _reserve(file, n_bytes)
            pages = _TemporaryPages(file.fileno(), n_bytes)  # keeps the file open
    except OSError as error:
        raise OSError(
            error.errno,
            f"There is no room for a temporary file of {n_bytes / 1e9:,.1f} GB with images of "
            f"shape {shape} in {tempfile.gettempdir()!r} ({error.strerror}). Set the "
            "environment variable TMPDIR to a folder with more space, or keep them in memory: set "
            "sklearn.set_config(working_memory=...) to 16 times their size, in MiB.",
        ) from error
    # Not an np.memmap: joblib would send its workers the name of the file.
    return np.ndarray(shape, dtype, buffer=pages)


def _reserve(file: IO[bytes], n_bytes: int) -> None:
    """Set the length of a file, with reserved disk space if the system can."""
    # Checked first: the system would use up the disk before it fails.
    if n_bytes > shutil.disk_usage(tempfile.gettempdir()).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file.truncate(n_bytes)
    if hasattr(os, "posix_fallocate"):
        # A disk that is full when pages are written would kill the process.
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # unsupported
                raise


def iter_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield slices of the first axis; the pages of an array in a file are released after use."""
    for start in range(0, len(array), _PART):
        yield array[start : start + _PART]
        release_pages(array)


def release_pages(array: np.ndarray) -> None:
    """Release the memory of an array in a file; pages are read again when they are used."""
    pages = _pages_of(array)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _pages_of(array: Any) -> mmap.mmap | None:
    """Return the mapped file of an array; None if it must not be released."""
    kind: type[mmap.mmap] = _TemporaryPages
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            # In mode "c", written values are in memory only, and would be lost.
            if array.mode not in ("r", "r+", "w+"):
                return None
            kind = mmap.mmap
        array = array.base
    return array if isinstance(array, kind) else None


# Dtypes without Python objects, which would be pickles.
_KINDS = "biufU"
_MAX_HEADER = 10_000
# A fixed date, so that equal arrays give equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


def archive_entry(name: str) -> zipfile.ZipInfo:
    """Return the header of an archive entry with a fixed date."""
    return zipfile.ZipInfo(name, _DATE)


def add_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Write an array as a ``.npy`` entry of an archive, in its order: sums depend on it."""
    with archive.open(archive_entry(name), "w", force_zip64=array.nbytes > 2**31 - 2**16) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return the array of an entry whose header agrees with its size."""
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file, info.filename)
        promised = math.prod(shape) * dtype.itemsize
        there = info.file_size - file.tell()
        if promised != there:
            raise ValueError(
                f"{info.filename!r} declares {shape} of {dtype}, {promised:,} bytes, "
                f"and has {there:,}"
            )
        content = bytearray(promised)  # a writable array
        if file.readinto(content) != promised:  # type: ignore[attr-defined]
            raise ValueError(f"{info.filename!r} is truncated")
    if dtype.kind == "U":
        codes = np.frombuffer(content, np.dtype("u4").newbyteorder(dtype.byteorder))
        if ((codes > 0x10FFFF) | (codes - 0xD800 < 0x800)).any():
            raise ValueError(f"{info.filename!r} holds text that is not Unicode")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def read_npz(path: str | os.PathLike, max_bytes: int) -> dict[str, np.ndarray]:
    """Return all arrays of an ``.npz`` by name; pickled arrays are refused."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            unpacked = sum(info.file_size for info in members)
            if unpacked > max_bytes:
                raise ValueError(
                    f"it unpacks to {unpacked / 1e6:,.0f} MB; the limit is {max_bytes / 1e6:,.0f} "
                    "MB"
                )
            return {
                info.filename.removesuffix(".npy"): read_array(archive, info) for info in members
            }
    except READ_ERRORS as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read: {error}.") from error


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"{name!r} is of version {version} of NumPy's format")
    shape, fortran, dtype = readers[version](file, max_header_size=_MAX_HEADER)
    if dtype.kind not in _KINDS or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"{name!r} holds {shape} of {dtype}; numbers and text are read")
    return shape, fortran, dtype


# Errors of zipfile, zlib and NumPy's header reader for damaged files. RuntimeError is an archive
# with a password, NotImplementedError an unknown compression. NumPy tokenizes headers that are no
# Python 3.
READ_ERRORS = (
    *(ValueError, TypeError, OSError, EOFError, SyntaxError, IndexError, OverflowError),
    *(RuntimeError, NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error),
    tokenize.TokenError,
)
