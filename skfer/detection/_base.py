"""The protocol of face detectors, their results, their names, and detection in large images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import Interval

from skfer._images._pixel_range import PixelRange

# Photos of most phones and cameras have 12 million pixels and are searched at full size. Haar needs
# about 50 MB for a million pixels.
SEARCHED_PIXELS = 16_000_000
# Smaller faces are not searched for in a reduced copy, because they cost much time.
_MIN_FACE_SIZE_IN_COPY = 20

# Constraint of scikit-learn: pixels, or a share of the shorter side.
MIN_FACE_SIZE = [
    Interval(Integral, 1, None, closed="left"),
    Interval(Real, 0, 1, closed="neither"),
]

_DetectorClass = TypeVar("_DetectorClass", bound=type)
_DETECTORS: dict[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Detections:
    """Faces detected in one image.

    Parameters
    ----------
    boxes : ndarray of shape (k, 4), int32
        Left edge, top edge, width and height of each face, in pixels.
    scores : ndarray of shape (k,), float32
        Confidence of the detector; higher is more certain. The scale depends on the detector.
    landmarks : ndarray of shape (k, 5, 2), float32, or None
        x and y in pixels of the right eye, the left eye, the tip of the nose, and the right and
        left corner of the mouth. Right and left are those of the person. None if the detector
        finds no landmarks.

    Raises
    ------
    ValueError
        If the numbers of boxes and scores differ, if a box or score is NaN or infinite, or if a
        box does not fit into int32 or has no pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import Detections
    >>> faces = Detections(np.array([[5, 5, 24, 24], [40, 8, 60, 60]]), np.array([0.5, 2.0]))
    >>> len(faces)
    2
    >>> faces.largest_first().boxes
    array([[40,  8, 60, 60],
           [ 5,  5, 24, 24]], dtype=int32)
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes)
        if not (np.abs(boxes, dtype=float) < 2**31).all() or not np.isfinite(self.scores).all():
            raise ValueError("boxes and scores must be finite, and boxes must fit into int32.")
        boxes = boxes.astype(np.int32).reshape(-1, 4)
        if (boxes[:, 2:] < 1).any():
            raise ValueError("The width and height of a box must be at least 1 pixel.")
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        if len(boxes) != len(scores):
            raise ValueError(f"There are {len(boxes)} boxes, but {len(scores)} scores.")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", scores)
        if self.landmarks is not None:
            landmarks = np.asarray(self.landmarks, np.float32).reshape(len(boxes), 5, 2)
            object.__setattr__(self, "landmarks", landmarks)

    @classmethod
    def none(cls) -> Detections:
        """Return detections without a face.

        Returns
        -------
        Detections
        """
        return cls(np.empty((0, 4)), np.empty(0))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, indices: Any) -> Detections:
        """Return a selection of the faces.

        Parameters
        ----------
        indices : ndarray of shape (m,) of int, or of shape (k,) of bool
            Indices, or a mask.

        Returns
        -------
        Detections
        """
        taken = object.__new__(Detections)  # without another validation
        for name, values in vars(self).items():
            object.__setattr__(taken, name, None if values is None else values[indices])
        return taken

    def largest_first(self) -> Detections:
        """Sort the faces by area, then by score, then from top to bottom.

        Returns
        -------
        Detections
        """
        x, y, width, height = self.boxes.astype(np.int64).T
        return self.take(np.lexsort((x, y, -self.scores, -width * height)))


@runtime_checkable
class FaceDetector(Protocol):
    """Protocol of face detectors.

    A detector that is shared between threads or processes must be thread-safe and picklable. A
    detector with scikit-learn's ``get_params`` (a subclass of `sklearn.base.BaseEstimator`) can
    be tuned in a Pipeline: ``cropper__detector__min_neighbors``.

    Three attributes are optional. ``finds_landmarks = False`` makes ``FaceCropper(align=True)``
    refuse the detector before the first image. ``cache_key()`` returns the cache key of the
    settings if the parameters do not determine the faces, such as the content of a model file
    instead of its path. ``detect_near(image, boxes)`` is a faster search for a video, which finds
    only faces near those of the frame before. Without it, all frames are searched completely.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer import FaceCropper
    >>> from skfer.detection import Detections
    >>> class TopLeft:
    ...     def detect(self, image):
    ...         return Detections(np.array([[0, 0, 24, 24]]), np.array([1.0]))
    >>> FaceCropper(TopLeft()).fit_transform([np.zeros((60, 80), np.uint8)])[0].shape
    (24, 24)
    """

    def detect(self, image: np.ndarray) -> Detections:
        """Detect the faces of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
        """
        ...


def register_detector(name: str) -> Callable[[_DetectorClass], _DetectorClass]:
    """Return a class decorator that makes a detector available by name."""

    def register(detector_class: _DetectorClass) -> _DetectorClass:
        _DETECTORS[name] = detector_class
        return detector_class

    return register


def list_detectors(*, landmarks: bool = False) -> list[str]:
    """List the names of detectors for `build_detector` and ``FaceCropper(detector=...)``.

    Parameters
    ----------
    landmarks : bool, default=False
        Whether to list only detectors of landmarks, as ``FaceCropper(align=True)`` needs.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from skfer.detection import list_detectors
    >>> list_detectors()
    ['auto', 'haar', 'mtcnn', 'yunet']
    >>> list_detectors(landmarks=True)
    ['mtcnn', 'yunet']
    """
    return sorted(
        ["auto"] * (not landmarks)
        + [name for name, kind in _DETECTORS.items() if kind.finds_landmarks or not landmarks]
    )


def build_detector(
    name: str, *, min_face_size: float | None = None, landmarks: bool = True
) -> FaceDetector:
    """Build a detector by name.

    Parameters
    ----------
    name : str
        One of `list_detectors`. "auto" is "yunet" if its model is installed, and otherwise
        "haar".
    min_face_size : int, float or None, default=None
        Side of the smallest face to detect: an int is in pixels, a float below 1 is a share of
        the shorter side of the image. None means the default of the detector.
    landmarks : bool, default=True
        Whether landmarks are needed. If not, YuNet does not refine them.

    Returns
    -------
    FaceDetector

    Raises
    ------
    ValueError
        If no detector has that name; the message lists the names.

    Examples
    --------
    >>> from skfer.detection import build_detector
    >>> build_detector("haar", min_face_size=48)
    HaarDetector(min_face_size=48)
    """
    if name == "auto":
        name = "yunet" if _DETECTORS["yunet"].is_installed() else "haar"
    if name not in _DETECTORS:
        names = ", ".join(map(repr, list_detectors()))
        raise ValueError(
            f"Unknown face detector {name!r}. Known detectors: {names}; or give an object with a "
            "detect method (skfer.detection.FaceDetector)."
        )
    settings = {} if min_face_size is None else {"min_face_size": min_face_size}
    detector = _DETECTORS[name](**settings)
    if not landmarks and hasattr(detector, "refine_landmarks"):
        detector.set_params(refine_landmarks=False)
    return detector


def is_installed(name: str) -> bool:
    """Return whether the package and the model of a detector are installed."""
    installed = getattr(_DETECTORS.get(name), "is_installed", None)
    return installed is None or bool(installed())


def detector_name(detector: Any) -> str:
    """Return the name of a detector, or its class if it has none."""
    kind = type(getattr(detector, "detector", detector))  # that of a CachedDetector
    names = [name for name, known in _DETECTORS.items() if known is kind]
    return names[0] if names else kind.__name__


def smallest_face(min_face_size: float, shape: tuple[int, ...]) -> float:
    """Return the side of the smallest face of an image in pixels, for pixels or a share."""
    return min_face_size * min(shape[:2]) if min_face_size < 1 else min_face_size


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """Convert an image to the input of a face detector.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1) or (H, W, 3), uint8 or float32

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), uint8
        Floats in [0, 1] or [-1, 1] are scaled to [0, 255], floats in [0, 255] with a pixel above
        16 are rounded, others are stretched from their minimum and maximum.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import to_eight_bits
    >>> to_eight_bits(np.array([[0.0, 0.2, 1.0]], np.float32))
    array([[  0,  51, 255]], dtype=uint8)
    """
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    return PixelRange.from_images(image).to_uint8(image)


def detect_faces(
    detector: FaceDetector, image: np.ndarray, max_pixels: int = SEARCHED_PIXELS
) -> Detections:
    """Detect the faces of an image, on a reduced copy if it has more than `max_pixels` pixels.

    This limits the memory and time of any detector. Boxes and landmarks are in pixels of the
    image.

    Parameters
    ----------
    detector : FaceDetector
        Its parameter `min_face_size`, if there is one, is scaled with the copy, down to 20
        pixels. Faces that are smaller in the copy are not found.
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        Gray or RGB.
    max_pixels : int, default=16_000_000
        Number of pixels above which a reduced copy is searched.

    Returns
    -------
    Detections

    Raises
    ------
    TypeError
        If the detector returns something else.

    Examples
    --------
    >>> import cv2
    >>> from skimage.data import astronaut
    >>> from skfer.detection import HaarDetector, detect_faces
    >>> photo = cv2.resize(astronaut(), (2048, 2048))
    >>> detect_faces(HaarDetector(), photo, max_pixels=300_000).largest_first().boxes[0] // 10
    array([70, 25, 38, 38], dtype=int32)
    """
    height, width = image.shape[:2]
    if height * width <= max_pixels:
        return call_detector(detector, image)
    scale = math.sqrt(max_pixels / (height * width))
    # A narrow strip keeps at least one pixel.
    rows = max(1, int(height * scale))
    columns = max(1, min(int(width * scale), max_pixels // rows))
    rows = min(rows, max(1, max_pixels // columns))
    copy = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    faces = call_detector(_scale_min_face_size(detector, scale), copy)
    scales = np.array([width / columns, height / rows])
    boxes = np.rint(faces.boxes * np.tile(scales, 2))
    landmarks = None if faces.landmarks is None else faces.landmarks * scales
    return Detections(boxes, faces.scores, landmarks)


def call_detector(detector: FaceDetector, image: np.ndarray) -> Detections:
    """Return the faces that a detector finds, whose type is checked."""
    faces = detector.detect(image)
    if not isinstance(faces, Detections):
        raise TypeError(
            f"The face detector {detector!r:.80} returned {type(faces).__name__} instead of "
            "skfer.detection.Detections. For an image without faces, return Detections([], [])."
        )
    return faces


def _scale_min_face_size(detector: Any, scale: float) -> Any:
    """Return a detector with its `min_face_size` adapted to a reduced copy, if it has one."""
    if hasattr(detector, "around"):  # a CachedDetector
        return detector.around(_scale_min_face_size(detector.detector, scale))
    settings = detector.get_params() if hasattr(detector, "get_params") else {}
    if "min_face_size" not in settings:
        return detector
    size = settings["min_face_size"]
    if size < 1:  # a share of the shorter side
        return detector
    size = max(min(size, _MIN_FACE_SIZE_IN_COPY), round(size * scale))
    return clone(detector).set_params(min_face_size=size)
