"""Arrays in zip archives: what a member says of itself is checked before room is made for it."""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from typing import IO

import numpy as np

from skfer._utils import open_regular

# Whole and real numbers, truth values, text; no objects, which would be a pickle.
_KINDS = "biufU"
_LONGEST_HEADER = 10_000
# A date of its own, the same every time: equal arrays are an equal file.
_DATE = (1980, 1, 1, 0, 0, 0)


def member(name: str) -> zipfile.ZipInfo:
    """A member to be written, the same whenever it is written."""
    return zipfile.ZipInfo(name, _DATE)


def add_array(archive: zipfile.ZipFile, name: str, array: np.ndarray, *, compress: bool) -> None:
    """Write an array as a ``.npy`` member of an archive, piece by piece."""
    info = member(name)
    info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with archive.open(info, "w", force_zip64=array.nbytes > 2**31 - 2**16) as file:
        np.lib.format.write_array(file, np.asanyarray(array, order="C"), allow_pickle=False)


def read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """The array of a member, if its header agrees with its size.

    Raises
    ------
    ValueError
        If the header is damaged, holds Python objects, or promises more or less than there is.
    """
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file, info.filename)
        promised = math.prod(shape) * dtype.itemsize
        there = info.file_size - file.tell()
        if promised != there:
            raise ValueError(
                f"{info.filename!r} says that it holds {shape} of {dtype}, {promised:,} bytes, "
                f"and has {there:,}"
            )
        content = bytearray(promised)  # an array that may be written to
        if file.readinto(content) != promised:  # type: ignore[attr-defined]
            raise ValueError(f"{info.filename!r} breaks off")
    if dtype.kind == "U":
        codes = np.frombuffer(content, np.dtype("u4").newbyteorder(dtype.byteorder))
        if ((codes > 0x10FFFF) | (codes - 0xD800 < 0x800)).any():
            raise ValueError(f"{info.filename!r} holds text that is not Unicode")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def read_npz(path: str | os.PathLike, most_bytes: int) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``, by name; no pickle is read.

    Parameters
    ----------
    path : str or os.PathLike
    most_bytes : int
        What the arrays may take in memory together.

    Raises
    ------
    ValueError
        If it can't be read, or would unfold into more than that.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            unfolded = sum(info.file_size for info in members)
            if unfolded > most_bytes:
                raise ValueError(
                    f"it unfolds into {unfolded / 1e6:,.0f} MB; at most {most_bytes / 1e6:,.0f} MB "
                    "are taken"
                )
            return {
                info.filename.removesuffix(".npy"): read_array(archive, info) for info in members
            }
    except DAMAGE as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read: {error}.") from error


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"{name!r} is of version {version} of NumPy's format")
    shape, fortran, dtype = readers[version](file, max_header_size=_LONGEST_HEADER)
    if dtype.kind not in _KINDS or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"{name!r} holds {shape} of {dtype}; numbers and text are read")
    return shape, fortran, dtype


# What the readers of zip, of deflated data and of NumPy's headers raise on damage. RuntimeError is
# an archive with a password, NotImplementedError one that is packed in a way Python doesn't know;
# NumPy reads a header that is no Python as one of Python 2, by its tokens.
DAMAGE = (
    *(ValueError, TypeError, OSError, EOFError, SyntaxError, IndexError, OverflowError),
    *(RuntimeError, NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error),
    tokenize.TokenError,
)
