"""`HaarDetector`: frontal faces by the boosted cascade that ships with OpenCV."""

from __future__ import annotations

import threading
from numbers import Integral, Real
from pathlib import Path

import cv2
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._documentation import Documented
from skfer.detection._protocol import Detections

# The cascade was trained on windows of this side: it sees no smaller face.
SMALLEST_FACE = 24

_CASCADE_FILE = "haarcascade_frontalface_default.xml"

# A CascadeClassifier keeps the image it works on inside itself, so threads can't share one,
# and it can't be pickled. All detectors use the same file: one for each thread serves them.
_of_this_thread = threading.local()


class HaarDetector(Documented, BaseEstimator):
    """Find upright frontal faces with the Viola-Jones cascade of OpenCV.

    Parameters
    ----------
    scale_factor : float, default=1.1
        Each scale searched is this much larger than the one before. Nearer to 1 is slower and
        finds more.
    min_neighbors : int, default=5
        Windows that must agree on a face. More of them give fewer false faces and miss more
        real ones.
    min_face_size : int, default=24
        Side of the smallest face searched for, in pixels. Below 24 the cascade sees nothing.
        Time falls steeply as it grows: with 96, a photo of 12 megapixels takes about a third.
    score_threshold : float, default=0.0
        Faces with a lower score are left out. 0 costs 1 in 200 of the faces of FER2013 that are
        found without it (``float("-inf")``).

    Notes
    -----
    The score of a face is the weight that the cascade's last stage gives to its strongest
    window. It may be negative, and it has no fixed scale.

    A face whose middle lies in a larger one is left out: it is a nose and a mouth, taken for a
    face, whose score is often the higher one.

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
        "min_face_size": [Interval(Integral, 1, None, closed="left")],
        "score_threshold": [Real],
    }

    def __init__(
        self,
        scale_factor: float = 1.1,
        min_neighbors: int = 5,
        min_face_size: int = SMALLEST_FACE,
        score_threshold: float = 0.0,
    ):
        self.scale_factor = scale_factor
        self.min_neighbors = min_neighbors
        self.min_face_size = min_face_size
        self.score_threshold = score_threshold

    def detect(self, image: np.ndarray) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
            Largest first, without landmarks.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        FileNotFoundError
            If OpenCV came without the cascade.
        """
        self._validate_params()
        side = max(self.min_face_size, SMALLEST_FACE)
        if min(image.shape[:2]) < side:
            return Detections.none()
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        boxes, _, scores = _cascade().detectMultiScale3(
            gray,
            scaleFactor=float(self.scale_factor),
            minNeighbors=int(self.min_neighbors),
            minSize=(side, side),
            outputRejectLevels=True,
        )
        if len(boxes) == 0:
            return Detections.none()
        faces = Detections(np.asarray(boxes), np.asarray(scores))
        return _outermost(faces.take(faces.scores >= self.score_threshold).largest_first())


def _outermost(faces: Detections) -> Detections:
    """Of faces, largest first, those whose middle lies in none of the others before them."""
    kept: list[int] = []
    for face, (x, y, width, height) in enumerate(faces.boxes):
        outer = faces.boxes[kept]
        from_corner = np.array([x + width / 2, y + height / 2]) - outer[:, :2]
        if not ((from_corner > 0) & (from_corner < outer[:, 2:])).all(axis=1).any():
            kept.append(face)
    return faces.take(kept)


def _cascade() -> cv2.CascadeClassifier:
    if not hasattr(_of_this_thread, "cascade"):
        path = Path(cv2.data.haarcascades) / _CASCADE_FILE
        cascade = cv2.CascadeClassifier(str(path))
        if cascade.empty():
            raise FileNotFoundError(
                f"OpenCV's cascade {str(path)!r} can't be loaded. The packages opencv-python and "
                "opencv-python-headless carry it from 4.10 on, below 5."
            )
        _of_this_thread.cascade = cascade
    return _of_this_thread.cascade
