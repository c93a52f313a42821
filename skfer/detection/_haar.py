"""`HaarDetector`: frontal faces by the boosted cascade of OpenCV."""

from __future__ import annotations

import threading
from numbers import Integral, Real
from pathlib import Path

import cv2
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._utils import Documented
from skfer.detection._base import Detections, register_detector

# Window size of the cascade: it finds no smaller faces.
_WINDOW_SIDE = 24

_CASCADE_FILE = "haarcascade_frontalface_default.xml"

# A CascadeClassifier is neither thread-safe nor picklable: each thread has one for all detectors.
_thread_local = threading.local()


@register_detector("haar")
class HaarDetector(Documented, BaseEstimator):
    """Detect upright frontal faces with the Viola-Jones cascade of OpenCV.

    Parameters
    ----------
    scale_factor : float, default=1.1
        Ratio of successive scales of the search. Values nearer to 1 are slower and find more.
    min_neighbors : int, default=5
        Number of windows that must agree on a face. Higher values give fewer false faces and
        miss more real ones.
    min_face_size : int, default=24
        Side of the smallest face to detect, in pixels; values below 24 act as 24. Larger values
        are faster: 96 reduces the time for a photo of 12 megapixels to about a third.
    score_threshold : float, default=0.0
        Minimum score of a face. 0 loses 1 in 200 of the faces of FER2013 that
        ``float("-inf")`` finds.

    Notes
    -----
    The score of a face is the weight of its strongest window in the last stage of the cascade.
    It may be negative and has no fixed scale.

    A face whose centre lies in a larger one is removed: it is usually a nose and a mouth, often
    with the higher score.

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
        min_face_size: int = 24,
        score_threshold: float = 0.0,
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
            Largest first, without landmarks.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        FileNotFoundError
            If OpenCV was installed without the cascade.
        """
        self._validate_params()
        side = max(self.min_face_size, _WINDOW_SIDE)
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
    """Remove the faces, sorted by size, whose centre lies in a larger one."""
    kept: list[int] = []
    for face, (x, y, width, height) in enumerate(faces.boxes):
        outer = faces.boxes[kept]
        from_corner = np.array([x + width / 2, y + height / 2]) - outer[:, :2]
        if not ((from_corner > 0) & (from_corner < outer[:, 2:])).all(axis=1).any():
            kept.append(face)
    return faces.take(kept)


def _cascade() -> cv2.CascadeClassifier:
    """Return the cascade of the current thread."""
    if not hasattr(_thread_local, "cascade"):
        path = Path(cv2.data.haarcascades) / _CASCADE_FILE
        cascade = cv2.CascadeClassifier(str(path))
        if cascade.empty():
            raise FileNotFoundError(
                f"OpenCV's cascade {str(path)!r} can't be loaded. Install opencv-python or "
                "opencv-python-headless, version 4.10 or later, below 5."
            )
        _thread_local.cascade = cascade
    return _thread_local.cascade
