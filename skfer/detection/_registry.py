"""Face detectors by name."""

from __future__ import annotations

from typing import Any

from skfer.detection._haar import HaarDetector
from skfer.detection._mtcnn import MTCNNDetector
from skfer.detection._protocol import FaceDetector
from skfer.detection._yunet import YuNetDetector

_DETECTORS: dict[str, Any] = {
    "haar": HaarDetector,
    "mtcnn": MTCNNDetector,
    "yunet": YuNetDetector,
}


def list_detectors(*, landmarks: bool = False) -> list[str]:
    """Names that `build_detector` and ``FaceCropper(detector=...)`` know.

    Parameters
    ----------
    landmarks : bool, default=False
        Only those that find landmarks, which ``FaceCropper(align=True)`` needs.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from skfer.detection import list_detectors
    >>> list_detectors()
    ['haar', 'mtcnn', 'yunet']
    >>> list_detectors(landmarks=True)
    ['mtcnn', 'yunet']
    """
    return sorted(
        name for name, kind in _DETECTORS.items() if kind.finds_landmarks or not landmarks
    )


def build_detector(name: str, *, min_face_size: int, landmarks: bool = True) -> FaceDetector:
    """The detector of that name.

    Parameters
    ----------
    name : str
        One of `list_detectors`.
    min_face_size : int
        Side of the smallest face searched for, in pixels.
    landmarks : bool, default=True
        Whether landmarks are needed. Without, YuNet spends no time on their precision.

    Returns
    -------
    FaceDetector

    Raises
    ------
    ValueError
        If no detector has that name; it lists those there are.

    Examples
    --------
    >>> from skfer.detection import build_detector
    >>> build_detector("haar", min_face_size=48)
    HaarDetector(min_face_size=48)
    """
    if name not in _DETECTORS:
        known = ", ".join(map(repr, list_detectors()))
        raise ValueError(
            f"No face detector is called {name!r}. Known: {known}; or give an object with a "
            "detect method (skfer.detection.FaceDetector)."
        )
    if name == "yunet":
        return YuNetDetector(min_face_size=min_face_size, refine_landmarks=landmarks)
    return _DETECTORS[name](min_face_size=min_face_size)
