"""Face detectors: functions from an image to boxes, scores and landmarks of faces."""

from skfer.detection._base import (
    Detections,
    FaceDetector,
    build_detector,
    detect_faces,
    list_detectors,
    to_eight_bits,
)
from skfer.detection._cache import CachedDetector, remembering
from skfer.detection._haar import HaarDetector
from skfer.detection._mtcnn import MTCNNDetector
from skfer.detection._yunet import YuNetDetector, download_yunet

__all__ = [
    "CachedDetector",
    "Detections",
    "FaceDetector",
    "HaarDetector",
    "MTCNNDetector",
    "YuNetDetector",
    "build_detector",
    "detect_faces",
    "download_yunet",
    "list_detectors",
    "remembering",
    "to_eight_bits",
]
