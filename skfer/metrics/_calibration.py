"""Calibration of probabilities: reliability, temperature and class priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from skfer._utils import check_int
from skfer.metrics._probabilities import check_probabilities, codes_and_probabilities

# Range of temperatures that are searched. On data that the network was fitted on, the optimum is 0.
_TEMPERATURES = (0.05, 20.0)
# Limits the log loss of true classes with a probability of 0, which float32 may round to.
_MIN_PROBA = 1e-12


class ReliabilityCurve(NamedTuple):
    """Result of `reliability_curve`, with an element for each bin that is not empty.

    Attributes
    ----------
    accuracy : ndarray of shape (n_filled,)
        Accuracy of the predictions in the bin.
    confidence : ndarray of shape (n_filled,)
        Mean of their probabilities.
    counts : ndarray of shape (n_filled,), int
        Number of predictions in the bin.

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
    """Compute the accuracy of the predicted class in bins of its probability.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_proba : array-like of shape (n, n_classes)
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.
    n_bins : int, default=15
        Number of bins of equal width in [0, 1].

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or `n_bins` is less than 1.

    See Also
    --------
    skfer.inspection.ReliabilityDisplay : Plot of the curve.
    sklearn.calibration.calibration_curve : The curve of one of two classes.

    Examples
    --------
    >>> from skfer.metrics import reliability_curve
    >>> curve = reliability_curve(["a", "b", "a", "a"], [[0.7, 0.3]] * 4)
    >>> curve.accuracy.tolist(), curve.confidence.round(2).tolist(), curve.counts.tolist()
    ([0.75], [0.7], [4])
    """
    check_int("n_bins", n_bins)
    codes, proba = codes_and_probabilities(y_true, y_proba, labels)
    confidence, correct = proba.max(axis=1), proba.argmax(axis=1) == codes
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    filled = counts > 0
    accuracy, mean_confidence = (
        np.bincount(bins, weights=values, minlength=n_bins)[filled] / counts[filled]
        for values in (correct, confidence)
    )
    return ReliabilityCurve(accuracy, mean_confidence, counts[filled])


def expected_calibration_error(
    y_true: Any, y_proba: Any, *, labels: Sequence[Any] | None = None, n_bins: int = 15
) -> float:
    """Compute the mean difference between accuracy and probability of the predicted class.

    Parameters
    ----------
    y_true, y_proba, labels, n_bins
        As in `reliability_curve`.

    Returns
    -------
    float
        From 0, perfectly calibrated, to 1: the mean over the predictions of the difference between
        accuracy and mean probability in their bin.

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or `n_bins` is less than 1.

    Notes
    -----
    The error ignores other classes, and is too large for few images: chance makes it positive.

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


def apply_temperature(y_proba: Any, temperature: float) -> np.ndarray:
    """Rescale probabilities by a temperature.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
    temperature : float
        Above 1, the probabilities of a row become more equal; below 1, less equal. Their order
        is unchanged.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Proportional to ``y_proba ** (1 / temperature)``, which is the softmax of the logits
        divided by the temperature. The dtype of `y_proba` is kept if it is floating point.

    Raises
    ------
    ValueError
        If `y_proba` is not two-dimensional, or `temperature` is not above 0.

    Examples
    --------
    >>> from skfer.metrics import apply_temperature
    >>> apply_temperature([[0.9, 0.1]], 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    proba, dtype = _rows_and_dtype(y_proba)
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature={temperature!r} must be a number above 0, such as 1.5.")
    if temperature == 1:
        return proba.astype(dtype, copy=False)
    powers = proba.astype(np.float64)
    powers /= powers.max(axis=1, keepdims=True)  # so that a small temperature leaves the largest
    powers **= 1 / temperature
    return (powers / powers.sum(axis=1, keepdims=True)).astype(dtype)


def fit_temperature(y_true: Any, y_proba: Any, *, labels: Sequence[Any] | None = None) -> float:
    """Find the temperature with the smallest log loss.

    Parameters
    ----------
    y_true, y_proba, labels
        As in `reliability_curve`: probabilities at temperature 1, for images that the classifier
        was not fitted on.

    Returns
    -------
    float
        The value for ``FacialExpressionClassifier(temperature=...)``.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y. & Weinberger, K. Q. (2017). On calibration of modern neural
    networks. ICML.

    Examples
    --------
    Recalibrate probabilities of 0.9 with an accuracy of 0.75:

    >>> from skfer.metrics import fit_temperature
    >>> y_true, y_proba = ["happy", "happy", "happy", "sad"], [[0.9, 0.1]] * 4
    >>> round(fit_temperature(y_true, y_proba, labels=["happy", "sad"]), 2)
    2.0
    """
    codes, proba = codes_and_probabilities(y_true, y_proba, labels)
    logits = np.log(np.maximum(proba, _MIN_PROBA))
    rows = np.arange(len(codes))

    def log_loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, codes].mean())

    result = minimize_scalar(log_loss, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.exp(result.x))


def apply_class_prior(y_proba: Any, train_prior: Any, class_prior: Any) -> np.ndarray:
    """Adapt probabilities to other class frequencies than those of the training data.

    By Bayes' rule, the probability of a class is multiplied by the ratio of its frequencies, and
    the row is normalised. The images of each class are assumed to be distributed as in training.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
        Probabilities of a classifier trained at `train_prior`.
    train_prior : array-like of shape (n_classes,)
        Share of each class in training.
    class_prior : array-like of shape (n_classes,)
        Expected share of each class.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Proportional to ``y_proba * class_prior / train_prior``. A row without any probability left
        is `class_prior`. The dtype of `y_proba` is kept if it is floating point.

    Raises
    ------
    ValueError
        If `y_proba` is not two-dimensional, shares are negative or do not match the columns, or a
        training share is 0.

    Examples
    --------
    >>> from skfer.metrics import apply_class_prior
    >>> apply_class_prior([[0.8, 0.2]], [0.8, 0.2], [0.5, 0.5]).round(2).tolist()
    [[0.5, 0.5]]
    """
    proba, dtype = _rows_and_dtype(y_proba)
    before = _check_train_prior(train_prior, proba.shape[-1])
    after = _normalize_shares(class_prior, proba.shape[-1], "class_prior")
    weighted = proba.astype(np.float64) * (after / before)
    total = weighted.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, weighted / total, after).astype(dtype)


def estimate_class_prior(
    y_proba: Any, train_prior: Any, *, max_iter: int = 1000, tol: float = 1e-6
) -> np.ndarray:
    """Estimate the class frequencies of unlabelled images by expectation maximisation [1]_.

    The mean of the adapted probabilities is the next estimate, until it converges. Shares of
    predicted classes are biased towards the training shares; this estimate is not, if the
    probabilities are calibrated.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
        Probabilities at `train_prior`, as from ``FacialExpressionClassifier(class_prior=None)``.
    train_prior : array-like of shape (n_classes,)
        Share of each class in training, such as the classifier's ``class_prior_``.
    max_iter : int, default=1000
        Maximum number of iterations.
    tol : float, default=1e-6
        Largest change of a share at convergence.

    Returns
    -------
    ndarray of shape (n_classes,)
        Estimated shares; they sum to 1.

    Raises
    ------
    ValueError
        If `y_proba` has no probabilities, shares do not match the columns, or a training share
        is 0.

    References
    ----------
    .. [1] Saerens, M., Latinne, P. & Decaestecker, C. (2002). Adjusting the outputs of a
       classifier to new a priori probabilities: a simple procedure. Neural Computation 14(1).

    Examples
    --------
    Estimate the share of a class that is probable in three of four images:

    >>> from skfer.metrics import estimate_class_prior
    >>> y_proba = [[0.9, 0.1]] * 3 + [[0.1, 0.9]]
    >>> estimate_class_prior(y_proba, [0.5, 0.5]).round(2).tolist()
    [0.81, 0.19]
    """
    proba = check_probabilities(y_proba)
    prior = _check_train_prior(train_prior, proba.shape[1])
    ratios = proba / prior
    for _ in range(max_iter):
        weighted = ratios * prior
        estimate = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        change = np.abs(estimate - prior).max()
        prior = estimate
        if change <= tol:
            break
    return prior


def _rows_and_dtype(y_proba: Any) -> tuple[np.ndarray, np.dtype]:
    """Return the probabilities, and the floating point type of the result."""
    proba = np.asarray(y_proba)
    if proba.ndim != 2:
        raise ValueError(
            f"y_proba has the shape {proba.shape}: (n, n_classes) is expected, as predict_proba "
            "returns it. For one image, give [row]."
        )
    return proba, proba.dtype if proba.dtype.kind == "f" else np.dtype(np.float64)


def _check_train_prior(train_prior: Any, n_classes: int) -> np.ndarray:
    prior = _normalize_shares(train_prior, n_classes, "train_prior")
    if not prior.all():
        raise ValueError(
            f"train_prior[{np.flatnonzero(prior == 0)[0]}] is 0: the share of a class that was "
            "not in training can't be adapted."
        )
    return prior


def _normalize_shares(prior: Any, n_classes: int, name: str) -> np.ndarray:
    """Return shares as float64 with the sum 1."""
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (n_classes,):
        raise ValueError(
            f"{name} has the shape {shares.shape}: one share for each of the {n_classes} classes "
            "is expected, in the order of the columns."
        )
    wrong = np.flatnonzero(~(np.isfinite(shares) & (shares >= 0)))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}] is {shares[wrong[0]]}: shares must be finite and not negative."
        )
    if not shares.any():
        raise ValueError(f"{name} is 0 for every class.")
    return shares / shares.sum()
