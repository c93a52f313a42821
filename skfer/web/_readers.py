"""Models and detectors that the page offers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

import skfer
from skfer._utils import shorten
from skfer.weights import list_weights, read_record

# Faces of 120 pixels in a photo of 50 million pixels are still found.
_SEARCHED_PIXELS = 2_000_000


class Reader(Protocol):
    """Detect and classify the faces of images, as `skfer.recognition.FaceReader` does."""

    classes: list[Any]

    def read(self, images: Sequence[np.ndarray]) -> list[Any]:
        """Return `detections` and `probabilities` of each image."""
        ...


def label_function(reader: Reader) -> Callable[[np.ndarray], list[Any]]:
    """Return the reader's `expressions`, or the function that takes the most probable class."""
    if hasattr(reader, "expressions"):
        return reader.expressions
    return lambda probabilities: [reader.classes[index] for index in probabilities.argmax(axis=1)]


class Readers:
    """Readers for each model and detector, created on first use and kept.

    Parameters
    ----------
    make : callable
        ``make(model, detector)`` returns a `Reader`.
    models : sequence of str
        Names of models; the first one is the default.
    detectors : sequence of str, or callable that returns one
        Names of detectors; the first one is the default. A callable is called on first use.

    Examples
    --------
    >>> from skfer.web import Readers
    >>> readers = Readers(lambda model, detector: (model, detector), ["fer2013"], ["haar", "yunet"])
    >>> readers.get(detector="yunet")
    ('fer2013', 'yunet')
    """

    def __init__(
        self,
        make: Callable[[str, str], Reader],
        models: Sequence[str],
        detectors: Sequence[str] | Callable[[], Sequence[str]],
    ):
        self.models = list(models)
        self.loading = False  # True while `serve` loads the first reader
        self._detectors = detectors if callable(detectors) else list(detectors)
        self._make = make
        self._made: dict[tuple[str, str], Reader] = {}
        # Also for imports: two threads must not import scikit-learn at the same time.
        self._lock = threading.Lock()

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors."""
        if callable(self._detectors):
            with self._lock:
                if callable(self._detectors):
                    self._detectors = list(self._detectors())
        return self._detectors

    @classmethod
    def of(cls, pipeline: Any = None, detector: Any = None) -> Readers:
        """Return readers for the given or all pretrained Pipelines and for all detectors.

        Parameters
        ----------
        pipeline : Pipeline, str, mapping of str to Pipeline, or None
            A fitted Pipeline, the name of a pretrained one, or several by name. None means all
            pretrained ones.
        detector : str, FaceDetector or None
            The default detector. None means that of `skfer.recognition.FaceReader`.

        Returns
        -------
        Readers

        Raises
        ------
        ValueError
            If no Pipeline or detector has that name.
        """
        pipelines = _pipelines(pipeline)
        default = "automatic" if detector is None else "yours"
        if isinstance(detector, str):
            from skfer.detection import build_detector

            build_detector(detector, min_face_size=48)  # raises if it is unknown
            default = detector

        # Deferred, as it imports scikit-learn.
        def detectors() -> list[str]:
            from skfer.detection import list_detectors

            return [default, *(name for name in list_detectors() if name not in (default, "auto"))]

        @functools.cache  # all detectors share one network
        def load(model: str) -> Any:
            known = pipelines[model]
            return skfer.load_pretrained(model) if known is None else known

        def make(model: str, name: str) -> Reader:
            from skfer.datasets import make_faces
            from skfer.recognition import FaceReader

            chosen = {"automatic": None, "yours": detector}.get(name, name)
            reader = FaceReader(load(model), detector=chosen, max_pixels=_SEARCHED_PIXELS)
            # Raise the error of a missing package or file now, and warm up the network.
            reader.read(make_faces(1, scene=True, random_state=0).images)
            return reader

        return cls(make, list(pipelines), detectors)

    def get(self, model: str | None = None, detector: str | None = None) -> Reader:
        """Return the reader of a model and a detector.

        Parameters
        ----------
        model, detector : str, default=None
            None means the first of `models` or `detectors`.

        Returns
        -------
        Reader

        Raises
        ------
        KeyError
            If there is no such model or detector. The message lists the names.
        """
        names = (
            _validate_name("model", model, self.models),
            _validate_name("detector", detector, self.detectors),
        )
        # Without the lock, so that loaded readers work while another one is loaded.
        if names in self._made:
            return self._made[names]
        with self._lock:
            if names not in self._made:
                self._made[names] = self._make(*names)
            return self._made[names]


def _pipelines(pipeline: Any) -> dict[str, Any]:
    """Return Pipelines by name; None for a pretrained one, which is loaded on first use."""
    if isinstance(pipeline, Mapping):
        if not pipeline:
            raise ValueError("pipeline is an empty mapping: at least 1 Pipeline is required.")
        return dict(pipeline)
    if pipeline is not None and not isinstance(pipeline, str):
        return {"yours": pipeline}
    names = list_weights()
    if pipeline is not None:
        names = [read_record(pipeline).name, *(name for name in names if name != pipeline)]
    return dict.fromkeys(names)


def _validate_name(kind: str, name: str | None, known: list[str]) -> str:
    """Return a name, or the first known one if it is None."""
    if name is None:
        return known[0]
    if name not in known:
        raise KeyError(f"Unknown {kind} {shorten(name)}. Known {kind}s: {', '.join(known)}.")
    return name
