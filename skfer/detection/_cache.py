"""`CachedDetector`: faces remembered on disk, by what the image shows.

One small ``.npy`` file for each image and detector. Looking one up took 0.08 ms where
`joblib.Memory` took 0.37 ms, which is more than half of what Haar needs to look at a picture
of 48 x 48 pixels anew (0.63 ms). The files hold numbers only, so a cache from elsewhere can't
run code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np

from skfer._partial_file import NO_ROOM, partial_file
from skfer._utils import open_regular
from skfer.detection._protocol import Detections, FaceDetector

_FOLDER = "skfer_faces"
# Part of every key; raise it when what a file holds changes its meaning.
_FORMAT = 1

# What NumPy writes above such a table. `np.load` would have it parsed by `ast`, which Python 3.11
# can't always do in two threads at a time (SystemError: python/cpython#106905).
_HEADER = re.compile(
    rb"\x93NUMPY\x01\0.."
    rb"\{'descr': '<f8', 'fortran_order': False, 'shape': \((\d+), (5|15)\), \} *\n",
    re.DOTALL,
)

_POLL_SECONDS = 0.002
# After this time without an answer of the process that detects an image, it is detected here.
_WAIT_SECONDS = 60.0
# 8,000 faces with landmarks. What takes more is not cached.
_MAX_BYTES = 1_000_000


class CachedDetector:
    """A detector that looks at each image once, in whichever process.

    The key is the image's content (pixels, shape, kind of number), the detector's class and
    settings (its ``cache_key()``, or its parameters), and OpenCV's version. Processes and threads
    that share a folder don't detect the same image twice: the first one locks the entry, the
    others wait for the result. An entry that is damaged, or whose boxes are not finite or far
    outside the image, is detected and written again. If entries can't be written, such as on a
    full disk, images are detected without the cache, with a warning.

    Parameters
    ----------
    detector : FaceDetector
    folder : path
        Where the cache lies; made when the first image is detected.

    Raises
    ------
    ValueError
        If the detector can't be told from others by its settings.

    Examples
    --------
    >>> import tempfile
    >>> from skfer.datasets import make_faces
    >>> from skfer.detection import CachedDetector, HaarDetector
    >>> photo = make_faces(1, scene=True, random_state=0).images[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     detector = CachedDetector(HaarDetector(), folder)
    ...     first, again = detector.detect(photo), detector.detect(photo)
    >>> bool((first.boxes == again.boxes).all())
    True
    """

    def __init__(self, detector: FaceDetector, folder: str | os.PathLike):
        self.detector = detector
        self._folder = Path(folder) / _FOLDER / _key_of(detector)

    def __repr__(self) -> str:
        return repr(self.detector)

    def detect(self, image: np.ndarray) -> Detections:
        """The faces of one image, from the cache or from the detector.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
            As the detector gives them.

        Raises
        ------
        ValueError
            If the folder can't be made, or the detector refuses the image.

        Warns
        -----
        UserWarning
            If the entry can't be written.
        """
        entry = self._entry(image)
        if (faces := _read(entry, image.shape)) is not None:
            return faces
        _make_folder(entry.parent)
        with _lock(entry.with_suffix(".claim")):
            # Another process may have written it in the meantime.
            if (faces := _read(entry, image.shape)) is None:
                faces = self.detector.detect(image)
                _write(entry, faces)
        return faces

    def around(self, detector: FaceDetector) -> CachedDetector:
        """Return another detector with a cache in the same folder.

        Parameters
        ----------
        detector : FaceDetector

        Returns
        -------
        CachedDetector
        """
        return CachedDetector(detector, self._folder.parent.parent)

    def _entry(self, image: np.ndarray) -> Path:
        content = hashlib.sha256(f"{image.shape}{image.dtype.str}".encode())
        content.update(np.ascontiguousarray(image).data)
        name = content.hexdigest()
        return self._folder / name[:2] / f"{name[2:]}.npy"


def remembering(
    detector: FaceDetector, memory: str | os.PathLike | joblib.Memory | None
) -> FaceDetector:
    """The detector with a cache in that folder.

    Parameters
    ----------
    detector : FaceDetector
    memory : path, joblib.Memory or None
        A `joblib.Memory` lends its folder, so that its ``clear()`` empties the cache.

    Returns
    -------
    FaceDetector
        The detector itself if there is no folder.

    Raises
    ------
    ValueError
        If the detector can't be told from others by its settings.

    Examples
    --------
    >>> from skfer.detection import HaarDetector, remembering
    >>> type(remembering(HaarDetector(), "faces")).__name__
    'CachedDetector'
    >>> remembering(HaarDetector(), None)
    HaarDetector()
    """
    if isinstance(memory, joblib.Memory):
        # Inside joblib's own folder, so that memory.clear() empties it; None without a location.
        memory = None if memory.store_backend is None else memory.store_backend.location
    return detector if memory is None else CachedDetector(detector, memory)


def _key_of(detector: FaceDetector) -> str:
    """A name for the detector and its settings, the same in every process."""
    kind = type(detector)
    settings: Any = detector
    if hasattr(detector, "cache_key"):
        settings = detector.cache_key()
    elif hasattr(detector, "get_params"):
        settings = detector.get_params()
    try:
        return joblib.hash((_FORMAT, cv2.__version__, kind.__module__, kind.__qualname__, settings))
    except (pickle.PicklingError, TypeError) as error:
        raise ValueError(
            f"The detector {detector!r} can't be pickled, so its faces can't be told from those "
            "of another one: use memory=None, or give it cache_key, get_params or __getstate__."
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in NO_ROOM:
            return  # `_write` warns
        raise ValueError(
            f"memory: the folder {str(folder)!r} for the boxes can't be made "
            f"({error.strerror}). Give another one, or memory=None."
        ) from error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock file. The system ends the lock with the process that holds it.

    Without locks, as on Windows and some network file systems, an image may be detected twice.
    """
    try:
        import fcntl

        # A link or a pipe of that name is neither followed nor waited for.
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path, flags, 0o666)
    except (ImportError, OSError):
        yield
        return
    try:
        end = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < end:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_POLL_SECONDS)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _write(entry: Path, faces: Detections) -> None:
    columns = [faces.boxes, faces.scores[:, np.newaxis]]
    if faces.landmarks is not None:
        columns.append(faces.landmarks.reshape(len(faces), 10))
    try:
        with partial_file(entry) as part:  # a reader sees the whole file or none
            np.save(part, np.ascontiguousarray(np.hstack(columns), "<f8"))
    except OSError as error:
        folder = entry.parent.parent.parent
        warnings.warn(
            f"memory: boxes can't be kept in {str(folder)!r} ({error}); images are detected "
            "without the cache.",
            stacklevel=2,
        )


def _read(entry: Path, shape: tuple[int, ...]) -> Detections | None:
    """Return the faces of an image of that shape; None if there is no valid entry."""
    try:
        with open_regular(entry) as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError):
        return None
    header = _HEADER.match(content)
    if header is None:
        return None
    rows, columns = map(int, header.groups())
    if len(content) > _MAX_BYTES or len(content) - header.end() != 8 * rows * columns:
        return None
    table = np.frombuffer(content, "<f8", offset=header.end()).reshape(rows, columns)
    # A box may reach beyond the image, but not by more than its longer side.
    boxes, limit = table[:, :4], 2 * max(shape[:2])
    if not np.isfinite(table).all() or (np.abs(boxes) > limit).any() or (boxes[:, 2:] < 1).any():
        return None
    landmarks = table[:, 5:] if columns == 15 else None
    return Detections(boxes, table[:, 4], landmarks)
