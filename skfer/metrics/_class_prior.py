"""Class shares: adapt probabilities to other shares than the training's, and estimate them."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfer.metrics._probabilities import checked_probabilities


def apply_class_prior(y_proba: Any, train_prior: Any, class_prior: Any) -> np.ndarray:
    """Adapt probabilities to other shares of the classes than those trained on.

    By Bayes' rule a class that is twice as frequent as in training is twice as probable, before
    the row is normalised. The faces of each class are assumed to look the same in both.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
        Probabilities from a classifier trained at `train_prior`.
    train_prior : array-like of shape (n_classes,)
        Share of each class in training.
    class_prior : array-like of shape (n_classes,)
        Expected share of each class.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Proportional to ``y_proba * class_prior / train_prior``; of the dtype of `y_proba` if that
        is floating point. A row that has no probability left gets `class_prior`.

    Raises
    ------
    ValueError
        If the shares are negative or do not fit the columns, or a training share is 0.

    See Also
    --------
    estimate_class_prior : Estimate the shares from unlabelled images.

    Examples
    --------
    >>> from skfer.metrics import apply_class_prior
    >>> apply_class_prior([[0.8, 0.2]], [0.8, 0.2], [0.5, 0.5]).round(2).tolist()
    [[0.5, 0.5]]
    """
    proba = np.asarray(y_proba)
    dtype = proba.dtype if proba.dtype.kind == "f" else np.dtype(np.float64)
    before = _train_prior(train_prior, proba.shape[-1])
    after = _shares(class_prior, proba.shape[-1], "class_prior")
    weighted = proba.astype(np.float64) * (after / before)
    total = weighted.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, weighted / total, after).astype(dtype)


def estimate_class_prior(
    y_proba: Any, train_prior: Any, *, max_iter: int = 1000, tol: float = 1e-6
) -> np.ndarray:
    """Estimate the shares of the classes among unlabelled images.

    Expectation maximisation [1]_: the mean of the adapted probabilities is the next estimate of
    the shares, until it no longer changes. The answers alone are biased towards the training's
    shares; the estimate is not, as far as the probabilities are calibrated.

    Parameters
    ----------
    y_proba : array-like of shape (n, n_classes)
        Probabilities at `train_prior`, as from ``FacialExpressionClassifier(class_prior=None)``.
    train_prior : array-like of shape (n_classes,)
        Share of each class in training, such as the classifier's ``class_prior_``.
    max_iter : int, default=1000
        Largest number of iterations.
    tol : float, default=1e-6
        Largest change of a share at which the estimate is taken.

    Returns
    -------
    ndarray of shape (n_classes,)
        Estimated shares; they sum to 1.

    Raises
    ------
    ValueError
        If `y_proba` are no probabilities, the shares do not fit the columns, or a training share
        is 0.

    See Also
    --------
    apply_class_prior : Adapt probabilities to the estimate.

    References
    ----------
    .. [1] Saerens, M., Latinne, P. & Decaestecker, C. (2002). Adjusting the outputs of a
       classifier to new a priori probabilities: a simple procedure. Neural Computation 14(1).

    Examples
    --------
    Of four images three look happy, to a classifier for which one in two was happy:

    >>> from skfer.metrics import estimate_class_prior
    >>> y_proba = [[0.9, 0.1]] * 3 + [[0.1, 0.9]]
    >>> estimate_class_prior(y_proba, [0.5, 0.5]).round(2).tolist()
    [0.81, 0.19]
    """
    proba = checked_probabilities(y_proba)
    before = _train_prior(train_prior, proba.shape[1])
    ratios = proba / before
    prior = before
    for _ in range(max_iter):
        weighted = ratios * prior
        found = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        converged = np.abs(found - prior).max() <= tol
        prior = found
        if converged:
            break
    return prior


def _train_prior(train_prior: Any, n_classes: int) -> np.ndarray:
    prior = _shares(train_prior, n_classes, "train_prior")
    if not prior.all():
        raise ValueError(
            f"train_prior[{np.flatnonzero(prior == 0)[0]}] is 0: the shares of a class that was "
            "not trained on cannot be adapted."
        )
    return prior


def _shares(prior: Any, n_classes: int, name: str) -> np.ndarray:
    """Return shares as float64 that sum to 1."""
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (n_classes,):
        raise ValueError(
            f"{name} has the shape {shares.shape}: one share for each of the {n_classes} classes "
            "is expected, in the order of the columns."
        )
    wrong = np.flatnonzero(~(np.isfinite(shares) & (shares >= 0)))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}] is {shares[wrong[0]]}: shares are finite and not negative."
        )
    if not shares.any():
        raise ValueError(f"{name} is 0 for every class.")
    return shares / shares.sum()
