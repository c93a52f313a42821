"""Metrics of classifiers that may abstain, or that predict sets of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length

from skfer._labels import label_array
from skfer.metrics._probabilities import (
    check_probabilities,
    codes_and_probabilities,
    column_classes,
)


class SelectiveScore(NamedTuple):
    """Accuracy and coverage of a classifier that may abstain.

    Attributes
    ----------
    accuracy : float
        Accuracy of the answers; NaN without answers.
    coverage : float
        Share of the images with an answer.

    Examples
    --------
    >>> from skfer.metrics import selective_score
    >>> selective_score([1, 0, 1, 1], [1, -1, 0, -1], abstention_label=-1)
    SelectiveScore(accuracy=0.5, coverage=0.5)
    """

    accuracy: float
    coverage: float


def coverage_curve(
    y_true: Any, y_proba: Any, *, labels: Sequence[Any] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the accuracy of the answers for all possible coverages.

    Parameters
    ----------
    y_true, y_proba, labels
        As in `reliability_curve`.

    Returns
    -------
    coverage : ndarray of shape (n_thresholds,)
        Share of the images whose largest probability reaches the threshold, increasing to 1.
    accuracy : ndarray of shape (n_thresholds,)
        Accuracy of these images.
    thresholds : ndarray of shape (n_thresholds,)
        The distinct largest probabilities, decreasing.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    See Also
    --------
    skfer.AbstainingClassifier : Abstains below a threshold.
    skfer.inspection.CoverageDisplay : Plot of the curve.

    References
    ----------
    El-Yaniv, R. & Wiener, Y. (2010). On the foundations of noise-free selective classification.
    JMLR 11, 1605-1641.

    Examples
    --------
    >>> from skfer.metrics import coverage_curve
    >>> y_proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> coverage, accuracy, thresholds = coverage_curve(["a", "b", "b"], y_proba)
    >>> thresholds.tolist(), coverage.round(2).tolist(), accuracy.round(2).tolist()
    ([0.9, 0.8, 0.6], [0.33, 0.67, 1.0], [1.0, 1.0, 0.67])
    """
    codes, proba = codes_and_probabilities(y_true, y_proba, labels)
    confidence, correct = proba.max(axis=1), proba.argmax(axis=1) == codes
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    # Equal probabilities have the same threshold.
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True))
    n_answers = last + 1
    return (
        n_answers / len(confidence),
        np.cumsum(correct[order])[last] / n_answers,
        confidence[last],
    )


def threshold_for_coverage(y_proba: Any, coverage: float) -> float:
    """Find the highest threshold with a minimum coverage.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
        Probabilities of representative images; no labels are needed.
    coverage : float
        Minimum share of images with an answer, above 0 and at most 1.

    Returns
    -------
    float
        The value for ``AbstainingClassifier(threshold=...)``.

    Raises
    ------
    ValueError
        If `coverage` is out of range.

    Examples
    --------
    >>> from skfer.metrics import threshold_for_coverage
    >>> threshold_for_coverage([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], 0.5)
    0.8
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage!r} must be above 0 and at most 1.")
    confidence = np.sort(check_probabilities(y_proba).max(axis=1))[::-1]
    # The tolerance is for rounding errors of the product.
    return float(confidence[math.ceil(coverage * len(confidence) - 1e-9) - 1])


def threshold_for_accuracy(
    y_true: Any, y_proba: Any, accuracy: float, *, labels: Sequence[Any] | None = None
) -> float:
    """Find the threshold with the highest coverage and a minimum accuracy of the answers.

    Parameters
    ----------
    y_true, y_proba
        As in `reliability_curve`, for images that the classifier was not fitted on.
    accuracy : float
        Minimum accuracy of the answers, above 0 and at most 1.
    labels
        As in `reliability_curve`.

    Returns
    -------
    float
        The value for ``AbstainingClassifier(threshold=...)``.

    Raises
    ------
    ValueError
        If no threshold reaches the accuracy; the message names the highest accuracy.

    Notes
    -----
    The threshold is chosen on these images. Expect a slightly lower accuracy on others.

    Examples
    --------
    >>> from skfer.metrics import threshold_for_accuracy
    >>> y_proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> threshold_for_accuracy(["a", "b", "b"], y_proba, 0.95)
    0.8
    """
    if not 0 < accuracy <= 1:
        raise ValueError(f"accuracy={accuracy!r} must be above 0 and at most 1.")
    coverage, accuracies, thresholds = coverage_curve(y_true, y_proba, labels=labels)
    sufficient = np.flatnonzero(accuracies >= accuracy)
    if not len(sufficient):
        best = accuracies.argmax()
        raise ValueError(
            f"accuracy={accuracy!r} is reached at no threshold: the highest is "
            f"{accuracies[best]:.3f}, at a coverage of {coverage[best]:.1%}."
        )
    return float(thresholds[sufficient[-1]])


def selective_score(y_true: Any, y_pred: Any, *, abstention_label: Any) -> SelectiveScore:
    """Compute the accuracy of the answers and their coverage.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_pred : array-like of shape (n,)
        Predicted labels and the label of abstention.
    abstention_label : label
        The classifier's ``abstention_label_``.

    Returns
    -------
    SelectiveScore
        ``accuracy`` and ``coverage``. Their product is `sklearn.metrics.accuracy_score`, which
        counts abstentions as errors.

    Raises
    ------
    ValueError
        If a label is missing, or lengths differ.

    Examples
    --------
    >>> from skfer.metrics import selective_score
    >>> score = selective_score(
    ...     ["happy", "sad", "sad"], ["happy", "unsure", "sad"], abstention_label="unsure"
    ... )
    >>> score.accuracy, round(score.coverage, 2)
    (1.0, 0.67)
    """
    y_true, y_pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    check_consistent_length(y_true, y_pred)
    answered = y_pred != abstention_label
    correct = (y_true == y_pred)[answered]
    accuracy = float(correct.mean()) if len(correct) else math.nan
    return SelectiveScore(accuracy, float(answered.mean()))


class PredictionSetScore(NamedTuple):
    """Result of `prediction_set_score`.

    Attributes
    ----------
    coverage : float
        Share of the images whose set contains the true label.
    mean_size : float
        Mean number of labels in a set.
    single : float
        Share of the images whose set contains one label.
    empty : float
        Share of the images whose set is empty.

    Examples
    --------
    >>> from skfer.metrics import prediction_set_score
    >>> prediction_set_score(["happy", "sad"], [[True, False], [True, True]]).mean_size
    1.5
    """

    coverage: float
    mean_size: float
    single: float
    empty: float


def prediction_set_score(
    y_true: Any, y_set: Any, *, labels: Sequence[Any] | None = None
) -> PredictionSetScore:
    """Compute coverage and size of prediction sets.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_set : array-like of bool, shape (n, n_classes)
        Membership of each label in the set of each image, as
        `skfer.ConformalClassifier.predict_set` returns it.
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.

    Returns
    -------
    PredictionSetScore
        An image whose label is not in `labels` is not covered.

    Raises
    ------
    ValueError
        If labels, columns and images do not match.

    Examples
    --------
    >>> from skfer.metrics import prediction_set_score
    >>> y_set = [[True, False], [True, True], [True, False], [False, True]]
    >>> prediction_set_score(["happy", "happy", "sad", "sad"], y_set)
    PredictionSetScore(coverage=0.75, mean_size=1.25, single=0.75, empty=0.0)
    """
    covered, sets = covered_images(y_true, y_set, labels)
    sizes = sets.sum(axis=1)
    values = (covered, sizes, sizes == 1, sizes == 0)
    return PredictionSetScore(*(float(value.mean()) for value in values))


def covered_images(
    y_true: Any, y_set: Any, labels: Sequence[Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask of the images whose set contains their label, and the sets as bool array."""
    y, sets = label_array(y_true, "y_true"), np.asarray(y_set)
    names = column_classes(y, labels)
    if sets.dtype != bool or sets.shape != (len(y), len(names)) or not len(y):
        raise ValueError(
            f"y_set has the shape {sets.shape} and dtype {sets.dtype}; expected bool of shape "
            f"({len(y)}, {len(names)}): a row for each label of y_true and a column for each of "
            f"{names.tolist()}. Name the class of each column: labels=classifier.classes_."
        )
    return (sets & (y[:, np.newaxis] == names)).any(axis=1), sets
