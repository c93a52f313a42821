"""Face detectors by name."""

from __future__ import annotations

from collections.abc import Callable

from skfer.detection._haar import HaarDetector
from skfer.detection._protocol import FaceDetector

_DETECTORS: dict[str, Callable[..., FaceDetector]] = {"haar": HaarDetector}


def list_detectors() -> list[str]:
    """Names that `build_detector` and ``FaceCropper(detector=...)`` know."""
    return sorted(_DETECTORS)


def build_detector(name: str, *, min_face_size: int) -> FaceDetector:
    """The detector of that name.

    Parameters
    ----------
    name : str
        One of `list_detectors`.
    min_face_size : int
        Side of the smallest face searched for, in pixels.

    Raises
    ------
    ValueError
        If no detector has that name; it lists those there are.
    """
    if name not in _DETECTORS:
        known = ", ".join(map(repr, list_detectors()))
        raise ValueError(
            f"No face detector is called {name!r}. Known: {known}; or give an object with a "
            "detect method (skfer.detection.FaceDetector)."
        )
    return _DETECTORS[name](min_face_size=min_face_size)
