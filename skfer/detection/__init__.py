"""Face detectors behind one protocol: an image in, boxes and scores out."""

from skfer.detection._cache import CachedDetector, remembering
from skfer.detection._eight_bits import to_eight_bits
from skfer.detection._haar import HaarDetector
from skfer.detection._mtcnn import MTCNNDetector
from skfer.detection._protocol import Detections, FaceDetector
from skfer.detection._reduced import detect_faces
from skfer.detection._registry import build_detector, list_detectors
from skfer.detection._yunet import YuNetDetector

__all__ = [
    "CachedDetector",
    "Detections",
    "FaceDetector",
    "HaarDetector",
    "MTCNNDetector",
    "YuNetDetector",
    "build_detector",
    "detect_faces",
    "list_detectors",
    "remembering",
    "to_eight_bits",
]
