"""The file of a model: a zip archive of plain JSON and arrays, sealed by a checksum.

The archive holds ``skfer.json`` and then ``000.npy``, ``001.npy``, ..., none of them compressed:
what is unpacked can't be larger than the file. Its comment, the last bytes of the file, is the
SHA-256 of all that stands before, so no byte can differ unnoticed. That finds damage; against
somebody who writes a checksum too, the reader takes nothing but data.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from skfer._array_files import DAMAGE, add_array, member, read_array
from skfer._documentation import page

TEXT = "skfer.json"
_SEAL = b"skfer sha256 "
_SEAL_LENGTH = len(_SEAL) + 64
_PIECE = 1 << 20
# Several times the largest network of keras.applications.
_MOST_BYTES = 4_000_000_000
# EfficientNetB7, the network with the most layers, takes 0.4 MB of text and 1,400 arrays.
_MOST_TEXT = 4_000_000
_MOST_ARRAYS = 20_000

# How other files that hold models begin.
_PICKLE = (
    "is a pickle, such as joblib.dump writes, which may run any code when it is loaded. If you "
    "trust who made it: joblib.load(path); the command skfer takes it if its name ends in .joblib. "
    f"See {page('guide/deploy')}"
)
_KERAS = "is a Keras model: FacialExpressionClassifier.from_keras(path, classes=...) takes it."
_OTHERS = (
    (b"\x80", _PICKLE),
    (b"\x78", _PICKLE),  # compressed
    (b"\x1f\x8b", _PICKLE),
    (b"\x89HDF", _KERAS),
)


def write_container(file: IO[bytes], content: dict[str, Any], arrays: Sequence[np.ndarray]) -> None:
    """Write content and arrays into a new file that can be read as well."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(member(TEXT), json.dumps(content))
        for place, array in enumerate(arrays):
            add_array(archive, f"{place:03}.npy", array, compress=False)
        archive.comment = _SEAL.ljust(_SEAL_LENGTH, b"0")
    digest = _digest(file, file.seek(0, os.SEEK_END) - 64)
    file.seek(-64, os.SEEK_END)
    file.write(digest)


def read_container(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Content and arrays of a file, if it is what was written.

    Raises
    ------
    OSError
        If there is no such file, or it can't be read.
    ValueError
        If it is no such file, or has been changed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {str(path)!r}.")
    with path.open("rb") as file:
        _check_seal(file, path)
        try:
            return _unpacked(file)
        except (*DAMAGE, KeyError, RecursionError) as error:
            raise ValueError(f"{str(path)!r} is no model that can be read: {error}.") from error


def _begins_right(head: bytes) -> bool:
    return head[:4] == b"PK\x03\x04" and head[30:] == TEXT.encode()


def _check_seal(file: IO[bytes], path: Path) -> None:
    head = file.read(30 + len(TEXT))
    if not _begins_right(head):
        what = next((what for mark, what in _OTHERS if head.startswith(mark)), None)
        if what is None and head.startswith(b"PK"):
            what = f"is a zip archive, but not one of skfer.save. Perhaps it {_KERAS}"
        what = what or ("is empty." if not head else "is no model that skfer.save wrote.")
        raise ValueError(f"{str(path)!r} {what}")
    size = file.seek(0, os.SEEK_END)
    if size > _MOST_BYTES:
        raise ValueError(
            f"{str(path)!r} has {size:,} bytes; models of up to {_MOST_BYTES:,} are read."
        )
    file.seek(max(0, size - _SEAL_LENGTH))
    seal = file.read()
    if not seal.startswith(_SEAL):
        raise ValueError(
            f"{str(path)!r} breaks off, or was packed anew: the checksum at its end is missing."
        )
    found, written = _digest(file, size - 64), seal[len(_SEAL) :]
    if found != written:
        raise ValueError(
            f"{str(path)!r} has been changed or is damaged: the SHA-256 of its content is "
            f"{found.decode()}, and {written.decode('ascii', 'replace')} was written into it."
        )


def _digest(file: IO[bytes], length: int) -> bytes:
    """SHA-256 of the first so many bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (piece := file.read(min(_PIECE, length))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest().encode()


def _unpacked(file: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]]:
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        text, *arrays = archive.infolist()
        if len(arrays) > _MOST_ARRAYS or text.file_size > _MOST_TEXT:
            raise ValueError(f"it holds {len(arrays):,} arrays, {text.file_size:,} bytes of text")
        expected = [TEXT, *(f"{place:03}.npy" for place in range(len(arrays)))]
        for info, name in zip(archive.infolist(), expected, strict=True):
            if info.filename != name or info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"it holds {info.filename!r}, where {name!r}, not packed, is to be"
                )
        # Members that share bytes would make a small file a large one.
        if sum(info.file_size for info in archive.infolist()) > size:
            raise ValueError("its parts are larger than itself")
        content = json.loads(archive.read(text).decode("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{TEXT!r} holds no object")
        return content, [read_array(archive, info) for info in arrays]
