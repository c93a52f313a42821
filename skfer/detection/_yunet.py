"""`YuNetDetector`: faces and landmarks by a small convolutional network in OpenCV."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Hashable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import platformdirs
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._utils import DocLinkMixin, open_regular, page
from skfer.detection._base import MIN_FACE_SIZE, Detections, register_detector, smallest_face

MODEL_NAME = "face_detection_yunet_2026may.onnx"
_MODEL_SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
# The URL names a commit of https://github.com/opencv/opencv_zoo, so that the file can't change.
_MODEL_URL = (
    "https://github.com/opencv/opencv_zoo/raw/47534e27c9851bb1128ccc0102f1145e27f23f98/"
    f"models/face_detection_yunet/{MODEL_NAME}"
)
# Hundreds of times the size of the file.
_MAX_MODEL_BYTES = 100_000_000

# Longer side of the image in the coarse search. The network detects faces of about 10 to 600
# pixels, so a face may extend beyond the image at this size.
_COARSE_SIDE = 480
# Faces of this height are reliably found (score 0.82, large ones 0.93).
_RELIABLE_FACE_SIZE = 16
# Larger faces of a finer search are left to the coarser one, which sees them whole.
_MAX_FINE_FACE_SIZE = 320
# With fewer than 64 rows or columns, the network's outputs are arbitrary.
_MIN_IMAGE_SIDE = 64
# Boxes with a larger intersection over union are one face.
_MAX_OVERLAP = 0.3
_MAX_CANDIDATES = 5000

# Landmarks are refined in a window of this side, with a face of that height at its centre.
_WINDOW_SIDE = 320
_WINDOW_FACE_SIZE = 192
# The refinement is repeated if the tilt changed by at least so many degrees.
_TILT_TOLERANCE = 5.0
_MAX_REFINEMENTS = 2
# Faces farther from the centre of the window, in pixels, are other faces.
_MAX_CENTER_DISTANCE = 64.0
# A lower threshold suffices where a face is known to be.
_REFINEMENT_SCORE_THRESHOLD = 0.3

# A FaceDetectorYN keeps the image size and can't be pickled or shared: each thread has its own.
_thread_local = threading.local()


@register_detector("yunet")
class YuNetDetector(DocLinkMixin, BaseEstimator):
    """Detect faces and landmarks with YuNet, a network of 53 thousand weights.

    YuNet is faster than Haar, and also finds faces that are turned, tilted or partly covered.

    Parameters
    ----------
    model : str, path or None, default=None
        ONNX file of the network. None means the installed one: OpenCV's
        ``face_detection_yunet_2026may.onnx`` (0.2 MB, MIT licence) in the package or, after
        `download_yunet`, in the user's cache folder.
    score_threshold : float, default=0.7
        Minimum score of a face.
    min_face_size : int or float, default=24
        Shorter side of the smallest box: an int is in pixels of the image, a float below 1 is a
        share of its shorter side. Larger values avoid the finer searches of large photos (see
        `max_side`): for 1280 x 960 pixels, 43 takes a fifth of the time of 24.
    max_side : int, default=1280
        Maximum longer side of the image in the search. The photo is first scaled to a longer
        side of 480 pixels, where a face may fill the image. If `min_face_size` is below 16
        pixels at that scale, small faces are searched at 960, 1920, ... pixels, up to this side
        or that of the photo. At 1280, faces of 1 % of the longer side are found.
    refine_landmarks : bool, default=True
        Whether to detect the landmarks of each face again in an enlarged copy, because those of
        the first search hardly follow the tilt of a face (see Notes). This takes as long as a
        search of 320 x 320 pixels for each face, twice that for a tilted face. It is needed only
        for alignment. Boxes and scores do not change.

    Notes
    -----
    Scores are in [0, 1]. Every face has landmarks. For faces tilted by 30 degrees, the landmarks
    are tilted by 29 degrees with `refine_landmarks` and by 6 without (medians over faces 96
    pixels high).

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
        "min_face_size": MIN_FACE_SIZE,
        "max_side": [Interval(Integral, _MIN_IMAGE_SIDE, None, closed="left")],
        "refine_landmarks": ["boolean"],
    }

    def __init__(
        self,
        model: str | os.PathLike | None = None,
        *,
        score_threshold: float = 0.7,
        min_face_size: float = 24,
        max_side: int = 1280,
        refine_landmarks: bool = True,
    ):
        self.model = model
        self.score_threshold = score_threshold
        self.min_face_size = min_face_size
        self.max_side = max_side
        self.refine_landmarks = refine_landmarks

    def detect(self, image: np.ndarray) -> Detections:
        """Detect the faces of one image.

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
            If the model is not installed, or its file does not exist.
        ValueError
            If a parameter is out of range, or the file is not a YuNet model.
        """
        self._validate_params()
        network = _get_network(self.model)
        rows = np.vstack([self._search(network, image, side) for side in self._sides(image.shape)])
        boxes = np.rint(rows[:, :4]).astype(np.int32)
        smallest = max(1.0, smallest_face(self.min_face_size, image.shape))
        large_enough = boxes[:, 2:].min(axis=1) >= smallest
        rows, boxes = rows[large_enough], boxes[large_enough]
        kept = np.asarray(cv2.dnn.NMSBoxes(boxes, rows[:, 14], 0.0, _MAX_OVERLAP), np.intp)
        rows, boxes = rows[kept], boxes[kept]
        landmarks = rows[:, 4:14].reshape(-1, 5, 2)
        if self.refine_landmarks:
            landmarks = np.array([_refine_landmarks(network, image, row) for row in rows])
        return Detections(boxes, np.clip(rows[:, 14], 0, 1), landmarks).largest_first()

    @staticmethod
    def is_installed() -> bool:
        """Return whether the model for ``model=None`` is installed.

        Returns
        -------
        bool
        """
        return installed_model() is not None

    def cache_key(self) -> Hashable:
        """Return the settings and the checksum of the model.

        Returns
        -------
        tuple

        Raises
        ------
        FileNotFoundError
            If the model file does not exist.
        """
        settings = self.get_params(deep=False) | {"model": _MODEL_SHA256}
        if self.model is not None:
            settings["model"] = hashlib.sha256(_read_model(self.model)).hexdigest()
        return tuple(sorted(settings.items()))

    def _sides(self, shape: tuple[int, ...]) -> list[int]:
        """Return the longer sides of the copies of an image to search, the coarsest first."""
        longest = max(shape[:2])
        finest = min(longest, int(self.max_side))
        sides = [min(finest, _COARSE_SIDE)]
        smallest = smallest_face(self.min_face_size, shape)
        while sides[-1] < finest and smallest * sides[-1] / longest < _RELIABLE_FACE_SIZE:
            sides.append(min(2 * sides[-1], finest))
        return sides

    def _search(self, network: cv2.FaceDetectorYN, image: np.ndarray, side: int) -> np.ndarray:
        """Return the faces of a resized copy in pixels of the image, shape (k, 15)."""
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if size != (width, height):
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        rows = _detect(network, image, score_threshold=self.score_threshold)
        if side > _COARSE_SIDE:
            rows = rows[rows[:, 2:4].max(axis=1) <= _MAX_FINE_FACE_SIZE]
        rows[:, :14] *= np.tile([width / size[0], height / size[1]], 7)
        return rows


def _detect(
    network: cv2.FaceDetectorYN, image: np.ndarray, *, score_threshold: float
) -> np.ndarray:
    """Return the box, landmarks and score of each face in an image, shape (k, 15)."""
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
    bottom, right = (max(0, _MIN_IMAGE_SIDE - length) for length in image.shape[:2])
    if bottom or right:
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    network.setScoreThreshold(float(score_threshold))
    network.setInputSize(image.shape[1::-1])
    _, rows = network.detect(image)
    return np.empty((0, 15), np.float32) if rows is None else rows


def _refine_landmarks(
    network: cv2.FaceDetectorYN, image: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Detect the landmarks of a face again, in an enlarged copy rotated by the face's tilt.

    The landmarks of small faces hardly follow a tilt: of 30 degrees, they show 6 at a height of
    64 pixels and 24 at 192 pixels (medians of 100 images of FER2013).
    """
    landmarks = row[4:14].reshape(5, 2)
    center, height = row[:2] + row[2:4] / 2, float(max(row[2:4]))
    start = np.maximum(np.floor(center - 1.2 * height), 0).astype(int)
    stop = np.ceil(center + 1.2 * height).astype(int)
    if not (start < stop).all():
        return landmarks
    part = image[start[1] : stop[1], start[0] : stop[0]]
    if part.size == 0:
        return landmarks
    # The warp below would alias if it shrank the image much.
    scale = min(1.0, 1.5 * _WINDOW_FACE_SIZE / height)
    if scale < 1:
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    center = (center - start) * scale

    tilt = 0.0
    for _ in range(_MAX_REFINEMENTS):
        matrix = cv2.getRotationMatrix2D(
            center.tolist(), tilt, _WINDOW_FACE_SIZE / (height * scale)
        )
        matrix[:, 2] += _WINDOW_SIDE / 2 - center
        window = cv2.warpAffine(
            part, matrix, (_WINDOW_SIDE, _WINDOW_SIDE), borderMode=cv2.BORDER_REPLICATE
        )
        rows = _detect(network, window, score_threshold=_REFINEMENT_SCORE_THRESHOLD)
        distances = np.hypot(*(rows[:, :2] + rows[:, 2:4] / 2 - _WINDOW_SIDE / 2).T)
        if distances.min(initial=np.inf) > _MAX_CENTER_DISTANCE:
            break
        found = rows[distances.argmin(), 4:14].reshape(1, 5, 2)
        landmarks = cv2.transform(found, cv2.invertAffineTransform(matrix))[0] / scale + start
        previous, tilt = tilt, _tilt(landmarks)
        if abs(tilt - previous) < _TILT_TOLERANCE:
            break
    return landmarks


def _tilt(landmarks: np.ndarray) -> float:
    """Return the clockwise rotation of a face in degrees."""
    x, y = landmarks[[1, 4]].sum(axis=0) - landmarks[[0, 3]].sum(axis=0)
    return float(np.degrees(np.arctan2(y, x)))


def _get_network(model: str | os.PathLike | None) -> cv2.FaceDetectorYN:
    """Return the thread's own network of a model; reload it if the file has changed."""
    networks: dict[str | None, Any] = _thread_local.__dict__.setdefault("networks", {})
    if model is None:
        if None not in networks:
            networks[None] = _load(_checked_model())
        return networks[None]
    path = os.fspath(model)
    try:
        state = os.stat(path)
        stamp = state.st_mtime_ns, state.st_size, state.st_ino
    except OSError:
        stamp = None  # _load raises the error
    if path not in networks or stamp is None or networks[path][0] != stamp:
        networks[path] = stamp, _load(path)
    return networks[path][1]


def _load(path: str | os.PathLike) -> cv2.FaceDetectorYN:
    content = np.frombuffer(_read_model(path), np.uint8)
    try:
        # Loaded from memory, because OpenCV can't open non-ASCII paths on Windows.
        network = cv2.FaceDetectorYN.create(
            "onnx",
            content,
            np.empty(0, np.uint8),
            (_MIN_IMAGE_SIDE, _MIN_IMAGE_SIDE),
            nms_threshold=_MAX_OVERLAP,
            top_k=_MAX_CANDIDATES,
        )
        # Other networks load without an error and fail in `detect`.
        network.detect(np.zeros((_MIN_IMAGE_SIDE, _MIN_IMAGE_SIDE, 3), np.uint8))
    except cv2.error as error:
        raise ValueError(
            f"The model {os.fspath(path)!r} is not a YuNet network in ONNX format that OpenCV "
            f"{cv2.__version__} can read."
        ) from error
    return network


def _read_model(path: str | os.PathLike) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(_MAX_MODEL_BYTES)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FileNotFoundError(
            f"The model {os.fspath(path)!r} of YuNet can't be read ({why}). Give the path of its "
            "ONNX file, or install it with the command: skfer download yunet"
        ) from error


def is_yunet_model(path: Path) -> bool:
    """Return whether a file is the model of this version, by its SHA-256."""
    return hashlib.sha256(_read_model(path)).hexdigest() == _MODEL_SHA256


def installed_model() -> Path | None:
    """Return the model in the package or in the user's cache folder, or None."""
    for folder in (Path(__file__).parent, Path(platformdirs.user_cache_dir("skfer"))):
        if (folder / MODEL_NAME).is_file():
            return folder / MODEL_NAME
    return None


def download_yunet() -> Path:
    """Download YuNet's model to the user's cache folder, where `YuNetDetector` finds it.

    Returns
    -------
    Path
        The file, whose SHA-256 was verified. A model that is installed is not downloaded again.

    Raises
    ------
    OSError
        If it can't be downloaded or written.
    FileNotFoundError
        If a model is installed that can't be read.

    Examples
    --------
    >>> from skfer.detection import download_yunet
    >>> download_yunet().name  # doctest: +SKIP
    'face_detection_yunet_2026may.onnx'
    """
    import pooch

    installed = installed_model()
    if installed is not None and is_yunet_model(installed):
        return installed
    folder = platformdirs.user_cache_dir("skfer")
    checksum = f"sha256:{_MODEL_SHA256}"
    try:
        pooch.get_logger().setLevel("WARNING")
        return Path(pooch.retrieve(_MODEL_URL, checksum, fname=MODEL_NAME, path=folder))
    except (OSError, ValueError) as error:  # no network or full disk; wrong checksum
        raise OSError(
            f"YuNet's model can't be downloaded from {_MODEL_URL} to {folder!r} "
            f"({type(error).__name__}). Copy the file {MODEL_NAME!r} (SHA-256 "
            f"{_MODEL_SHA256[:12]}...) to that folder, or give its path: "
            f"YuNetDetector(model='.../yunet.onnx'). See {page('faq')}"
        ) from error


def _checked_model() -> Path:
    """Return the installed model, whose checksum is verified."""
    path = installed_model()
    if path is None:
        raise FileNotFoundError(
            "YuNet's model is not installed. Download it with skfer.detection.download_yunet() or "
            "the command: skfer download yunet. Or give its path: "
            f"YuNetDetector(model='.../yunet.onnx'). See {page('faq')}"
        )
    if not is_yunet_model(path):
        raise FileNotFoundError(
            f"The file {str(path)!r} is not the YuNet model of this version. Delete it, and "
            "download the model with the command: skfer download yunet"
        )
    return path
