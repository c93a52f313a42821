"""Face detectors behind one protocol: an image in, boxes and scores out."""

from skfer.detection._cache import CachedDetector
from skfer.detection._eight_bits import to_eight_bits
from skfer.detection._haar import HaarDetector
from skfer.detection._protocol import Detections, FaceDetector
from skfer.detection._registry import build_detector, list_detectors

__all__ = [
    "CachedDetector",
    "Detections",
    "FaceDetector",
    "HaarDetector",
    "build_detector",
    "list_detectors",
    "to_eight_bits",
]
