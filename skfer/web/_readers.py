"""Models and detectors that the page offers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from skfer._utils import shorten

# Pixels that are searched for faces at most. In a photo of 50 million pixels, a face of 120 pixels
# is found.
SEARCHED_PIXELS = 2_000_000


class Reader(Protocol):
    """Anything that finds and reads the faces of images, as `skfer.recognition.FaceReader` does."""

    classes: list[Any]

    def read(self, images: Sequence[np.ndarray]) -> list[Any]:
        """`detections` and `probabilities` of each image."""
        ...


class Readers:
    """Readers by the names of a model and a detector, made when first asked for and kept.

    Parameters
    ----------
    make : callable
        ``make(model, detector)`` returns a `Reader`.
    models, detectors : sequence of str
        Names that can be chosen; the first one is what is taken where none is named.

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
        detectors: Sequence[str],
    ):
        self.models = list(models)
        self.detectors = list(detectors)
        self._make = make
        self._made: dict[tuple[str, str], Reader] = {}
        self._lock = threading.Lock()

    @classmethod
    def only(cls, reader: Reader) -> Readers:
        """No choice: always that reader.

        Parameters
        ----------
        reader : FaceReader, or object with ``read(images)`` and ``classes``

        Returns
        -------
        Readers
        """
        return cls(lambda model, detector: reader, ["default"], ["default"])

    @classmethod
    def of(cls, pipeline: Any = None, detector: Any = None) -> Readers:
        """The models and detectors there are, and the user's own before them.

        Parameters
        ----------
        pipeline : Pipeline, str, mapping of str to Pipeline, or None
            A fitted Pipeline, the name of a pretrained one, or several by names of yours. None:
            all that come with the package.
        detector : str, FaceDetector or None
            What the page starts with. None: what `skfer.recognition.FaceReader` takes.

        Returns
        -------
        Readers

        Raises
        ------
        ValueError
            If no Pipeline or detector has that name.
        """
        from skfer.detection import list_detectors

        pipelines = _pipelines(pipeline)
        known = list_detectors()
        chosen = (
            detector if isinstance(detector, str) else "automatic" if detector is None else "yours"
        )
        if isinstance(detector, str) and detector not in known:
            raise ValueError(f"No face detector is called {detector!r}. Known: {known}.")

        def make(model: str, name: str) -> Reader:
            from skfer.datasets import make_faces
            from skfer.recognition import FaceReader

            own = None if name == "automatic" else detector if name == "yours" else name
            reader = FaceReader(pipelines[model](), detector=own, max_pixels=SEARCHED_PIXELS)
            # What lacks a package or a file says so now; and whoever asks first doesn't wait for
            # the network to be compiled.
            reader.read(make_faces(1, scene=True, random_state=0).images)
            return reader

        return cls(make, list(pipelines), [chosen, *(name for name in known if name != chosen)])

    def get(self, model: str | None = None, detector: str | None = None) -> Reader:
        """The reader of that model and detector.

        Parameters
        ----------
        model, detector : str, default=None
            None takes the first of `models` or `detectors`.

        Returns
        -------
        Reader

        Raises
        ------
        KeyError
            If there is no such model or detector; its text says which there are.
        """
        names = (
            _one_of(self.models, model, "model"),
            _one_of(self.detectors, detector, "detector"),
        )
        if names in self._made:  # who wants these doesn't wait while others are loaded
            return self._made[names]
        with self._lock:  # loading takes seconds: once is enough
            if names not in self._made:
                self._made[names] = self._make(*names)
            return self._made[names]


def _pipelines(pipeline: Any) -> Mapping[str, Callable[[], Any]]:
    if isinstance(pipeline, Mapping):
        if not pipeline:
            raise ValueError("pipeline is an empty mapping: at least 1 Pipeline is required.")
        return {name: partial(_itself, one) for name, one in pipeline.items()}
    if pipeline is not None and not isinstance(pipeline, str):
        return {"yours": partial(_itself, pipeline)}

    from skfer import list_pretrained, load_pretrained

    names = [model["name"] for model in list_pretrained()]
    if pipeline is not None:
        if pipeline not in names:
            raise ValueError(f"No pretrained pipeline is called {pipeline!r}. Known: {names}.")
        names = [pipeline, *(name for name in names if name != pipeline)]
    # One network for all detectors.
    return {name: cache(partial(load_pretrained, name)) for name in names}


def _itself(pipeline: Any) -> Any:
    return pipeline


def _one_of(names: list[str], name: str | None, what: str) -> str:
    if name is None:
        return names[0]
    if name not in names:
        raise KeyError(f"No {what} is called {shorten(name)}. There are: {', '.join(names)}.")
    return name
