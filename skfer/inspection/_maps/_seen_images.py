"""The images that the last part of a Pipeline gets to see, and what it says of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skfer._base import ImageEstimator
from skfer._dense_images import dense_images
from skfer._pipelines import flat_steps, joined
from skfer._utils import shorten
from skfer.preprocessing import FaceCropper, GrayscaleResizer, ImageResizer

# Steps that take photos and give images; what stands behind the last of them sees images.
_PREPARING = (FaceCropper, GrayscaleResizer, ImageResizer)


class SeenImages(NamedTuple):
    """Images behind cropper and resizer, and who answers for them.

    Attributes
    ----------
    images : ndarray of shape (n, H, W, channels)
        uint8 or float32.
    answering : classifier or Pipeline
        What takes such images: the network, or descriptors and a classifier.
    """

    images: np.ndarray
    answering: Any

    @property
    def classes(self) -> np.ndarray:
        """What the columns of probabilities stand for."""
        return np.asarray(self.answering.classes_)

    def proba(self, images: np.ndarray | None = None) -> np.ndarray:
        """Probability of every class in these images, or in others made of them."""
        return self.answering.predict_proba(self.images if images is None else images)

    def codes(self, target: Any, proba: np.ndarray) -> np.ndarray:
        """Place in `classes` of the class that is asked about in every image.

        Raises
        ------
        ValueError
            If it is unknown, or there are not as many as images.
        """
        if target is None:
            return proba.argmax(axis=1)
        labels, classes = np.asarray(target), self.classes
        if labels.ndim == 0:
            labels = np.full(len(self.images), target, labels.dtype)
        if labels.shape != (len(self.images),):
            raise ValueError(
                f"target has the shape {labels.shape} for {len(self.images)} images: give one "
                "class, one for each image, or None for the predicted ones."
            )
        places = {name: place for place, name in enumerate(classes.tolist())}
        unknown = [label for label in labels.tolist() if label not in places]
        if unknown:
            raise ValueError(
                f"target={shorten(unknown[0])} is none of the classes {shorten(classes.tolist())}."
            )
        return np.array([places[label] for label in labels.tolist()])

    def explained(self, maps: np.ndarray, codes: np.ndarray, proba: np.ndarray) -> Bunch:
        """What the functions that make maps return."""
        return Bunch(
            maps=maps,
            images=self.images,
            target=self.classes[codes],
            proba=proba[np.arange(len(codes)), codes],
        )


def seen_images(estimator: Any, X: Any) -> SeenImages:
    """Take an estimator apart behind its last cropper or resizer, and run `X` up to there.

    Parameters
    ----------
    estimator : fitted classifier or Pipeline
        Searches, `FrozenEstimator`, `AbstainingClassifier` and `ConformalClassifier` are looked
        through.
    X : batch of n images
        As the estimator takes them.

    Raises
    ------
    TypeError
        If it gives no probabilities.
    NotFittedError, ValueError
    """
    steps = flat_steps(estimator)
    _check_answers(steps[-1])
    places = [place for place, step in enumerate(steps) if isinstance(step, _PREPARING)]
    first = places[-1] + 1 if places else 0
    for step in steps[:first]:
        X = step.transform(X)
    answering = steps[first:]
    return SeenImages(
        dense_images(ImageEstimator()._images(X, reset=True)),
        joined(answering),
    )


def network_of(seen: SeenImages, needed_by: str) -> Any:
    """The classifier with a network that answers, or the error that says there is none."""
    from skfer._network_estimator import NetworkEstimator

    if isinstance(seen.answering, NetworkEstimator):
        return seen.answering
    last = seen.answering[-1] if isinstance(seen.answering, Pipeline) else seen.answering
    raise TypeError(
        f"{needed_by} follows gradients through a network: it takes a FacialExpressionClassifier "
        f"or a Pipeline that ends in one, behind croppers and resizers alone. Here a "
        f"{type(last).__name__} answers; occlusion_sensitivity and region_importance take any "
        "classifier."
    )


def _check_answers(last: Any) -> None:
    if not hasattr(last, "fit"):
        raise TypeError(
            f"estimator is of type {type(last).__name__}; it must be a fitted classifier or "
            "Pipeline, such as skfer.load_pretrained() returns."
        )
    check_is_fitted(last)
    if not hasattr(last, "predict_proba") or not hasattr(last, "classes_"):
        raise TypeError(
            f"{type(last).__name__} gives no probabilities of classes: take a classifier with "
            "predict_proba, or put it into a CalibratedClassifierCV."
        )
