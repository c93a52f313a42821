"""`FaceCropper`: photos of people to one face each."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import joblib
import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skfer._base import ImageEstimator, ImageTransformerMixin
from skfer._images._batch import Images, LazyImage, image_name, read_image
from skfer._images._dense import for_each_image, memory_share
from skfer._utils import join_first, page
from skfer.detection import (
    Detections,
    FaceDetector,
    build_detector,
    detect_faces,
    list_detectors,
    remembering,
    to_eight_bits,
)
from skfer.detection._base import MIN_FACE_SIZE, SEARCHED_PIXELS, smallest_face
from skfer.preprocessing._alignment import align_face, can_align, crop_box, expand_box

# Choices for an image without a face.
ON_MISSING = ("blank", "image", "raise")
# Number of images that an error or a warning about missing faces names; the others are counted.
MAX_NAMED_IMAGES = 10
_MAX_WARNED_IMAGES = 3
# Shortest side of an image that `whole_below` takes as a face.
_MIN_WHOLE = 8

# Functions from faces, largest first, and the shape of their image to the index of one face.
# Of equal faces, the largest is selected.
_SELECTIONS: dict[str, Callable[[Detections, tuple[int, ...]], int]] = {
    "largest": lambda faces, shape: 0,
    "central": lambda faces, shape: int(_distances_to_center(faces.boxes, shape).argmin()),
    "confident": lambda faces, shape: int(faces.scores.argmax()),
}


def _distances_to_center(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    x, y, width, height = boxes.T
    return np.hypot(x + width / 2 - shape[1] / 2, y + height / 2 - shape[0] / 2)


class FaceCropper(ImageTransformerMixin, ImageEstimator):
    """Crop one face from every image.

    The output has one crop for each image, in the same order and at its resolution; an
    `ImageResizer` or `GrayscaleResizer` makes one dense array of them. ``whole_below`` leaves
    images unchanged that are crops already, such as those of FER2013.

    Parameters
    ----------
    detector : str or FaceDetector, default="haar"
        Face detector: a name from `skfer.detection.list_detectors`, or an object whose method
        ``detect(image)`` takes a uint8 gray or RGB image and returns
        `skfer.detection.Detections`. "auto" is YuNet if its model is installed, and otherwise
        Haar; `detector_` says which.
    margin : float, default=0.0
        Margin on every side of the box, as a fraction of the box's side: 0.5 doubles the side.
        The default corresponds to the images of FER2013. Beyond the edges, the image is mirrored.
    align : bool, default=False
        Rotate, scale and shift every face so that its eyes, nose and mouth match their mean
        positions in FER2013 (least squares). Requires a detector that finds landmarks, such as
        "yunet" or "mtcnn". A face whose landmarks coincide or are NaN is cropped by its box.
    square : bool, default=True
        Extend the shorter side of the box to a square. Aligned crops are always square.
    select : {"largest", "central", "confident"}, default="largest"
        Face to crop if there are several: the largest, the nearest to the centre of the image,
        or the one with the highest score.
    min_face_size : int, float or None, default=None
        Minimum length of a box's shorter side: an int is in pixels, a float below 1 is a share
        of the image's shorter side. Smaller faces are ignored. A detector given by name skips
        them in its search, which saves much time on large photos. None means the default of the
        detector: 4 % of the shorter side, and at least 32 pixels, for Haar; 24 pixels for YuNet
        and MTCNN.
    whole_below : int, default=0
        Images whose longer side is below this number of pixels are returned whole, without
        detection or warning. 64 applies to FER2013. An image with a side below 8 pixels is too
        small for a face, and is searched like larger images.
    on_missing : {"image", "raise", "blank"}, default="image"
        Result for an image without a face. "image": the whole image, because a Pipeline returns a
        label for every image. "blank": an image of zeros of the same shape. Both warn once, with
        the number of images and the first names. "raise": `ValueError` that names these images.
        `skfer.recognize` has the same parameter; its default is "blank", a row without a label.
    memory : str, path, joblib.Memory or None, default=None
        Folder that caches detections, by image content and detector settings: a `GridSearchCV`
        then detects each image once for all candidates, folds and processes.
    n_jobs : int or None, default=None
        Number of threads that read and detect. None means 1, -1 one for each core. Threads are
        used with every joblib backend.
    verbose : int, default=0
        Verbosity of the progress report, as in `joblib.Parallel`.

    Attributes
    ----------
    detector_ : FaceDetector
        Detector that is used.

    Raises
    ------
    ValueError
        If `X` is not a batch of images, an image can't be read (the message names its index and
        path), a parameter is out of range, ``align=True`` and the detector finds no landmarks, or
        an image has no face and ``on_missing="raise"``.
    TypeError
        If `detector` is a class, or returns something other than `Detections`.

    See Also
    --------
    skfer.detection.HaarDetector : Default detector and its settings.
    skfer.detection.YuNetDetector : Faster detector that finds more faces, with landmarks.

    Notes
    -----
    The cropper learns nothing: `transform` and `detect` work without `fit`.

    Crops are kept in memory up to a sixteenth of scikit-learn's ``working_memory`` (64 MiB by
    default, see `sklearn.set_config`). Of further crops only the box is kept: the next step or
    ``np.asarray`` reads the image again, so the files must exist until then.

    Images of more than 16 million pixels are searched on a reduced copy. Crops are taken from the
    original image.

    Each `transform` warns of missing faces. To ignore expected warnings::

        warnings.filterwarnings("ignore", ".* no face found")

    References
    ----------
    Umeyama, S. (1991). Least-squares estimation of transformation parameters between two point
    patterns. IEEE Transactions on Pattern Analysis and Machine Intelligence, 13(4), 376-380.
    https://doi.org/10.1109/34.88573 (alignment).

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from skfer.preprocessing import FaceCropper
    >>> photo = astronaut()
    >>> photo.shape
    (512, 512, 3)
    >>> cropper = FaceCropper(margin=0.1)
    >>> faces = cropper.fit_transform([photo])
    >>> faces.shape, faces[0].shape
    ((1,), (123, 123, 3))
    >>> cropper.detect([photo])[0].boxes
    array([[173,  63, 103, 103]], dtype=int32)
    """

    _returns_dense = False
    _parameter_constraints = {
        "detector": [str, HasMethods("detect")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "align": ["boolean"],
        "square": ["boolean"],
        "select": [StrOptions(set(_SELECTIONS))],
        "min_face_size": [*MIN_FACE_SIZE, None],
        "whole_below": [Interval(Integral, 0, None, closed="left")],
        "on_missing": [StrOptions(set(ON_MISSING))],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        detector: str | FaceDetector = "haar",
        *,
        margin: float = 0.0,
        align: bool = False,
        square: bool = True,
        select: str = "largest",
        min_face_size: float | None = None,
        whole_below: int = 0,
        on_missing: str = "image",
        memory: str | os.PathLike | joblib.Memory | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.detector = detector
        self.margin = margin
        self.align = align
        self.square = square
        self.select = select
        self.min_face_size = min_face_size
        self.whole_below = whole_below
        self.on_missing = on_missing
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def detector_(self) -> FaceDetector:
        """Detector that is used: that of the name, or the object itself."""
        if isinstance(self.detector, type):
            name = self.detector.__name__
            raise TypeError(f"detector={name} is a class: give an object, such as {name}().")
        if not isinstance(self.detector, str):
            return self.detector
        return build_detector(self.detector, min_face_size=self.min_face_size, landmarks=self.align)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> FaceCropper:
        """Validate the parameters and the type of `X`. Nothing is learned.

        Parameters
        ----------
        X : batch of n images
            Arrays, paths or bytes. Paths are not read.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._images(X, reset=True)
        FaceFinder.from_cropper(self)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Crop one face from every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n,), object
            Crops ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``, with the channels of the images.
            uint8 and bool give uint8, other dtypes float32. Crops that exceed the memory limit
            (see Notes) are objects that ``np.asarray`` converts to arrays.
        """
        finder = FaceFinder.from_cropper(self)
        images = self._images(X, reset=False)
        blank = self.on_missing == "blank"
        select = _SELECTIONS[self.select]

        # The closure does not refer to `self`: later changes of parameters don't affect lazy crops.
        def crop(image: np.ndarray, face: Detections) -> np.ndarray:
            if len(face) == 0:
                return np.zeros_like(image) if blank else image.copy()
            return finder.crop(image, face, 0)

        batch = _CropBatch(images, crop, memory_share())

        def add_crop(index: int, image: np.ndarray, faces: Detections) -> None:
            if len(faces):
                faces = faces.take([select(faces, image.shape)])
            batch.add(index, image, faces)

        self._map_faces(images, finder, add_crop)
        missing = np.flatnonzero(~batch.found).tolist()
        if missing:
            _report_missing(missing, images, self.on_missing)
        return self._indexed(batch.crops, X)

    def detect(self, X: Any) -> list[Detections]:
        """Detect all faces of every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        list of n Detections
            Boxes in pixels and scores, largest box first. ``select``, ``square`` and ``margin``
            have no effect. An image smaller than ``whole_below`` is one box with score 1.
        """
        finder = FaceFinder.from_cropper(self)
        images = self._images(X, reset=False)
        return self._map_faces(images, finder, lambda index, image, faces: faces)

    def cut(self, image: Any, faces: Detections) -> list[np.ndarray]:
        """Crop several faces from one image, as `transform` crops one.

        Parameters
        ----------
        image : array of shape (H, W) or (H, W, 3), path or bytes
            One image, not a batch.
        faces : Detections
            Faces of the image, as returned by `detect`.

        Returns
        -------
        list of k ndarray of shape (h, w) or (h, w, 3)
            One crop for each face, in the same order.
        """
        return FaceFinder.from_cropper(self).crop_all(read_image(image, 0), faces)

    def _map_faces(
        self,
        images: Images,
        finder: FaceFinder,
        function: Callable[[int, np.ndarray, Detections], Any],
    ) -> list[Any]:
        """Return the results of ``function(index, image, faces)`` for all images."""

        def task(index: int) -> Any:
            image = images[index]
            return function(index, image, finder.find(image))

        return for_each_image(task, range(len(images)), self.n_jobs, self.verbose)


@dataclass(frozen=True)
class FaceFinder:
    """Detect and crop the faces of single images, with the settings of a `FaceCropper`."""

    detector: FaceDetector
    margin: float
    square: bool
    align: bool
    min_face_size: float | None
    whole_below: int
    max_pixels: int = SEARCHED_PIXELS

    @classmethod
    def from_cropper(cls, cropper: FaceCropper) -> FaceFinder:
        """Validate the parameters of a cropper and build its finder."""
        cropper._validate_params()
        detector = cropper.detector_
        if cropper.align and not getattr(detector, "finds_landmarks", True):
            raise _missing_landmarks(cropper.detector)
        return cls(
            remembering(detector, cropper.memory),
            cropper.margin,
            cropper.square,
            cropper.align,
            cropper.min_face_size,
            cropper.whole_below,
        )

    def find(self, image: np.ndarray, near: Sequence[Sequence[int]] = ()) -> Detections:
        """Detect the faces of an image, largest first.

        With boxes of faces in the frame before, the whole image is searched only if no face is
        found near them, or if the detector has no `detect_near`.
        """
        if self.is_whole(image):
            height, width = image.shape[:2]
            return Detections(np.array([[0, 0, width, height]]), np.ones(1))
        image = to_eight_bits(image)
        faces = Detections.none()
        if len(near) and hasattr(self.detector, "detect_near"):
            faces = self.detector.detect_near(image, np.asarray(near))
        if len(faces) == 0:
            faces = detect_faces(self.detector, image, self.max_pixels)
        faces = faces.largest_first()
        if self.min_face_size is None or len(faces) == 0:
            return faces
        smallest = smallest_face(self.min_face_size, image.shape)
        return faces.take(faces.boxes[:, 2:].min(axis=1) >= smallest)

    def crop(self, image: np.ndarray, faces: Detections, index: int) -> np.ndarray:
        """Crop one face; by its box if its landmarks can't be used."""
        if self.is_whole(image):
            return image.copy()
        if self.align:
            if faces.landmarks is None:
                raise _missing_landmarks(self.detector)
            if can_align(faces.landmarks[index]):
                return align_face(image, faces.landmarks[index], margin=self.margin)
        box = faces.boxes[index].tolist()
        return crop_box(image, *expand_box(*box, margin=self.margin, square=self.square))

    def crop_all(self, image: np.ndarray, faces: Detections) -> list[np.ndarray]:
        """Crop all faces, in their order."""
        return [self.crop(image, faces, index) for index in range(len(faces))]

    def is_whole(self, image: np.ndarray) -> bool:
        """Return whether the whole image is taken as a cropped face."""
        sides = image.shape[:2]
        return min(sides) >= _MIN_WHOLE and max(sides) < self.whole_below


class _CropBatch:
    """Crops of a batch; those beyond a memory limit are computed on access from their boxes."""

    def __init__(
        self,
        images: Images,
        crop: Callable[[np.ndarray, Detections], np.ndarray],
        max_bytes: int,
    ):
        self.crops = np.empty(len(images), dtype=object)
        self.found = np.zeros(len(images), dtype=bool)
        self._images = images
        self._crop = crop
        self._free_bytes = max_bytes
        self._lock = threading.Lock()
        # Arrays for the batch: one object for each face would take ten times the memory.
        self._boxes = np.zeros((len(images), 4), np.int32)
        self._landmarks: np.ndarray | None = None

    def add(self, index: int, image: np.ndarray, face: Detections) -> None:
        """Add the crop of an image; `face` holds the face to crop, or none."""
        crop = self._crop(image, face)
        self.found[index] = len(face) == 1
        with self._lock:
            if crop.nbytes <= self._free_bytes:
                self._free_bytes -= crop.nbytes
                self.crops[index] = crop
                return
            if self._landmarks is None and face.landmarks is not None:
                self._landmarks = np.zeros((len(self.crops), 5, 2), np.float32)
        self.crops[index] = _LazyCrop(self, index)
        if len(face):
            self._boxes[index] = face.boxes[0]
            if self._landmarks is not None and face.landmarks is not None:
                self._landmarks[index] = face.landmarks[0]

    def read(self, index: int) -> np.ndarray:
        """Read an image again and crop its face."""
        rows = slice(index, index + 1) if self.found[index] else slice(0)
        landmarks = None if self._landmarks is None else self._landmarks[rows]
        face = Detections(self._boxes[rows], np.ones(len(self._boxes[rows])), landmarks)
        return self._crop(self._images[index], face)


class _LazyCrop(LazyImage):
    """A crop that is computed on access."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: _CropBatch, index: int):
        self._batch = batch
        self._index = index

    def read(self) -> np.ndarray:
        """Read the image again and crop its face."""
        return self._batch.read(self._index)


def _report_missing(missing: list[int], images: Images, on_missing: str) -> None:
    """Warn about images without a face; raise `ValueError` if ``on_missing="raise"``."""
    n_shown = MAX_NAMED_IMAGES if on_missing == "raise" else _MAX_WARNED_IMAGES
    names = join_first([image_name(images, index) for index in missing], n_shown)
    count = f"{len(missing)} of {len(images)} images: no face found in {names}"
    if on_missing == "raise":
        raise ValueError(
            f"{count}. Use on_missing='image' or 'blank' to keep them. "
            f"See {page('guide/own_photos')}"
        )
    result = "the whole image is used" if on_missing == "image" else "the crop is blank"
    warnings.warn(
        f"{count}; {result} (on_missing={on_missing!r}). Set "
        "on_missing='raise' for an error (cropper__on_missing in a Pipeline), or use "
        f"skfer.recognize, which gives these images no label. See {page('guide/own_photos')}",
        UserWarning,
        stacklevel=3,  # past transform, to the caller's line
    )


def _missing_landmarks(detector: Any) -> ValueError:
    """Return the error for a detector without landmarks where faces are to be aligned."""
    detectors = " or ".join(map(repr, list_detectors(landmarks=True)))
    return ValueError(
        f"align=True needs landmarks, which detector={detector!r} does not find. Use "
        f"detector={detectors}, or align=False."
    )
