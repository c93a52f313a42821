"""A Pipeline taken apart: what finds and cuts faces, and what names their expressions."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skfer._abstaining import AbstainingClassifier
from skfer.detection import FaceDetector, build_detector
from skfer.preprocessing import FaceCropper, ImageResizer
from skfer.preprocessing._face_finder import FaceFinder


class PipelineParts(NamedTuple):
    """What reads faces.

    Attributes
    ----------
    finder : FaceFinder
        That of the Pipeline's cropper, or of a new one if it has none.
    classifier : estimator
        What stands behind the cropper: crops of any size in, `predict_proba` out.
    classes : ndarray of shape (n_classes,)
        What the columns of `predict_proba` stand for.
    threshold : float
        Below this probability the expression is `unsure`; 0 if the Pipeline never abstains.
    unsure : object
        The label of abstention.
    """

    finder: FaceFinder
    classifier: Any
    classes: np.ndarray
    threshold: float
    unsure: Any

    def expressions(self, probabilities: np.ndarray) -> list[Any]:
        """The most probable class of each row, `unsure` where none is probable enough."""
        classes = self.classes.tolist()
        return [
            classes[place] if row[place] >= self.threshold else self.unsure
            for row, place in zip(probabilities, probabilities.argmax(axis=1), strict=True)
        ]


def take_apart(pipeline: Any, detector: str | FaceDetector | None) -> PipelineParts:
    """The parts of a fitted Pipeline, found by their type, whatever the steps are called.

    Parameters
    ----------
    pipeline : Pipeline, or fitted classifier that takes one face an image
    detector : str, FaceDetector or None
        Takes the place of the detector of the Pipeline's cropper.

    Returns
    -------
    PipelineParts

    Raises
    ------
    ValueError, TypeError, NotFittedError
        If faces can't be read with it; the message says why.
    """
    pipeline = getattr(pipeline, "best_estimator_", pipeline)
    threshold, unsure = 0.0, None
    if isinstance(pipeline, AbstainingClassifier):
        check_is_fitted(pipeline)
        threshold, unsure = pipeline.threshold, pipeline.abstention_label_
        pipeline = _inside(pipeline)
    steps = _flat_steps(pipeline)
    places = [place for place, step in enumerate(steps) if isinstance(step, FaceCropper)]
    if len(places) > 1 or (places and places[0] > 0):
        kinds = [type(step).__name__ for step in steps]
        raise ValueError(
            f"The pipeline's steps are {kinds}: there may be one FaceCropper, and it has to come "
            "first, as the boxes of faces are to be those in the image that was given."
        )
    cropper = steps[0] if places else FaceCropper()
    rest = steps[len(places) :]
    classes = _classes_of(rest)
    if isinstance(rest[-1], AbstainingClassifier):
        threshold, unsure = rest[-1].threshold, rest[-1].abstention_label_
    shape: tuple[int, ...] = getattr(_inside(rest[0]), "image_shape_", ())
    if len(rest) == 1 and len(shape) == 3:
        # A classifier without a resizer takes images of one size only; faces come in any.
        height, width, channels = shape
        color = "gray" if channels == 1 else "rgb"
        rest = [ImageResizer((height, width), color=color), *rest]
    finder = FaceFinder.of(_with_detector(cropper, detector))
    return PipelineParts(finder, _joined(rest), classes, threshold, unsure)


def _inside(estimator: Any) -> Any:
    """What an `AbstainingClassifier` that is fitted is around; any other estimator itself."""
    if not isinstance(estimator, AbstainingClassifier):
        return estimator
    return getattr(estimator, "estimator_", estimator.estimator)


def _flat_steps(estimator: Any) -> list[Any]:
    if not hasattr(estimator, "steps"):
        return [estimator]
    steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [inner for step in steps for inner in _flat_steps(step)]


def _classes_of(steps: list[Any]) -> np.ndarray:
    if not steps or not hasattr(type(steps[-1]), "predict"):
        kind = type(steps[-1]).__name__ if steps else "a FaceCropper alone"
        raise TypeError(
            f"The pipeline ends in {kind}, which names no expression: give a fitted Pipeline "
            "that ends in a classifier, such as skfer.load_pretrained() returns."
        )
    last = steps[-1]
    if _has_cropper_inside(last):
        raise ValueError(
            f"{type(last).__name__} has a FaceCropper inside, which would look for a face in each "
            "face that is found: put it around the classifier only, as the Pipeline's last step."
        )
    if not hasattr(last, "classes_"):
        raise NotFittedError(
            f"The pipeline's {type(last).__name__} is not fitted: call fit first, or take one "
            "from skfer.load_pretrained()."
        )
    if not hasattr(last, "predict_proba"):
        raise TypeError(
            f"The pipeline's {type(last).__name__} has no predict_proba: put it into a "
            "CalibratedClassifierCV, or take a classifier that gives probabilities."
        )
    return np.asarray(last.classes_)


def _has_cropper_inside(estimator: Any) -> bool:
    """Whether a step of what the estimator is wrapped around cuts out faces."""
    inner = getattr(estimator, "estimator", None)
    if inner is None:
        return False
    steps = _flat_steps(inner)
    return isinstance(steps[0], FaceCropper) or _has_cropper_inside(steps[-1])


def _joined(steps: list[Any]) -> Any:
    if len(steps) == 1:
        return steps[0]
    return Pipeline([(f"step{number}", step) for number, step in enumerate(steps)])


def _with_detector(cropper: FaceCropper, detector: str | FaceDetector | None) -> FaceCropper:
    wanted = cropper.detector if detector is None else detector
    if isinstance(wanted, str):
        wanted = build_detector(wanted, min_face_size=cropper.min_face_size)
    if not cropper.align and getattr(wanted, "refine_landmarks", False):
        # Twice the work, for landmarks by which no face is aligned; boxes stay what they are.
        wanted = clone(wanted).set_params(refine_landmarks=False)
    # A copy: the caller's Pipeline stays as it is.
    cropper = copy.copy(cropper)
    return cropper.set_params(detector=wanted)
