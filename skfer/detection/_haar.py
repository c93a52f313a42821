"""`HaarDetector`: frontal faces by a boosted cascade of OpenCV."""

from __future__ import annotations

import math
import threading
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._images._batch import to_gray
from skfer._utils import DocLinkMixin
from skfer.detection._base import MIN_FACE_SIZE, Detections, register_detector, smallest_face

_CASCADE_FILE = "haarcascade_frontalface_alt.xml"
# Side of the smallest window that is searched. That of the cascade is 20 pixels.
_WINDOW_SIDE = 24
# Smallest face in pixels if `min_face_size` is a share of the image.
_MIN_SIDE_OF_SHARE = 32
# Threshold of the last stage of the cascade, which scores are relative to.
_LAST_STAGE = 105.76

# The search for large faces: shorter side of the copy, border and smallest face as shares of that
# side, ratio of scales, and number of windows that must agree.
_COARSE_SIDE = 112
_COARSE_BORDER = 0.3
_COARSE_FACE = 0.35
_COARSE_SCALE_FACTOR = 1.05
_COARSE_NEIGHBORS = 3
# Longest side of the copy. Narrower images have no faces.
_MAX_COARSE_SIDE = 1280
# Faces above this share of the shorter side are left to the search for large faces.
_MAX_FINE_FACE = 0.5

# The search near known faces: side of the smallest one in the copy, distance that a face may move
# and smallest and largest face as shares of the known sides, and ratio of scales.
_NEAR_SIDE = 48
_NEAR_DISTANCE = 0.6
_NEAR_SIZES = 0.6, 1.6
_NEAR_SCALE_FACTOR = 1.1

# A CascadeClassifier is neither thread-safe nor picklable: each thread has one for all detectors.
_thread_local = threading.local()


@register_detector("haar")
class HaarDetector(DocLinkMixin, BaseEstimator):
    """Detect upright frontal faces with a Viola-Jones cascade of OpenCV.

    Parameters
    ----------
    scale_factor : float, default=1.2
        Ratio of successive scales of the search. Values nearer to 1 are slower and find more.
        Faces of more than 35 % of the shorter side are searched with 1.05.
    min_neighbors : int, default=2
        Number of windows that must agree on a face. Higher values give fewer false faces and
        miss more real ones. Faces of more than 35 % of the shorter side need 3 at most.
    min_face_size : int or float, default=0.04
        Side of the smallest face to detect: an int is in pixels, a float below 1 is a share of
        the shorter side of the image, and at least 32 pixels. Ints below 24 act as 24. Larger
        values are faster.
    score_threshold : float, default=1.05
        Minimum score of a face. Half of it is enough for faces of more than 35 % of the shorter
        side, because few of them are false.

    Notes
    -----
    Two searches with the cascade ``haarcascade_frontalface_alt`` are joined. Faces of at least
    35 % of the shorter side are searched on a copy of 112 pixels, extended by 30 % on every side,
    because the cascade needs the surroundings of a face that fills the image. Smaller faces are
    searched on a copy in which the smallest one has 24 pixels.

    The score of a face is the weight of its strongest window in the last stage of the cascade
    above the threshold of that stage, from 0 to about 3. If a face contains the centre of
    another one, the face with the higher score is kept.

    ``benchmarks/detection.py`` compares cascades and settings.

    References
    ----------
    Viola, P. and Jones, M. (2001). Rapid object detection using a boosted cascade of simple
    features. CVPR, https://doi.org/10.1109/CVPR.2001.990517.

    Lienhart, R. and Maydt, J. (2002). An extended set of Haar-like features for rapid object
    detection. ICIP, https://doi.org/10.1109/ICIP.2002.1038171.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import HaarDetector
    >>> len(HaarDetector(min_face_size=48).detect(np.zeros((96, 96), np.uint8)))
    0
    """

    finds_landmarks = False

    _parameter_constraints = {
        "scale_factor": [Interval(Real, 1, None, closed="neither")],
        "min_neighbors": [Interval(Integral, 1, None, closed="left")],
        "min_face_size": MIN_FACE_SIZE,
        "score_threshold": [Real],
    }

    def __init__(
        self,
        scale_factor: float = 1.2,
        min_neighbors: int = 2,
        min_face_size: float = 0.04,
        score_threshold: float = 1.05,
    ):
        self.scale_factor = scale_factor
        self.min_neighbors = min_neighbors
        self.min_face_size = min_face_size
        self.score_threshold = score_threshold

    def detect(self, image: np.ndarray) -> Detections:
        """Detect the faces of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
            Largest first, without landmarks. A box may extend beyond the image.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        FileNotFoundError
            If OpenCV was installed without the cascade.
        """
        self._validate_params()
        shape = image.shape[:2]
        smallest = self._smallest(shape)
        fine = _resize(image, _WINDOW_SIDE / smallest)
        gray = to_gray(fine)
        boxes, scores = self._search_small(gray, shape, smallest)
        large_boxes, large_scores = self._search_large(gray, shape)
        boxes = np.vstack([boxes, large_boxes])
        thresholds = np.repeat([1, 0.5], [len(scores), len(large_scores)]) * self.score_threshold
        scores = np.concatenate([scores, large_scores])
        return _select(boxes, scores, thresholds, smallest, shape)

    def detect_near(self, image: np.ndarray, boxes: np.ndarray) -> Detections:
        """Detect the faces of a frame near those of the frame before.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.
        boxes : ndarray of shape (k, 4)
            Known faces, at least one. Half of `score_threshold` is enough for a face near them.

        Returns
        -------
        Detections
            Largest first, with sides of 60 to 160 % of those of `boxes`.

        Raises
        ------
        FileNotFoundError
            If OpenCV was installed without the cascade.
        """
        self._validate_params()
        shape = image.shape[:2]
        part, scale, corner = _copy_part(image, boxes)
        # The part around many small faces may be larger than the copy of a complete search.
        complete = math.prod(shape) * (_WINDOW_SIDE / self._smallest(shape)) ** 2
        if math.prod(part.shape[:2]) > complete:
            return self.detect(image)
        gray = to_gray(part)
        sides = np.asarray(boxes)[:, 2:].max(axis=1) * scale
        smallest, largest = _NEAR_SIZES * np.array([sides.min(), sides.max()])
        found, scores = _search(gray, _NEAR_SCALE_FACTOR, self.min_neighbors, smallest, largest)
        found = found / scale + [*corner, 0, 0]
        threshold = 0.5 * self.score_threshold
        return _select(found, scores, threshold, self._smallest(shape), shape)

    def _smallest(self, shape: tuple[int, ...]) -> float:
        """Return the side of the smallest face to detect in an image, in pixels."""
        least = _MIN_SIDE_OF_SHARE if self.min_face_size < 1 else _WINDOW_SIDE
        return max(smallest_face(self.min_face_size, shape), least)

    def _search_small(
        self, gray: np.ndarray, shape: tuple[int, ...], smallest: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Search the reduced copy `gray` for faces from `smallest` pixels of the image."""
        scale = gray.shape[0] / shape[0]
        sides = smallest * scale, _MAX_FINE_FACE * min(gray.shape)
        boxes, scores = _search(gray, self.scale_factor, self.min_neighbors, *sides)
        return boxes / scale, scores

    def _search_large(
        self, gray: np.ndarray, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Search the reduced copy `gray` for faces that may fill the image."""
        copy = _resize(
            gray, min(_COARSE_SIDE / min(gray.shape), _MAX_COARSE_SIDE / max(gray.shape))
        )
        scale = np.tile([copy.shape[1] / shape[1], copy.shape[0] / shape[0]], 2)
        border = round(_COARSE_BORDER * min(copy.shape))
        smallest = _COARSE_FACE * min(copy.shape)
        copy = cv2.copyMakeBorder(copy, *[border] * 4, cv2.BORDER_REPLICATE)
        neighbors = min(self.min_neighbors, _COARSE_NEIGHBORS)
        boxes, scores = _search(copy, _COARSE_SCALE_FACTOR, neighbors, smallest, max(copy.shape))
        return (boxes - [border, border, 0, 0]) / scale, scores


def _select(
    boxes: np.ndarray, scores: np.ndarray, thresholds: Any, smallest: float, shape: tuple[int, ...]
) -> Detections:
    """Return the faces that are certain and large enough, without overlaps, largest first."""
    scores = scores - _LAST_STAGE
    centers = boxes[:, :2] + boxes[:, 2:] / 2
    kept = (boxes[:, 2] >= smallest) & (scores >= thresholds)
    kept &= ((centers > 0) & (centers < shape[::-1])).all(axis=1)
    boxes, scores = boxes[kept], scores[kept]
    best = _remove_overlaps(boxes, scores)
    return Detections(np.rint(boxes[best]), scores[best]).largest_first()


def _copy_part(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Copy the part of an image around the faces of the frame before.

    Returns the copy, its scale (at most 1) and its left and top edge in the image. The part reaches
    from each box by 60 % of its side; pixels outside the image are those of its edge.
    """
    boxes = np.asarray(boxes, float)
    sides = boxes[:, 2:].max(axis=1, keepdims=True)
    reach, longest = _NEAR_DISTANCE * sides, int(sides.max())
    size = np.array(image.shape[1::-1])
    # Frames of another size than the one before may not contain the boxes.
    corner = np.floor(boxes[:, :2] - reach).min(axis=0).clip(-longest, size - 1).astype(int)
    end = np.ceil(boxes[:, :2] + boxes[:, 2:] + reach).max(axis=0).astype(int)
    end = end.clip(np.maximum(corner, 0) + 1, size + longest)
    start, stop = np.maximum(corner, 0), np.minimum(end, size)
    part = image[start[1] : stop[1], start[0] : stop[0]]
    (left, top), (right, bottom) = (start - corner).tolist(), (end - stop).tolist()
    part = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE)
    scale = min(1.0, _NEAR_SIDE / sides.min())
    if scale < 1:
        shape = np.maximum(1, np.rint((end - corner) * scale)).astype(int)
        part = cv2.resize(part, shape.tolist(), interpolation=cv2.INTER_AREA)
    return part, scale, corner


def _resize(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return image
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)


def _search(
    gray: np.ndarray, scale_factor: float, min_neighbors: int, smallest: float, largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes and scores of faces with a side from `smallest` to `largest` pixels."""
    smallest, largest = max(_WINDOW_SIDE, round(smallest)), int(largest)
    boxes: Any = ()
    if smallest <= min(largest, *gray.shape):
        boxes, _, scores = _cascade().detectMultiScale3(
            gray,
            scaleFactor=float(scale_factor),
            minNeighbors=int(min_neighbors),
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
            outputRejectLevels=True,
        )
    if len(boxes) == 0:
        return np.empty((0, 4)), np.empty(0)
    return np.asarray(boxes, float), np.ravel(scores)


def _remove_overlaps(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Return the indices of the best of faces that contain the centre of each other."""
    kept: list[int] = []
    others = np.argsort(-scores, kind="stable")
    while len(others):
        best, others = others[0], others[1:]
        kept.append(int(best))
        others = others[~_contains_center(boxes[best], boxes[others])]
    return kept


def _contains_center(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each other box whether the larger of the two contains the smaller's centre."""
    is_smaller = others[:, 2:3] <= box[2]
    small, large = np.where(is_smaller, others, box), np.where(is_smaller, box, others)
    from_corner = small[:, :2] + small[:, 2:] / 2 - large[:, :2]
    return np.all((from_corner > 0) & (from_corner < large[:, 2:]), axis=1)


def _cascade() -> cv2.CascadeClassifier:
    """Return the cascade of the current thread."""
    if not hasattr(_thread_local, "cascade"):
        path = Path(cv2.data.haarcascades) / _CASCADE_FILE
        cascade = cv2.CascadeClassifier(str(path))
        if cascade.empty():
            raise FileNotFoundError(
                f"OpenCV's cascade {str(path)!r} can't be loaded. Install opencv-python or "
                "opencv-python-headless, version 4.12 or later, below 5."
            )
        _thread_local.cascade = cascade
    return _thread_local.cascade
