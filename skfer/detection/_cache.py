"""`CachedDetector`: a cache of detections on disk, by image content.

There is one small ``.npy`` file for each image and detector. A lookup takes 0.08 ms;
`joblib.Memory` takes 0.37 ms, more than half of Haar's time for 48 x 48 pixels (0.63 ms). The
files contain only numbers, so a cache from another source can't run code.
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

from skfer._storage import DISK_ERRNOS, partial_file
from skfer._utils import open_regular
from skfer.detection._base import Detections, FaceDetector, call_detector

_FOLDER = "skfer_faces"
# Part of every key. Raise it when the meaning of a file changes.
_FORMAT = 1

# NumPy's header. `np.load` parses it with `ast`, which is not thread-safe in Python 3.11
# (SystemError: python/cpython#106905).
_HEADER = re.compile(
    rb"\x93NUMPY\x01\0.."
    rb"\{'descr': '<f8', 'fortran_order': False, 'shape': \((\d+), (5|15)\), \} *\n",
    re.DOTALL,
)

_POLL_SECONDS = 0.002
# Maximum time to wait for another process that detects the same image.
_WAIT_SECONDS = 60.0
# Size of 8,000 faces with landmarks. Larger entries are not read.
_MAX_BYTES = 1_000_000


class CachedDetector:
    """Detector with a cache on disk, shared by threads and processes.

    The key consists of the image (pixels, shape, dtype), the detector's class and settings (its
    ``cache_key()`` or its parameters), and OpenCV's version. No image is detected twice: the
    first process or thread locks the entry, the others wait for its result. Damaged entries, and
    entries with boxes that are not finite or far outside the image, are replaced. If entries
    can't be written, such as on a full disk, a warning is issued and images are detected without
    the cache.

    Parameters
    ----------
    detector : FaceDetector
    folder : path
        Folder of the cache. It is created at the first detection.

    Raises
    ------
    ValueError
        If the detector has no usable cache key.

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
        self._folder = Path(folder) / _FOLDER / _detector_hash(detector)

    def __repr__(self) -> str:
        return repr(self.detector)

    def detect(self, image: np.ndarray) -> Detections:
        """Detect the faces of one image, or read them from the cache.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
            The result of the detector.

        Raises
        ------
        TypeError
            If the detector returns something else.

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
            # Another process may have written the entry while this one waited.
            if (faces := _read(entry, image.shape)) is None:
                faces = call_detector(self.detector, image)
                _write(entry, faces)
        return faces

    def around(self, detector: FaceDetector) -> CachedDetector:
        """Return a cached version of another detector, in the same folder.

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
    """Return a detector with a cache in a folder.

    Parameters
    ----------
    detector : FaceDetector
    memory : path, joblib.Memory or None
        The cache is inside the folder of a `joblib.Memory`, so that its ``clear()`` empties it.

    Returns
    -------
    FaceDetector
        The detector itself if `memory` is None or has no folder.

    Raises
    ------
    ValueError
        If the detector has no usable cache key.

    Examples
    --------
    >>> from skfer.detection import HaarDetector, remembering
    >>> type(remembering(HaarDetector(), "faces")).__name__
    'CachedDetector'
    >>> remembering(HaarDetector(), None)
    HaarDetector()
    """
    if isinstance(memory, joblib.Memory):
        memory = None if memory.store_backend is None else memory.store_backend.location
    return detector if memory is None else CachedDetector(detector, memory)


def _detector_hash(detector: FaceDetector) -> str:
    """Return a hash of the detector's class and settings, the same in every process."""
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
            f"The detector {detector!r} can't be pickled and has no cache key: use memory=None, "
            "or define cache_key, get_params or __getstate__."
        ) from error


def _make_folder(folder: Path) -> None:
    """Create a folder; a full disk is left to `_write`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            return
        raise ValueError(
            f"memory: the folder {str(folder)!r} can't be created ({error.strerror}). Give "
            "another folder, or memory=None."
        ) from error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock on a file. The system releases it when the process ends.

    On systems without locks (Windows, some network file systems), there is no protection against
    a second detection.
    """
    try:
        import fcntl

        # Do not follow a link, and do not wait for a pipe.
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
            except OSError:  # the file system has no locks
                break
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _write(entry: Path, faces: Detections) -> None:
    """Write an entry, or warn if that fails."""
    columns = [faces.boxes, faces.scores[:, np.newaxis]]
    if faces.landmarks is not None:
        columns.append(faces.landmarks.reshape(len(faces), 10))
    try:
        if not entry.is_file() and not entry.is_dir():
            entry.unlink(missing_ok=True)  # a pipe, or a link to a device
        with partial_file(entry) as part:  # readers never see a partial file
            np.save(part, np.ascontiguousarray(np.hstack(columns), "<f8"))
    except OSError as error:
        folder = entry.parent.parent.parent
        warnings.warn(
            f"memory: detections can't be written to {str(folder)!r} ({error}); images are "
            "detected without the cache.",
            stacklevel=2,
        )


def _read(entry: Path, shape: tuple[int, ...]) -> Detections | None:
    """Read the faces of an image of that shape; None if there is no valid entry."""
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
    # A box may extend beyond the image by at most its longer side.
    boxes, limit = table[:, :4], 2 * max(shape[:2])
    if not np.isfinite(table).all() or (np.abs(boxes) > limit).any() or (boxes[:, 2:] < 1).any():
        return None
    landmarks = table[:, 5:] if columns == 15 else None
    return Detections(boxes, table[:, 4], landmarks)
