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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np

from skfer._partial_file import partial_file
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
# A claim this old was left by a process that died.
_STALE_SECONDS = 60.0


class CachedDetector:
    """A detector that looks at each image once, in whichever process.

    The key is the image's content (pixels, shape, kind of number), the detector's class and
    settings (its ``cache_key()``, or its parameters), and OpenCV's version. Processes and threads
    that share a folder don't detect the same image twice: whoever comes first claims it, the
    others wait for the result. A file that can't be read is detected and written anew.

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
        """
        entry = self._entry(image)
        while (faces := _read(entry)) is None:
            with _claim(entry) as ours:
                if ours:
                    # Another process may have written it between our look and our claim.
                    if (faces := _read(entry)) is None:
                        faces = self.detector.detect(image)
                        _write(entry, faces)
                    return faces
            time.sleep(_POLL_SECONDS)
        return faces

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


@contextlib.contextmanager
def _claim(entry: Path) -> Iterator[bool]:
    """Hold the right to detect an image; False if somebody else holds it."""
    claim = entry.with_suffix(".claim")
    try:
        claim.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"memory: the folder {str(claim.parent)!r} for the boxes can't be made "
            f"({error.strerror}). Give another one, or memory=None."
        ) from error
    try:
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - claim.stat().st_mtime > _STALE_SECONDS:
                claim.unlink()
        yield False
        return
    try:
        yield True
    finally:
        claim.unlink(missing_ok=True)


def _write(entry: Path, faces: Detections) -> None:
    columns = [faces.boxes, faces.scores[:, np.newaxis]]
    if faces.landmarks is not None:
        columns.append(faces.landmarks.reshape(len(faces), 10))
    with partial_file(entry) as part:  # a reader sees the whole file or none
        np.save(part, np.ascontiguousarray(np.hstack(columns), "<f8"))


def _read(entry: Path) -> Detections | None:
    """The faces of an entry; None if it isn't there or is damaged."""
    try:
        content = entry.read_bytes()
    except OSError:
        return None
    header = _HEADER.match(content)
    if header is None:
        return None
    rows, columns = map(int, header.groups())
    if len(content) - header.end() != 8 * rows * columns:
        return None
    table = np.frombuffer(content, "<f8", offset=header.end()).reshape(rows, columns)
    landmarks = table[:, 5:] if columns == 15 else None
    return Detections(table[:, :4], table[:, 4], landmarks)
