"""`YuNetDetector`: faces and five landmarks by a small convolutional network, in OpenCV."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._documentation import Documented
from skfer._utils import open_regular
from skfer.detection._protocol import Detections
from skfer.detection._yunet_landmarks import refined_landmarks
from skfer.detection._yunet_model import MODEL_SHA256, fetched_model

# The network knows faces from about 10 to 600 pixels: searched at this side, a face may fill the
# picture.
_COARSE_SIDE = 640
# A face this high in the coarse search is found there (score 0.82 where a large one has 0.93).
_EASY_FACE = 16
# What is larger than this in a finer search is left to the coarser one, which sees it whole.
_LARGEST_FINE_FACE = 320
# On rows of fewer than 64 pixels the network's outputs are arbitrary numbers.
_SMALLEST_SIDE = 64
# Boxes that overlap by more, as intersection over union, are one face.
_OVERLAP = 0.3
_MOST_CANDIDATES = 5000
# Hundreds of times the size of the file.
_MAX_MODEL_BYTES = 100_000_000
# Where a face is known to be, a lower score is enough for its landmarks.
_SCORE_OF_KNOWN_FACE = 0.3

# A FaceDetectorYN is set to one size of image and keeps it: threads can't share one, and it
# can't be pickled.
_of_this_thread = threading.local()


class YuNetDetector(Documented, BaseEstimator):
    """Find faces and their landmarks with YuNet, a network of 53 thousand weights.

    It finds faces that are turned, tilted or partly covered, which Haar misses, in less time.

    Parameters
    ----------
    model : str, path or None, default=None
        The network's ONNX file. None: OpenCV's ``face_detection_yunet_2026may.onnx`` (0.2 MB,
        MIT licence), which is downloaded when it is first needed, into the user's cache folder,
        and checked by its SHA-256; ``pip install "skfer[yunet]"``.
    score_threshold : float, default=0.7
        Faces with a lower score are left out.
    min_face_size : int, default=24
        Shorter side of the smallest face's box, in pixels of the image. The larger it is, the
        fewer large photos need the finer search (`max_side`): of one of 1280 x 960 pixels, 32
        leaves only the coarse search, a fifth of the work of 24.
    max_side : int, default=1280
        A photo is scaled down for the search: first to a longer side of 640 pixels, where a face
        may be as large as the picture. If `min_face_size` is less than 16 pixels there, it is
        searched again at 1280, 2560, ... pixels up to this side or its own, for small faces. At
        1280, a face of 1 % of the photo's longer side is found.
    refine_landmarks : bool, default=True
        Look at every face again, enlarged, for its landmarks: those of the first search hardly
        turn with a tilted face (see Notes). For each face it takes as long as a search of
        320 x 320 pixels, for a tilted one twice that; False saves it where no face is aligned.
        Boxes and scores stay those of the first search.

    Notes
    -----
    Scores are in [0, 1]. Landmarks come with every face. Of a tilt of 30 degrees they show 29
    degrees with `refine_landmarks` and 6 without (medians over faces 96 pixels high).

    References
    ----------
    Wu, W., Peng, H. & Yu, S. (2023). YuNet: a tiny millisecond-level face detector. Machine
    Intelligence Research, 20, 656-665. https://doi.org/10.1007/s11633-023-1423-y

    Examples
    --------
    >>> from skfer.detection import YuNetDetector
    >>> from skfer.preprocessing import FaceCropper
    >>> cropper = FaceCropper(YuNetDetector("yunet.onnx", score_threshold=0.8), align=True)
    """

    finds_landmarks = True

    _parameter_constraints = {
        "model": [str, os.PathLike, None],
        "score_threshold": [Interval(Real, 0, 1, closed="both")],
        "min_face_size": [Interval(Integral, 1, None, closed="left")],
        "max_side": [Interval(Integral, _SMALLEST_SIDE, None, closed="left")],
        "refine_landmarks": ["boolean"],
    }

    def __init__(
        self,
        model: str | os.PathLike | None = None,
        *,
        score_threshold: float = 0.7,
        min_face_size: int = 24,
        max_side: int = 1280,
        refine_landmarks: bool = True,
    ):
        self.model = model
        self.score_threshold = score_threshold
        self.min_face_size = min_face_size
        self.max_side = max_side
        self.refine_landmarks = refine_landmarks

    def detect(self, image: np.ndarray) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
            Largest first, with landmarks. A box may reach beyond the edge of the image.

        Raises
        ------
        FileNotFoundError
            If there is no model at that path, or if it can't be downloaded.
        ValueError
            If a parameter is out of range, or the file is no YuNet model.
        """
        self._validate_params()
        network = _network(self.model)
        rows = np.vstack([self._search(network, image, side) for side in self._sides(image.shape)])
        boxes = np.rint(rows[:, :4]).astype(np.int32)
        rows, boxes = (of[boxes[:, 2:].min(axis=1) >= self.min_face_size] for of in (rows, boxes))
        kept = np.asarray(cv2.dnn.NMSBoxes(boxes, rows[:, 14], 0.0, _OVERLAP), np.intp)
        rows, boxes = rows[kept], boxes[kept]
        landmarks = rows[:, 4:14].reshape(-1, 5, 2)
        if self.refine_landmarks:
            find = functools.partial(_rows, network, score_threshold=_SCORE_OF_KNOWN_FACE)
            landmarks = np.array([refined_landmarks(find, image, row) for row in rows])
        return Detections(boxes, np.clip(rows[:, 14], 0, 1), landmarks).largest_first()

    def cache_key(self) -> Hashable:
        """What decides the faces: the settings, and the model by its content.

        Returns
        -------
        tuple

        Raises
        ------
        FileNotFoundError
            If there is no model at that path.
        """
        settings = self.get_params(deep=False) | {"model": MODEL_SHA256}
        if self.model is not None:
            settings["model"] = hashlib.sha256(_content(self.model)).hexdigest()
        return tuple(sorted(settings.items()))

    def _sides(self, shape: tuple[int, ...]) -> list[int]:
        """The longer sides at which an image is searched, the coarsest first."""
        longest = max(shape[:2])
        finest = min(longest, int(self.max_side))
        sides = [min(finest, _COARSE_SIDE)]
        while sides[-1] < finest and self.min_face_size * sides[-1] / longest < _EASY_FACE:
            sides.append(min(2 * sides[-1], finest))
        return sides

    def _search(self, network: cv2.FaceDetectorYN, image: np.ndarray, side: int) -> np.ndarray:
        """Rows of box, landmarks and score, in pixels of the image."""
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if size != (width, height):
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        rows = _rows(network, image, score_threshold=self.score_threshold)
        if side > _COARSE_SIDE:
            rows = rows[rows[:, 2:4].max(axis=1) <= _LARGEST_FINE_FACE]
        rows[:, :14] *= np.tile([width / size[0], height / size[1]], 7)
        return rows


def _rows(network: cv2.FaceDetectorYN, image: np.ndarray, *, score_threshold: float) -> np.ndarray:
    """What the network finds in a gray or RGB image, shape (k, 15)."""
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
    below, beside = (max(0, _SMALLEST_SIDE - length) for length in image.shape[:2])
    if below or beside:
        image = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT)
    network.setScoreThreshold(float(score_threshold))
    network.setInputSize(image.shape[1::-1])
    _, rows = network.detect(image)
    return np.empty((0, 15), np.float32) if rows is None else rows


def _network(model: str | os.PathLike | None) -> cv2.FaceDetectorYN:
    """The network of a model that is this thread's own; loaded again if the file has changed."""
    networks: dict[str | None, Any] = _of_this_thread.__dict__.setdefault("networks", {})
    if model is None:
        if None not in networks:
            networks[None] = _load(fetched_model())
        return networks[None]
    path = os.fspath(model)
    try:
        state = os.stat(path)
    except OSError:
        state = None  # _content says what is wrong with it
    stamp = state and (state.st_mtime_ns, state.st_size, state.st_ino)
    if path not in networks or stamp is None or networks[path][0] != stamp:
        networks[path] = stamp, _load(path)
    return networks[path][1]


def _load(path: str | os.PathLike) -> cv2.FaceDetectorYN:
    content = np.frombuffer(_content(path), np.uint8)
    try:
        # From memory: OpenCV opens no path with letters beyond ASCII on Windows.
        network = cv2.FaceDetectorYN.create(
            "onnx",
            content,
            np.empty(0, np.uint8),
            (_SMALLEST_SIDE, _SMALLEST_SIDE),
            nms_threshold=_OVERLAP,
            top_k=_MOST_CANDIDATES,
        )
        # Another kind of network loads, and fails when it is asked for faces.
        network.detect(np.zeros((_SMALLEST_SIDE, _SMALLEST_SIDE, 3), np.uint8))
    except cv2.error as error:
        raise ValueError(
            f"model: {os.fspath(path)!r} is no YuNet network in ONNX form that OpenCV "
            f"{cv2.__version__} can read."
        ) from error
    return network


def _content(path: str | os.PathLike) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(_MAX_MODEL_BYTES)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FileNotFoundError(
            f"model: {os.fspath(path)!r} can't be read ({why}). Give the path of YuNet's ONNX "
            "file, or model=None to fetch it."
        ) from error
