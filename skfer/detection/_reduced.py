"""`detect_faces`: faces of an image, found on a reduced copy if it is large."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from sklearn.base import clone

from skfer.detection._cache import CachedDetector
from skfer.detection._protocol import Detections, FaceDetector

# Photos of most phones and cameras, 12 million, are searched as they are. Haar needs about 50 MB
# for a million pixels.
MAX_PIXELS = 16_000_000
# In a copy, no smaller faces are searched for, because that costs a detector much time.
_SMALLEST_FACE = 20


def detect_faces(
    detector: FaceDetector, image: np.ndarray, max_pixels: int = MAX_PIXELS
) -> Detections:
    """Find the faces of an image, on a reduced copy if it has more than `max_pixels` pixels.

    It limits the memory and time of any detector. Boxes and landmarks are in pixels of the image.

    Parameters
    ----------
    detector : FaceDetector
        If it has a parameter `min_face_size`, that is scaled with the copy, down to 20 pixels. A
        face that is smaller in the copy is not found.
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        Gray or RGB.
    max_pixels : int, default=16_000_000

    Returns
    -------
    Detections

    Examples
    --------
    >>> import cv2
    >>> from skimage.data import astronaut
    >>> from skfer.detection import HaarDetector, detect_faces
    >>> photo = cv2.resize(astronaut(), (2048, 2048))
    >>> detect_faces(HaarDetector(), photo, max_pixels=300_000).largest_first().boxes[0] // 10
    array([71, 27, 36, 36], dtype=int32)
    """
    height, width = image.shape[:2]
    if height * width <= max_pixels:
        return detector.detect(image)
    scale = math.sqrt(max_pixels / (height * width))
    # Of a strip, one pixel of height stays.
    rows = max(1, int(height * scale))
    columns = max(1, min(int(width * scale), max_pixels // rows))
    rows = min(rows, max(1, max_pixels // columns))
    copy = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    faces = _at_scale(detector, scale).detect(copy)
    scales = np.array([width / columns, height / rows])
    boxes = np.rint(faces.boxes * np.tile(scales, 2))
    landmarks = None if faces.landmarks is None else faces.landmarks * scales
    return Detections(boxes, faces.scores, landmarks)


def _at_scale(detector: FaceDetector, scale: float) -> FaceDetector:
    """Return the detector with a `min_face_size` for a copy at that scale, if it has one."""
    if isinstance(detector, CachedDetector):
        return detector.around(_at_scale(detector.detector, scale))
    settings: dict[str, Any] = detector.get_params() if hasattr(detector, "get_params") else {}
    if "min_face_size" not in settings:
        return detector
    size = settings["min_face_size"]
    size = max(min(size, _SMALLEST_FACE), round(size * scale))
    return clone(detector).set_params(min_face_size=size)
