"""What is gained and lost by not answering where the answer would be unsure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length

from skfer._labels import label_array
from skfer.metrics._probabilities import answers, checked_probabilities, codes_and_probabilities


class SelectiveScore(NamedTuple):
    """Accuracy and coverage of answers of which some may be withheld.

    Attributes
    ----------
    accuracy : float
        Share of right ones among the answers; NaN if there is no answer.
    coverage : float
        Share of the images that got an answer.

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
    """Accuracy of the answers for every share of images that could be answered.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_proba : array-like of shape (n, n_classes)
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.

    Returns
    -------
    coverage : ndarray of shape (n_thresholds,)
        Share of the images whose most probable class is at least as probable as the threshold,
        rising to 1.
    accuracy : ndarray of shape (n_thresholds,)
        Share of those that are right.
    thresholds : ndarray of shape (n_thresholds,)
        Every probability that an answer has, falling.

    Raises
    ------
    ValueError
        If labels and probabilities don't belong together.

    See Also
    --------
    skfer.AbstainingClassifier : Withholds answers below a threshold.
    skfer.inspection.CoverageDisplay : The same as a picture.

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
    confidence, right = answers(*codes_and_probabilities(y_true, y_proba, labels))
    surest_first = np.argsort(-confidence, kind="stable")
    confidence = confidence[surest_first]
    # Answers of one probability are given or withheld together.
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True))
    answered = last + 1
    return (
        answered / len(confidence),
        np.cumsum(right[surest_first])[last] / answered,
        confidence[last],
    )


def threshold_for_coverage(y_proba: Any, coverage: float) -> float:
    """The highest threshold that still leaves a share of the images answered.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
        Probabilities for images like those to come; no labels are needed.
    coverage : float
        Share of them to be answered at least, above 0 and at most 1.

    Returns
    -------
    float
        For ``AbstainingClassifier(threshold=...)``.

    Raises
    ------
    ValueError
        If `coverage` is no such share.

    Examples
    --------
    >>> from skfer.metrics import threshold_for_coverage
    >>> threshold_for_coverage([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], 0.5)
    0.8
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage!r} must be above 0 and at most 1.")
    confidence = np.sort(checked_probabilities(y_proba).max(axis=1))[::-1]
    # The share of a count may come out a hair above the count itself.
    return float(confidence[math.ceil(coverage * len(confidence) - 1e-9) - 1])


def threshold_for_accuracy(
    y_true: Any, y_proba: Any, accuracy: float, *, labels: Sequence[Any] | None = None
) -> float:
    """The threshold that answers most images and is right in a share of the answers.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels of images that the classifier was not fitted on.
    y_proba : array-like of shape (n, n_classes)
    accuracy : float
        Share of the answers to be right at least, above 0 and at most 1.
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.

    Returns
    -------
    float
        For ``AbstainingClassifier(threshold=...)``.

    Raises
    ------
    ValueError
        If no threshold gets there; the best accuracy is named.

    Notes
    -----
    The threshold is chosen on these images: on others expect a little less.

    Examples
    --------
    >>> from skfer.metrics import threshold_for_accuracy
    >>> y_proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> threshold_for_accuracy(["a", "b", "b"], y_proba, 0.95)
    0.8
    """
    if not 0 < accuracy <= 1:
        raise ValueError(f"accuracy={accuracy!r} must be above 0 and at most 1.")
    coverage, reached, thresholds = coverage_curve(y_true, y_proba, labels=labels)
    enough = np.flatnonzero(reached >= accuracy)
    if not len(enough):
        best = reached.argmax()
        raise ValueError(
            f"accuracy={accuracy!r} is reached at no threshold: the most is {reached[best]:.3f}, "
            f"with {coverage[best]:.1%} of the images answered."
        )
    return float(thresholds[enough[-1]])


def selective_score(y_true: Any, y_pred: Any, *, abstention_label: Any) -> SelectiveScore:
    """Accuracy of the answers that were given, and the share of images that got one.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_pred : array-like of shape (n,)
        Answers, with the label of abstention where none was given.
    abstention_label : label
        As in the classifier's ``abstention_label_``.

    Returns
    -------
    SelectiveScore
        ``accuracy`` and ``coverage``. `sklearn.metrics.accuracy_score` of the same labels is their
        product: there an abstention is as wrong as a wrong answer.

    Raises
    ------
    ValueError
        If a label is missing, or there are not as many answers as labels.

    Examples
    --------
    >>> from skfer.metrics import selective_score
    >>> score = selective_score(
    ...     ["happy", "sad", "sad"], ["happy", "unsure", "sad"], abstention_label="unsure"
    ... )
    >>> score.accuracy, round(score.coverage, 2)
    (1.0, 0.67)
    """
    y, said = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    check_consistent_length(y, said)
    answered = said != abstention_label
    right = (y == said)[answered]
    accuracy = float(right.mean()) if len(right) else math.nan
    return SelectiveScore(accuracy, float(answered.mean()))
