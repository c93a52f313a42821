"""`FaceReader`: detection in threads and classification in batches."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import joblib
import numpy as np

from skfer._images._batch import Images, image_name, image_sequence
from skfer._pipelines import split_pipeline
from skfer._utils import check_int, join_first, shorten
from skfer.detection import Detections, FaceDetector
from skfer.detection._base import detector_name
from skfer.preprocessing._face_cropper import MAX_NAMED_IMAGES, ON_MISSING

# Left, top, right, bottom.
Region = tuple[float, float, float, float]

# Input of a test of the detector.
_BLANK_IMAGE = np.zeros((64, 64, 3), np.uint8)


class _ImageFaces(NamedTuple):
    """The faces of an image and their crops, before classification."""

    name: str  # of the image, in errors
    detections: Detections = Detections.none()
    crops: Sequence[np.ndarray] = ()
    error: str | None = None
    whole_image: bool = False


@dataclass(frozen=True, eq=False)
class FaceReading:
    """Faces of one image with their probabilities.

    Parameters
    ----------
    detections : Detections
        The faces, largest first. Landmarks are not refined unless the Pipeline aligns faces.
    probabilities : ndarray of shape (k, n_classes), float32
        One row for each face; columns in the order of `FaceReader.classes`.
    error : str or None
        Error message of the image with ``on_error="keep"``; the image then has no faces.
    whole_image : bool
        Whether no face was found and the only row is that of the whole image
        (``on_missing="image"``). Its box is the area that was searched, and its score is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import Detections
    >>> from skfer.recognition import FaceReading
    >>> faces = Detections(np.array([[5, 5, 24, 24]]), np.array([1.0]))
    >>> len(FaceReading(faces, np.array([[0.9, 0.1]], np.float32)))
    1
    """

    detections: Detections
    probabilities: np.ndarray
    error: str | None = None
    whole_image: bool = False

    def __len__(self) -> int:
        return len(self.detections)


class FaceReader:
    """Detect and classify all faces of a batch of images.

    Images are decoded and searched in threads. The faces of a batch are classified in one call,
    which is faster than one call for each image.

    Parameters
    ----------
    pipeline : Pipeline or classifier, default=None
        Fitted Pipeline that ends in a classifier with `predict_proba`. Faces are detected and
        cropped with its `FaceCropper`, found by type. Its `select` has no effect, and `read` has
        an `on_missing` of its own. Without a cropper, ``FaceCropper("auto")`` is used. A
        classifier alone receives crops of the size it was fitted on. None means
        ``skfer.load_pretrained()``.
    detector : str or FaceDetector, default=None
        Detector that replaces that of the Pipeline's cropper.
    n_jobs : int, default=None
        Number of threads that decode and detect. None and -1 mean one for each core.
    region : tuple of 4 numbers, default=None
        Part of the image to search, as left, top, right and bottom edge: fractions of the width
        and height if all are at most 1, otherwise pixels. Boxes and landmarks are in coordinates
        of the whole image, and crops may extend beyond the region. None means the whole image.
    max_pixels : int, default=None
        Images with more pixels are searched on a reduced copy of this size, which limits memory
        and time. Crops are taken from the original image. None means 16 million.

    Attributes
    ----------
    classes : list
        Classes, in the order of the columns of probabilities.
    detector : str
        Name of the detector that is used, or its class if it has no name.

    Raises
    ------
    ValueError, TypeError, NotFittedError
        If the Pipeline can't classify faces, a parameter is out of range, or an image can't be
        read. The message states the reason, and the index and path of an image.

    Examples
    --------
    >>> from skfer import FacialExpressionClassifier
    >>> from skfer.datasets import make_faces
    >>> from skfer.recognition import FaceReader
    >>> faces = make_faces(40, classes=["happy", "sad"], random_state=0)
    >>> classifier = FacialExpressionClassifier("mini_xception", epochs=1, random_state=0)
    >>> reader = FaceReader(classifier.fit(faces.images, faces.labels))
    >>> photos = make_faces(2, scene=True, random_state=0).images
    >>> [len(reading) for reading in reader.read(photos)], reader.classes
    ([1, 1], ['happy', 'sad'])
    """

    def __init__(
        self,
        pipeline: Any = None,
        *,
        detector: str | FaceDetector | None = None,
        n_jobs: int | None = None,
        region: Region | None = None,
        max_pixels: int | None = None,
    ):
        if max_pixels is not None:
            check_int("max_pixels", max_pixels)
        self._region = None if region is None else validate_region(region)
        if pipeline is None:
            from skfer import load_pretrained

            pipeline = load_pretrained()
        self._parts = split_pipeline(pipeline, detector)
        if max_pixels is not None:
            finder = dataclasses.replace(self._parts.finder, max_pixels=int(max_pixels))
            self._parts = self._parts._replace(finder=finder)
        self.classes: list[Any] = self._parts.classes.tolist()
        self.detector = detector_name(self._parts.finder.detector)
        self._n_threads = _count_threads(n_jobs)
        # The threads are reused, because detectors have a model in each thread.
        self._threads = ThreadPoolExecutor(self._n_threads, "skfer-faces")
        self._process = os.getpid()

    def read(
        self, images: Any, *, on_error: str = "raise", on_missing: str = "blank"
    ) -> list[FaceReading]:
        """Detect and classify the faces of a batch of images.

        Parameters
        ----------
        images : batch of n images
            Arrays (gray or RGB), paths or bytes.
        on_error : {"raise", "keep"}, default="raise"
            Whether to raise the error of an image that can't be read, searched or classified, or
            to return a reading without faces and with an `error`. Errors that do not depend on
            an image, such as of a missing detector, are always raised.
        on_missing : {"blank", "image", "raise"}, default="blank"
            Reading of an image without a face. "blank": one without faces. "image": the whole
            image is classified as `FaceCropper` does by default, and `whole_image` is True.
            "raise": an error that names the images, which `on_error` may keep.

        Returns
        -------
        list of n FaceReading
        """
        batches = self.read_batches(
            images, batch_size=None, on_error=on_error, on_missing=on_missing
        )
        return next(batches)

    def read_batches(
        self,
        images: Any,
        *,
        batch_size: int | None = 32,
        on_error: str = "raise",
        on_missing: str = "blank",
    ) -> Iterator[list[FaceReading]]:
        """Detect and classify the faces of many images, batch by batch.

        Images are read batch by batch and not kept in memory.

        Parameters
        ----------
        images : batch of n images
        batch_size : int, default=32
            Number of images whose faces are classified in one call. None means all.
        on_error, on_missing : str
            As for `read`.

        Returns
        -------
        iterator of list of FaceReading
            Readings of the next `batch_size` images.
        """
        if on_error not in ("raise", "keep"):
            raise ValueError(f"on_error must be 'raise' or 'keep'; got {shorten(on_error)}.")
        if on_missing not in ON_MISSING:
            raise ValueError(
                f"on_missing must be 'blank', 'image' or 'raise'; got {shorten(on_missing)}."
            )
        if batch_size is not None:
            check_int("batch_size", batch_size)
        sequence = image_sequence(images)
        if on_error == "keep":
            # Raise errors that do not depend on an image.
            dataclasses.replace(self._parts.finder, whole_below=0).find(_BLANK_IMAGE)
        size = len(sequence) if batch_size is None else int(batch_size)
        starts = range(0, len(sequence), size)
        batches = (range(start, min(start + size, len(sequence))) for start in starts)
        return self._read_batches(sequence, batches, on_error, on_missing)

    def read_frames(
        self, pictures: list[np.ndarray], near: list[list[Sequence[int]]]
    ) -> list[FaceReading]:
        """Detect and classify the faces of frames of a video.

        Parameters
        ----------
        pictures : list of n ndarray of shape (H, W, 3), uint8
        near : list of n lists of boxes
            Known faces. A frame is searched completely if no face is near them, or if there are
            none.

        Returns
        -------
        list of n FaceReading
        """
        if not pictures:
            return []
        images = image_sequence(pictures)
        return next(self._read_batches(images, [range(len(images))], "raise", "blank", near))

    def expressions(self, probabilities: np.ndarray) -> list[Any]:
        """Return the most probable class of each face.

        Parameters
        ----------
        probabilities : ndarray of shape (k, n_classes)

        Returns
        -------
        list of k labels
            If the Pipeline has an `AbstainingClassifier`, its abstention label for probabilities
            below the threshold.
        """
        return self._parts.expressions(probabilities)

    def _read_batches(
        self,
        images: Images,
        batches: Iterable[Sequence[int]],
        on_error: str,
        on_missing: str,
        near: list[list[Sequence[int]]] | None = None,
    ) -> Iterator[list[FaceReading]]:
        # The faces of the next batch are detected while those of this one are classified.
        detected: Iterator[_ImageFaces] | None = None
        cancelled = threading.Event()
        try:
            for indices in batches:
                previous = detected
                detected = self._detect(images, indices, on_error, on_missing, cancelled, near)
                if previous is not None:
                    yield self._classify(list(previous), on_error)
            if detected is not None:
                yield self._classify(list(detected), on_error)
        finally:
            cancelled.set()

    def _detect(
        self,
        images: Images,
        indices: Sequence[int],
        on_error: str,
        on_missing: str,
        cancelled: threading.Event,
        near: list[list[Sequence[int]]] | None,
    ) -> Iterator[_ImageFaces]:
        """Start the detection of the faces of some images in threads, and crop them."""
        if self._process != os.getpid():  # threads do not survive a fork
            self._threads = ThreadPoolExecutor(self._n_threads, "skfer-faces")
            self._process = os.getpid()

        def detect(index: int) -> _ImageFaces:
            name = image_name(images, index) if near is None else "the frame"
            if cancelled.is_set():
                return _ImageFaces(name)
            try:
                image = images[index]
            except ValueError as error:
                if on_error == "raise":
                    error.add_note('on_error="keep" returns the error, and reads the other images.')
                    raise
                return _ImageFaces(name, error=str(error))
            except Exception as error:  # too little memory, or an object that is no array
                if on_error == "raise":
                    raise
                reason = str(error) or type(error).__name__
                return _ImageFaces(name, error=f"{name} can't be read: {reason}")
            try:
                area = self._searched_area(image, name)
                faces = self._find(image, area, [] if near is None else near[index])
                if len(faces) == 0 and on_missing == "image":
                    left, top, right, bottom = area
                    box = np.array([[left, top, right - left, bottom - top]])
                    crop = image[top:bottom, left:right].copy()
                    return _ImageFaces(name, Detections(box, np.zeros(1)), [crop], whole_image=True)
                crops = self._parts.finder.crop_all(image, faces)
                missing = len(faces) == 0 and on_missing == "raise"
                problem = f"{name} has no face (on_missing='raise')." if missing else None
                return _ImageFaces(name, faces, crops, problem)
            except Exception as error:  # custom detectors may raise any error
                if on_error == "raise":
                    raise
                return _ImageFaces(name, error=f"{name} can't be searched for faces: {error}")

        # A single image needs no other thread.
        return map(detect, indices) if len(indices) == 1 else self._threads.map(detect, indices)

    def _searched_area(self, image: np.ndarray, name: str) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom edge of the region of an image in pixels."""
        height, width = image.shape[:2]
        if self._region is None:
            return 0, 0, width, height
        return _region_in_pixels(self._region, (height, width), name)

    def _find(
        self, image: np.ndarray, area: tuple[int, int, int, int], near: list[Sequence[int]]
    ) -> Detections:
        """Detect the faces of an area of an image."""
        finder = self._parts.finder
        if self._region is None or finder.is_whole(image):
            return finder.find(image, near)
        left, top, right, bottom = area
        near = [(x - left, y - top, width, height) for x, y, width, height in near]
        finder = dataclasses.replace(finder, whole_below=0)  # a small region is not a face
        faces = finder.find(np.ascontiguousarray(image[top:bottom, left:right]), near)
        landmarks = (
            None if faces.landmarks is None else faces.landmarks + np.array([left, top], np.float32)
        )
        return Detections(faces.boxes + [left, top, 0, 0], faces.scores, landmarks)

    def _classify(self, batch: list[_ImageFaces], on_error: str) -> list[FaceReading]:
        if on_error == "raise" and any(image.error for image in batch):
            raise _missing_faces([image.name for image in batch if image.error])
        try:
            probabilities = self._predict_proba([crop for image in batch for crop in image.crops])
        except Exception as error:
            if on_error == "raise":
                raise
            if len(batch) > 1:  # classify the images one by one to find the faulty one
                return [self._classify([image], on_error)[0] for image in batch]
            # X[0] in an error of the classifier is a face, not an image of the batch.
            reason = re.sub(r"^X\[(\d+)\]", lambda found: f"face {int(found[1]) + 1}", str(error))
            name = batch[0].name
            failed = _ImageFaces(name, error=f"{name} has faces that can't be classified: {reason}")
            return self._classify([failed], on_error)
        ends = np.cumsum([len(image.crops) for image in batch])[:-1]
        return [
            FaceReading(image.detections, rows, image.error, image.whole_image)
            for image, rows in zip(batch, np.split(probabilities, ends), strict=True)
        ]

    def _predict_proba(self, crops: list[np.ndarray]) -> np.ndarray:
        if not crops:
            return np.empty((0, len(self.classes)), np.float32)
        batch = np.empty(len(crops), dtype=object)
        for index, crop in enumerate(crops):
            batch[index] = crop
        return np.asarray(self._parts.classifier.predict_proba(batch), np.float32)


def make_reader(
    pipeline: Any,
    detector: str | FaceDetector | None,
    n_jobs: int | None,
    region: Region | None = None,
) -> FaceReader:
    """Return `pipeline` if it is a FaceReader, and otherwise a FaceReader of the arguments."""
    if not isinstance(pipeline, FaceReader):
        return FaceReader(pipeline, detector=detector, n_jobs=n_jobs, region=region)
    if detector is not None or n_jobs is not None or region is not None:
        raise ValueError(
            "A FaceReader has its own detector, n_jobs and region: give them to FaceReader(...) "
            "instead."
        )
    return pipeline


def validate_region(region: Any) -> Region:
    """Return a region as four floats."""
    try:
        left, top, right, bottom = (float(edge) for edge in region)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"region must be four numbers, (left, top, right, bottom); got {shorten(region)}."
        ) from error
    # Also False for NaN.
    if not (0 <= left < right < np.inf and 0 <= top < bottom < np.inf):
        raise ValueError(
            "region must be (left, top, right, bottom) with 0 <= left < right and "
            f"0 <= top < bottom; got {shorten(region)}."
        )
    return left, top, right, bottom


def _missing_faces(names: list[str]) -> ValueError:
    """Return the error for images without a face; it names the first ones."""
    return ValueError(
        f"No face found in {join_first(names, MAX_NAMED_IMAGES)} (on_missing='raise'). Use "
        "on_missing='blank' to keep them without an expression, or 'image' to classify the whole "
        "image."
    )


def _region_in_pixels(region: Region, size: Sequence[int], name: str) -> tuple[int, int, int, int]:
    """Return a region in integer pixels of an image of size (height, width)."""
    height, width = size
    if max(region) <= 1:
        left, right = (edge * width for edge in region[::2])
        top, bottom = (edge * height for edge in region[1::2])
    else:
        left, top, right, bottom = region
        if right > width or bottom > height:
            raise ValueError(
                f"region=({', '.join(f'{edge:g}' for edge in region)}) extends beyond {name}, "
                f"which has {width} x {height} pixels. Give a smaller region, or fractions of the "
                "width and height."
            )
    left, top = math.floor(left), math.floor(top)
    # The region of a small image has at least one pixel.
    return left, top, max(left + 1, round(right)), max(top + 1, round(bottom))


def _count_threads(n_jobs: int | None) -> int:
    n_jobs = -1 if n_jobs is None else n_jobs
    if not isinstance(n_jobs, Integral) or n_jobs == 0:
        raise ValueError(f"n_jobs must be a positive int, -1 or None; got {n_jobs!r}.")
    return int(n_jobs) if n_jobs > 0 else max(1, joblib.cpu_count() + 1 + int(n_jobs))
