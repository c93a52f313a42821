"""Whether probabilities come true: of a hundred answers given with 0.7, seventy should be right."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skfer.metrics._probabilities import answers, codes_and_probabilities


class ReliabilityCurve(NamedTuple):
    """What `reliability_curve` returns; arrays of one element for each bin that holds an answer.

    Attributes
    ----------
    accuracy : ndarray of shape (n_filled,)
        Share of the answers that are right.
    confidence : ndarray of shape (n_filled,)
        Mean of their probabilities.
    counts : ndarray of shape (n_filled,), int
        Answers in the bin.

    Examples
    --------
    >>> from skfer.metrics import reliability_curve
    >>> accuracy, confidence, counts = reliability_curve(["a", "b"], [[0.7, 0.3]] * 2)
    >>> accuracy.tolist(), counts.tolist()
    ([0.5], [2])
    """

    accuracy: np.ndarray
    confidence: np.ndarray
    counts: np.ndarray


def reliability_curve(
    y_true: Any, y_proba: Any, *, labels: Sequence[Any] | None = None, n_bins: int = 15
) -> ReliabilityCurve:
    """How often the most probable class is right, by how probable it was said to be.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_proba : array-like of shape (n, n_classes)
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.
    n_bins : int, default=15
        Bins of equal width into which [0, 1] is cut.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        If labels and probabilities don't belong together, or `n_bins` is not 1 or more.

    See Also
    --------
    skfer.inspection.ReliabilityDisplay : The same as a picture.
    sklearn.calibration.calibration_curve : The same for the probability of one of two classes.

    Examples
    --------
    >>> from skfer.metrics import reliability_curve
    >>> curve = reliability_curve(["a", "b", "a", "a"], [[0.7, 0.3]] * 4)
    >>> curve.accuracy.tolist(), curve.confidence.round(2).tolist(), curve.counts.tolist()
    ([0.75], [0.7], [4])
    """
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r} must be a whole number of 1 or more.")
    confidence, right = answers(*codes_and_probabilities(y_true, y_proba, labels))
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    held = counts > 0
    accuracy, mean = (
        np.bincount(bins, weights=values, minlength=n_bins)[held] / counts[held]
        for values in (right, confidence)
    )
    return ReliabilityCurve(accuracy, mean, counts[held])


def expected_calibration_error(
    y_true: Any, y_proba: Any, *, labels: Sequence[Any] | None = None, n_bins: int = 15
) -> float:
    """Mean distance between how sure the answers are and how often they are right.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_proba : array-like of shape (n, n_classes)
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.
    n_bins : int, default=15
        Bins of equal width over the probability of the most probable class.

    Returns
    -------
    float
        From 0, perfectly calibrated, to 1: the mean over the answers of the difference between
        accuracy and mean probability in the bin of each.

    Raises
    ------
    ValueError
        If labels and probabilities don't belong together, or `n_bins` is not 1 or more.

    Notes
    -----
    Only the most probable class counts, and chance alone makes the error greater than 0: with few
    images the figure is too high.

    References
    ----------
    Naeini, M. P., Cooper, G. & Hauskrecht, M. (2015). Obtaining well calibrated probabilities using
    Bayesian binning. AAAI.

    Examples
    --------
    >>> from skfer.metrics import expected_calibration_error
    >>> round(expected_calibration_error(["a", "b", "a", "a"], [[0.7, 0.3]] * 4), 2)
    0.05
    """
    curve = reliability_curve(y_true, y_proba, labels=labels, n_bins=n_bins)
    return float(np.average(abs(curve.accuracy - curve.confidence), weights=curve.counts))
