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

# Names for detectors that are objects.
_OF_PIPELINE, _OF_USER = "model", "yours"
_DETECTOR_TEXTS = {
    "haar": "Haar cascade: upright frontal faces.",
    "yunet": "YuNet: also turned, tilted and small faces, in less time.",
    "mtcnn": "MTCNN: also small faces; several times slower.",
}

# Names, or names with descriptions.
_Choices = Sequence[str] | Mapping[str, str]


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
    models : sequence of str, or mapping of str to str
        Names of models, with their descriptions in a mapping; the first one is the default.
    detectors : sequence of str, mapping of str to str, or callable that returns one
        The same of detectors. A callable is called on first use.

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
        models: _Choices,
        detectors: _Choices | Callable[[], _Choices],
    ):
        self.loading = False  # True while `serve` loads the first reader
        self._models = _with_descriptions(models)
        self._detectors = detectors if callable(detectors) else _with_descriptions(detectors)
        self._make = make
        self._made: dict[tuple[str, str], Reader] = {}
        # Also for imports: two threads must not import scikit-learn at the same time.
        self._lock = threading.Lock()

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return list(self._models)

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors."""
        return list(self.descriptions["detectors"])

    @property
    def descriptions(self) -> dict[str, dict[str, str]]:
        """Descriptions by name, of the "models" and of the "detectors"."""
        if callable(self._detectors):
            with self._lock:
                if callable(self._detectors):
                    self._detectors = _with_descriptions(self._detectors())
        return {"models": self._models, "detectors": self._detectors}

    @classmethod
    def of(cls, pipeline: Any = None, detector: Any = None) -> Readers:
        """Return readers for the given or all pretrained Pipelines and all installed detectors.

        Parameters
        ----------
        pipeline : Pipeline, str, mapping of str to Pipeline, or None
            A fitted Pipeline, the name of a pretrained one, or several by name. None means all
            pretrained ones.
        detector : str, FaceDetector or None
            The default detector. None means that of the Pipeline, which is "auto" for the
            pretrained ones.

        Returns
        -------
        Readers

        Raises
        ------
        ValueError
            If no Pipeline or detector has that name.
        """
        pipelines = _pipelines(pipeline)
        if isinstance(detector, str):
            from skfer.detection import build_detector

            build_detector(detector)  # raises if it is unknown

        @functools.cache  # all detectors share one network
        def load(model: str) -> Any:
            known = pipelines[model]
            return skfer.load_pretrained(model) if known is None else known

        def make(model: str, name: str) -> Reader:
            from skfer.datasets import make_faces
            from skfer.recognition import FaceReader

            chosen = {_OF_PIPELINE: None, _OF_USER: detector}.get(name, name)
            reader = FaceReader(load(model), detector=chosen, max_pixels=_SEARCHED_PIXELS)
            # Raise the error of a missing package or file now, and warm up the network.
            reader.read(make_faces(1, scene=True, random_state=0).images)
            return reader

        # The detectors on first use, as they import scikit-learn.
        models = {name: _model_text(name, known) for name, known in pipelines.items()}
        return cls(make, models, lambda: _detectors(list(pipelines.values()), detector))

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


def _model_text(name: str, pipeline: Any) -> str:
    if pipeline is not None:
        return "The model given to the server."
    record = read_record(name)
    accuracy = 100 * record.accuracy["PublicTest"]
    return (
        f"{len(record.classes)} expressions. Accuracy {accuracy:.0f} % on FER2013's PublicTest. "
        f"Trained on {record.data}."
    )


def _detectors(pipelines: list[Any], detector: Any) -> dict[str, str]:
    """Return the descriptions of the installed detectors; the default one is the first."""
    from skfer.detection import build_detector, list_detectors
    from skfer.detection._base import detector_name, is_installed

    default = _detector_of(pipelines) if detector is None else detector
    texts = {name: _DETECTOR_TEXTS.get(name, "") for name in list_detectors() if is_installed(name)}
    found = detector_name(build_detector("auto"))
    hint = "" if found == "yunet" else " YuNet is not installed: run skfer download yunet."
    texts["auto"] = f"{texts[found]}{hint}"
    if not isinstance(default, str):
        name, owner = (_OF_PIPELINE, "model") if detector is None else (_OF_USER, "server")
        kind = "" if default is None else f": {detector_name(default)}"
        return {name: f"The detector set for the {owner}{kind}.", **texts}
    # A default that is not installed is kept: its error says how to install it.
    return {default: texts.get(default, ""), **texts}


def _detector_of(pipelines: list[Any]) -> Any:
    """Return the detector that all Pipelines use, or None."""
    from skfer._pipelines import detector_of

    # Pretrained Pipelines have the detector "auto".
    found = ["auto" if pipeline is None else detector_of(pipeline) for pipeline in pipelines]
    return found[0] if all(one is found[0] or one == found[0] for one in found) else None


def _with_descriptions(choices: _Choices) -> dict[str, str]:
    """Return choices as a dict; a name without a description has an empty one."""
    return dict(choices) if isinstance(choices, Mapping) else dict.fromkeys(choices, "")


def _validate_name(kind: str, name: str | None, known: list[str]) -> str:
    """Return a name, or the first known one if it is None."""
    if name is None:
        return known[0]
    if name not in known:
        raise KeyError(f"Unknown {kind} {shorten(name)}. Known {kind}s: {', '.join(known)}.")
    return name
