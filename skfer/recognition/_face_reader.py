"""`FaceReader`: the faces of a batch of images, found in threads and named in one call."""

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

import numpy as np

from skfer._images import Images, image_name, image_sequence
from skfer._pipelines import take_apart
from skfer.detection import Detections, FaceDetector

# Left, top, right, bottom.
Region = tuple[float, float, float, float]

# What a detector is tried on: an image in which no face is.
_BLANK = np.zeros((64, 64, 3), np.uint8)


class _Look(NamedTuple):
    """The faces of an image, a crop of each, how errors call it, and why it can't be read."""

    faces: Detections
    crops: list[np.ndarray]
    name: str
    error: str | None = None

    def failed(self, why: str) -> _Look:
        """The same without faces."""
        return _Look(Detections.none(), [], self.name, why)


@dataclass(frozen=True, eq=False)
class FaceReading:
    """What was read in one image.

    Parameters
    ----------
    detections : Detections
        The faces, largest first. Landmarks are the detector's first estimate if the Pipeline does
        not align faces by them.
    probabilities : ndarray of shape (k, n_classes), float32
        A row for each face; columns in the order of `FaceReader.classes`.
    error : str or None
        What is wrong with the image, with ``on_error="keep"``; it then has no faces.

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

    def __len__(self) -> int:
        return len(self.detections)


class FaceReader:
    """Read every face of a batch of images.

    Images are decoded and searched for faces in threads. The faces of all of them go through
    the network in one call, which is what makes a batch faster than its images one by one.

    Parameters
    ----------
    pipeline : Pipeline or classifier, default=None
        A fitted Pipeline that ends in a classifier with `predict_proba`. Its `FaceCropper`,
        whatever the step is called, says how faces are found and cut, though not how many:
        `select` and `on_missing` have no effect. Without one, or with a bare classifier, a
        ``FaceCropper()`` with its defaults does; a bare classifier's images are resized to what
        it was fitted on. None stands for ``skfer.load_pretrained()``.
    detector : str or FaceDetector, default=None
        Finds the faces in place of the detector of the Pipeline's cropper.
    n_jobs : int, default=None
        Threads that decode and detect. None and -1 take one for each core.
    region : tuple of 4 numbers, default=None
        Part of the image in which faces are looked for, as left, top, right and bottom edge:
        shares of the image's width and height if none is above 1, otherwise pixels. Boxes and
        landmarks stay in coordinates of the whole image, and crops may reach beyond the region.
        None is the whole image.
    max_pixels : int, default=None
        Images with more pixels are searched for faces on a reduced copy of so many, which limits
        memory and time. Crops are cut from the whole image. None is 16 million.

    Attributes
    ----------
    classes : list
        What the columns of probabilities stand for.

    Raises
    ------
    ValueError, TypeError, NotFittedError
        If faces can't be read with the Pipeline; the message says why.

    See Also
    --------
    recognize : The same as a table.

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
        if max_pixels is not None and (not isinstance(max_pixels, Integral) or max_pixels < 1):
            raise ValueError(f"max_pixels must be a positive int or None; got {max_pixels!r}.")
        self._region = None if region is None else checked_region(region)
        if pipeline is None:
            from skfer import load_pretrained

            pipeline = load_pretrained()
        self._parts = take_apart(pipeline, detector)
        if max_pixels is not None:
            finder = dataclasses.replace(self._parts.finder, max_pixels=int(max_pixels))
            self._parts = self._parts._replace(finder=finder)
        self.classes: list[Any] = self._parts.classes.tolist()
        self._n_threads = _thread_count(n_jobs)
        # Kept from call to call: detectors hold a model for each thread.
        self._threads = ThreadPoolExecutor(self._n_threads, "skfer-faces")
        self._process = os.getpid()

    def read(self, images: Any, *, on_error: str = "raise") -> list[FaceReading]:
        """Read the faces of a batch of images, all of which are held in memory.

        Parameters
        ----------
        images : batch of n images
            Arrays (gray or RGB), paths or bytes.
        on_error : {"raise", "keep"}, default="raise"
            What to do with an image that can't be read, searched or named: raise, or give a
            reading without faces whose `error` says why. What no image is to blame for, such
            as a missing detector, is raised in either case.

        Returns
        -------
        list of n FaceReading

        Raises
        ------
        ValueError
            If an image can't be read; its index and path are named.
        """
        return next(self.read_batches(images, batch_size=None, on_error=on_error))

    def read_batches(
        self, images: Any, *, batch_size: int | None = 32, on_error: str = "raise"
    ) -> Iterator[list[FaceReading]]:
        """Read the faces of many images, batch by batch; images are let go as they are read.

        Parameters
        ----------
        images : batch of n images
        batch_size : int, default=32
            Images whose faces are named in one call. None takes all at once.
        on_error : {"raise", "keep"}, default="raise"
            As for `read`.

        Returns
        -------
        iterator of list of FaceReading
            Each holds those of the next `batch_size` images.

        Raises
        ------
        ValueError
            If an image can't be read, or a parameter is out of range.
        """
        if on_error not in ("raise", "keep"):
            raise ValueError(f"on_error must be 'raise' or 'keep'; got {on_error!r}.")
        if batch_size is not None and (not isinstance(batch_size, Integral) or batch_size < 1):
            raise ValueError(f"batch_size must be a positive int or None; got {batch_size!r}.")
        sequence = image_sequence(images)
        if on_error == "keep":
            # What fails here is the fault of no image.
            self._parts.finder.find(_BLANK)
        size = len(sequence) if batch_size is None else int(batch_size)
        starts = range(0, len(sequence), size)
        batches = (range(start, min(start + size, len(sequence))) for start in starts)
        return self._readings(sequence, batches, on_error)

    def expressions(self, probabilities: np.ndarray) -> list[Any]:
        """The most probable class of each face.

        Parameters
        ----------
        probabilities : ndarray of shape (k, n_classes)

        Returns
        -------
        list of k labels
            If the Pipeline has an `AbstainingClassifier`, its label of abstention where no class
            is probable enough.
        """
        return self._parts.expressions(probabilities)

    def _readings(
        self, images: Images, batches: Iterable[Sequence[int]], on_error: str
    ) -> Iterator[list[FaceReading]]:
        # The next batch is searched for faces while those of this one are named.
        ahead: Iterator[_Look] | None = None
        given_up = threading.Event()
        try:
            for places in batches:
                looks, ahead = ahead, self._look(images, places, on_error, given_up)
                if looks is not None:
                    yield self._named(list(looks), on_error)
            if ahead is not None:
                yield self._named(list(ahead), on_error)
        finally:
            given_up.set()

    def _look(
        self, images: Images, places: Sequence[int], on_error: str, given_up: threading.Event
    ) -> Iterator[_Look]:
        """The faces of some images and their crops, which threads begin to find at once."""
        finder = self._parts.finder
        if self._process != os.getpid():  # a fork leaves threads behind
            self._threads = ThreadPoolExecutor(self._n_threads, "skfer-faces")
            self._process = os.getpid()

        def look(place: int) -> _Look:
            nothing = _Look(Detections.none(), [], image_name(images, place))
            if given_up.is_set():  # nobody waits for it any more; Ctrl-C would
                return nothing
            try:
                image = images[place]
            except ValueError as error:
                if on_error == "raise":
                    raise
                return nothing.failed(str(error))
            try:
                faces = self._find(image, nothing.name)
                return _Look(faces, finder.crop_all(image, faces), nothing.name)
            except Exception as error:  # a detector may be anybody's
                if on_error == "raise":
                    raise
                return nothing.failed(f"{nothing.name} can't be searched for faces: {error}")

        # One image gains nothing from another thread.
        return map(look, places) if len(places) == 1 else self._threads.map(look, places)

    def _find(self, image: np.ndarray, name: str) -> Detections:
        """Find the faces of an image, in its region if there is one."""
        finder = self._parts.finder
        if self._region is None:
            return finder.find(image)
        left, top, right, bottom = pixel_region(self._region, image.shape[:2], name)
        faces = finder.find(np.ascontiguousarray(image[top:bottom, left:right]))
        landmarks = (
            None if faces.landmarks is None else faces.landmarks + np.array([left, top], np.float32)
        )
        return Detections(faces.boxes + [left, top, 0, 0], faces.scores, landmarks)

    def _named(self, looks: list[_Look], on_error: str) -> list[FaceReading]:
        try:
            probabilities = self._name([crop for look in looks for crop in look.crops])
        except Exception as error:
            if on_error == "raise":
                raise
            if len(looks) > 1:  # which image it was shows when each is alone
                return [self._named([look], on_error)[0] for look in looks]
            # What the classifier calls X[0] is a face, not an image of the batch.
            reason = re.sub(r"^X\[(\d+)\]", r"face \1", str(error))
            why = f"{looks[0].name} has faces that can't be named: {reason}"
            return self._named([looks[0].failed(why)], on_error)
        ends = np.cumsum([len(look.faces) for look in looks])[:-1]
        return [
            FaceReading(look.faces, rows, look.error)
            for look, rows in zip(looks, np.split(probabilities, ends), strict=True)
        ]

    def _name(self, crops: list[np.ndarray]) -> np.ndarray:
        if not crops:
            return np.empty((0, len(self.classes)), np.float32)
        batch = np.empty(len(crops), dtype=object)
        for place, crop in enumerate(crops):
            batch[place] = crop
        return np.asarray(self._parts.classifier.predict_proba(batch), np.float32)


def as_reader(
    pipeline: Any,
    detector: str | FaceDetector | None,
    n_jobs: int | None,
    region: Region | None = None,
) -> FaceReader:
    """Return the FaceReader of these; one that is given already is taken as it is."""
    if not isinstance(pipeline, FaceReader):
        return FaceReader(pipeline, detector=detector, n_jobs=n_jobs, region=region)
    if detector is not None or n_jobs is not None or region is not None:
        raise ValueError(
            "A FaceReader has its own detector, n_jobs and region: give them to FaceReader(...) "
            "and leave them at None here."
        )
    return pipeline


def checked_region(region: Any) -> Region:
    """Return a region as four floats.

    Raises
    ------
    ValueError
        If it isn't four numbers from the left and top edge to the right and bottom edge.
    """
    try:
        left, top, right, bottom = (float(edge) for edge in region)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"region must be four numbers, (left, top, right, bottom); got {repr(region)[:80]}."
        ) from error
    # NaN fails this too.
    if not (0 <= left < right < np.inf and 0 <= top < bottom < np.inf):
        raise ValueError(
            "region must be (left, top, right, bottom) with 0 <= left < right and "
            f"0 <= top < bottom; got {repr(region)[:80]}."
        )
    return left, top, right, bottom


def pixel_region(region: Region, size: Sequence[int], name: str) -> tuple[int, int, int, int]:
    """Return a region in whole pixels of an image.

    Raises
    ------
    ValueError
        If it reaches beyond the image.
    """
    height, width = size
    if max(region) <= 1:
        # At least one pixel, however small the image is.
        left, right = (edge * width for edge in region[::2])
        top, bottom = (edge * height for edge in region[1::2])
    else:
        left, top, right, bottom = region
        if right > width or bottom > height:
            raise ValueError(
                f"region={tuple(map(_plain, region))} reaches beyond {name}, which has "
                f"{width} x {height} pixels. Give a smaller one, or shares of the width and height "
                "(numbers up to 1)."
            )
    left, top = math.floor(left), math.floor(top)
    return left, top, max(left + 1, round(right)), max(top + 1, round(bottom))


def _plain(edge: float) -> float:
    return int(edge) if edge == int(edge) else edge


def _thread_count(n_jobs: int | None) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if n_jobs is None:
        return cores or 1
    if not isinstance(n_jobs, Integral) or n_jobs == 0:
        raise ValueError(f"n_jobs must be a positive int, -1 or None; got {n_jobs!r}.")
    return int(n_jobs) if n_jobs > 0 else max(1, (cores or 1) + 1 + int(n_jobs))
