"""Find cropper, resizer and classifier in Pipelines, searches, FrozenEstimators and wrappers."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from skfer._base import ClassifierWrapper
from skfer.detection import FaceDetector
from skfer.preprocessing import FaceCropper, ImageResizer
from skfer.preprocessing._face_cropper import FaceFinder

# Attributes of scikit-learn's meta-estimators that contain the fitted estimator.
_FITTED = ("calibrated_classifiers_", "estimators_", "estimator_", "estimator")


def unwrap(estimator: Any) -> Any:
    """Return the estimator inside nested searches, `FrozenEstimator` and classifier wrappers."""
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, ClassifierWrapper):
            estimator = estimator._fitted()
        elif _is_search(estimator):
            estimator = _best(estimator)
        else:
            return estimator


def flat_steps(estimator: Any) -> list[Any]:
    """Return the steps of nested Pipelines and wrappers in a flat list."""
    estimator = unwrap(estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [inner for step in steps for inner in flat_steps(step)]


def find_abstaining(estimator: Any) -> Any:
    """Return the outermost `AbstainingClassifier` in an estimator, or None."""
    while not (isinstance(estimator, ClassifierWrapper) and estimator._abstains):
        if isinstance(estimator, Pipeline) and estimator.steps:
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, FrozenEstimator | ClassifierWrapper) or _is_search(estimator):
            estimator = _inner_estimators(estimator)[0]
        else:
            return None
    return estimator


def detector_of(estimator: Any) -> str | FaceDetector:
    """Return the detector of the first step, a FaceCropper; "auto" for a classifier of faces."""
    first = flat_steps(estimator)[0]
    return first.detector if isinstance(first, FaceCropper) else "auto"


def image_shape(estimator: Any) -> tuple[int, ...] | None:
    """Return the image shape of the network inside a fitted estimator; None if it takes any."""
    shape = getattr(estimator, "image_shape_", None)
    if shape is not None:
        return shape
    if isinstance(estimator, Pipeline):
        steps = flat_steps(estimator)
        return image_shape(steps[0]) if steps else None
    shapes = map(image_shape, _inner_estimators(estimator))
    return next((shape for shape in shapes if shape is not None), None)


def _contains(estimator: Any, kind: type) -> bool:
    """Return whether an estimator is of that kind, or holds one that is."""
    return isinstance(estimator, kind) or any(
        _contains(e, kind) for e in _inner_estimators(estimator)
    )


def _inner_estimators(estimator: Any) -> list[Any]:
    """Return the estimators that one holds directly; the fitted ones if it is fitted."""
    if isinstance(estimator, Pipeline):
        return flat_steps(estimator)
    if isinstance(estimator, FeatureUnion):
        return [member for _, member in estimator.transformer_list if not isinstance(member, str)]
    if isinstance(estimator, ClassifierWrapper):
        return [estimator._fitted()]
    if _is_search(estimator):
        return [_best(estimator)]
    attributes = getattr(estimator, "__dict__", {})
    held = next((attributes[name] for name in _FITTED if name in attributes), None)
    if isinstance(held, np.ndarray):
        held = held.ravel().tolist()
    # A Pipeline is a sequence too, of its steps.
    members = held if isinstance(held, list | tuple) else [held]
    return [member for member in members if hasattr(member, "__dict__")]


def _is_search(estimator: Any) -> bool:
    # By name: sklearn.model_selection would be imported for each prediction.
    names = [base.__name__ for base in type(estimator).__mro__]
    return "BaseSearchCV" in names or hasattr(estimator, "best_estimator_")


def _best(search: Any) -> Any:
    if hasattr(search, "best_estimator_"):
        return search.best_estimator_
    name = type(search).__name__
    if hasattr(search, "cv_results_"):
        raise NotFittedError(
            f"This {name} was fitted with refit=False and holds no fitted estimator: set "
            "refit=True, or fit an estimator with its best_params_."
        )
    raise NotFittedError(f"This {name} instance is not fitted yet: call fit first.")


class PipelineParts(NamedTuple):
    """Parts of a Pipeline that find and classify faces."""

    finder: FaceFinder
    classifier: Any
    classes: np.ndarray
    threshold: float
    unsure: Any

    def expressions(self, probabilities: np.ndarray) -> list[Any]:
        """Return the most probable class of each row; `unsure` below the threshold."""
        classes = self.classes.tolist()
        return [
            classes[index] if row[index] >= self.threshold else self.unsure
            for row, index in zip(probabilities, probabilities.argmax(axis=1), strict=True)
        ]


def split_pipeline(pipeline: Any, detector: str | FaceDetector | None) -> PipelineParts:
    """Return the parts of a fitted Pipeline, found by the types of its steps."""
    steps = flat_steps(pipeline)
    croppers = [index for index, step in enumerate(steps) if isinstance(step, FaceCropper)]
    if croppers not in ([], [0]):
        kinds = [type(step).__name__ for step in steps]
        raise ValueError(
            f"The steps of the Pipeline are {kinds}: a FaceCropper must be the first step and the "
            "only FaceCropper, because boxes are reported in pixels of the original image."
        )
    cropper = steps[0] if croppers else FaceCropper("auto")
    rest = steps[len(croppers) :]
    if rest and _contains(rest[-1], FaceCropper):
        kind = type(rest[-1]).__name__
        raise ValueError(
            f"{kind} contains a FaceCropper, which would search for a face in each cropped face: "
            f"wrap only the classifier in {kind}, as the last step of the Pipeline."
        )
    classes = classes_of(rest)
    wrapper = find_abstaining(pipeline)
    threshold, unsure = 0.0, None
    if wrapper is not None:
        threshold, unsure = wrapper.threshold, wrapper.abstention_label_
    shape = image_shape(rest[0])
    if shape is not None:
        # Faces have any size.
        color = "rgb" if shape[2:] == (3,) else "gray"
        rest = [ImageResizer((shape[0], shape[1]), color=color), *rest]
    finder = FaceFinder.from_cropper(_with_detector(cropper, detector))
    return PipelineParts(finder, join_steps(rest), classes, threshold, unsure)


def classes_of(steps: list[Any]) -> np.ndarray:
    """Return the classes of the last of fitted steps, which must give probabilities."""
    if not steps or not hasattr(type(steps[-1]), "predict"):
        kind = f"a {type(steps[-1]).__name__}" if steps else "a FaceCropper alone"
        raise TypeError(
            f"The estimator is or ends in {kind}, which does not classify: give a fitted "
            "classifier, or a Pipeline that ends in one, such as skfer.load_pretrained() returns."
        )
    last = steps[-1]
    kind = type(last).__name__
    if not hasattr(last, "predict_proba"):
        raise TypeError(
            f"{kind} has no predict_proba: put it into a CalibratedClassifierCV, or take a "
            "classifier that gives probabilities."
        )
    if not hasattr(last, "classes_"):
        raise NotFittedError(
            f"This {kind} is not fitted: call fit first, or take a Pipeline from "
            "skfer.load_pretrained()."
        )
    return np.asarray(last.classes_)


def join_steps(steps: list[Any]) -> Any:
    """Return one estimator for fitted steps: the only one, or a Pipeline of them."""
    if len(steps) == 1:
        return steps[0]
    return Pipeline([(f"step{number}", step) for number, step in enumerate(steps)])


def _with_detector(cropper: FaceCropper, detector: str | FaceDetector | None) -> FaceCropper:
    """Return a copy of a cropper with another detector, and without refined landmarks."""
    cropper = copy.copy(cropper)
    if detector is not None:
        cropper.set_params(detector=detector)
    built = cropper.detector_
    if not cropper.align and getattr(built, "refine_landmarks", False):
        # Refinement doubles the work and does not change the boxes.
        built = clone(built).set_params(refine_landmarks=False)
    return cropper.set_params(detector=built)
