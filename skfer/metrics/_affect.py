"""Valence and arousal: metrics, and the conversion of expressions by the circumplex of affect."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight

from skfer._labels import canonical_label
from skfer._utils import shorten

# Degrees from pleasure (0) over arousal (90) to displeasure (180), in the order in which Russell
# (1980) found such feelings on his circle. The angles and the radius are our choice.
_DEGREES = {
    "happy": 20,
    "surprise": 70,
    "fear": 115,
    "angry": 130,
    "disgust": 150,
    "contempt": 165,
    "sad": 205,
}
_RADIUS = 0.8
# Expression -> (valence, arousal).
CIRCUMPLEX: dict[str, tuple[float, float]] = {
    name: (
        round(_RADIUS * math.cos(math.radians(degrees)), 3),
        round(_RADIUS * math.sin(math.radians(degrees)), 3),
    )
    for name, degrees in _DEGREES.items()
} | {"neutral": (0.0, 0.0)}


def expressions_to_affect(probabilities: Any, classes: Sequence[str]) -> np.ndarray:
    """Convert probabilities of expressions to valence and arousal.

    The result is the mean of the positions of the expressions in the circumplex of affect [1]_,
    weighted by the probabilities. It is a baseline that needs no ratings; a
    `skfer.FacialAffectRegressor` should be better.

    Parameters
    ----------
    probabilities : array-like of shape (n, n_classes)
        As `predict_proba` returns them, or counts of votes. Rows are divided by their sums.
    classes : sequence of n_classes str
        The expression of each column, such as ``classifier.classes_``; synonyms are known.

    Returns
    -------
    ndarray of shape (n, 2)
        Valence, from unpleasant (-1) to pleasant (1), and arousal, from calm (-1) to excited (1).

    Raises
    ------
    ValueError
        If a class has no position in the circumplex, or a row has negative values or only zeros.

    Notes
    -----
    The positions are chosen by this package, not fitted to data: a radius of 0.8 and angles, from
    pleasure to arousal, of 20 degrees for happy, 70 for surprise, 115 for fear, 130 for angry, 150
    for disgust, 165 for contempt and 205 for sad; neutral is the centre. The order is that of
    Russell's circle. `skfer.datasets.make_faces` uses other positions.

    References
    ----------
    .. [1] Russell, J. A. (1980). A circumplex model of affect. Journal of Personality and Social
       Psychology 39, 1161-1178.

    Examples
    --------
    >>> from skfer import expressions_to_affect
    >>> expressions_to_affect([[1.0, 0.0], [0.5, 0.5]], ["happy", "neutral"]).tolist()
    [[0.752, 0.274], [0.376, 0.137]]
    """
    shares = np.asarray(probabilities, dtype=np.float64)
    names = [canonical_label(name) for name in classes]
    if shares.ndim != 2 or shares.shape[1] != len(names):
        raise ValueError(
            f"probabilities has the shape {shares.shape}, but classes names {len(names)} columns: "
            f"{shorten(list(classes))}."
        )
    unknown = [name for name in names if name not in CIRCUMPLEX]
    if unknown:
        raise ValueError(
            f"classes has {shorten(unknown[0])}, which has no position in the circumplex; known "
            f"are {', '.join(CIRCUMPLEX)}. Remove its column."
        )
    totals = shares.sum(axis=1, keepdims=True)
    wrong = np.flatnonzero((shares < 0).any(axis=1) | ~(totals[:, 0] > 0))
    if len(wrong):
        raise ValueError(
            f"probabilities[{wrong[0]}] is {shorten(shares[wrong[0]].tolist())}: values must not "
            "be negative or NaN, and one must be greater than 0."
        )
    return shares / totals @ np.array([CIRCUMPLEX[name] for name in names])


def concordance_correlation(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str | Any = "uniform_average",
) -> float | np.ndarray:
    """Compute Lin's concordance correlation coefficient (CCC) [1]_.

    It is twice the covariance divided by the sum of both variances and the squared difference of
    the means. Different means or variances make it smaller than Pearson's correlation.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
    sample_weight : array-like of shape (n,), default=None
    multioutput : {"raw_values", "uniform_average"} or array-like of shape (n_outputs,), \
            default="uniform_average"
        A value for each output, their mean, or a mean with these weights, as in scikit-learn.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        From -1 to 1; 1 is perfect, 0 no agreement. Two equal constants have a value of 1.

    Raises
    ------
    ValueError
        If shapes differ, or an argument is invalid.

    See Also
    --------
    sklearn.metrics.root_mean_squared_error : The usual metric of regression.

    References
    ----------
    .. [1] Lin, L. I. (1989). A concordance correlation coefficient to evaluate reproducibility.
       Biometrics 45, 255-268.

    Examples
    --------
    >>> from skfer.metrics import concordance_correlation
    >>> round(concordance_correlation([-1, 0, 1], [-0.5, 0, 0.5]), 3)
    0.8

    Use it in a search or in cross-validation:

    >>> from sklearn.metrics import make_scorer
    >>> scoring = {"concordance": make_scorer(concordance_correlation)}
    """
    y_true, y_pred, weights = _validate_ratings(y_true, y_pred, sample_weight)
    mean_true, mean_pred = (
        np.average(values, axis=0, weights=weights) for values in (y_true, y_pred)
    )
    true, pred = y_true - mean_true, y_pred - mean_pred
    covariance = np.average(true * pred, axis=0, weights=weights)
    variances = np.average(true**2 + pred**2, axis=0, weights=weights)
    total = variances + (mean_true - mean_pred) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(total > 0, 2 * covariance / total, 1.0)
    return _average_outputs(values, multioutput)


def sign_agreement(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str | Any = "uniform_average",
) -> float | np.ndarray:
    """Compute the share of images with the correct sign, such as pleasant or unpleasant [1]_.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
        Ratings around 0.
    sample_weight : array-like of shape (n,), default=None
    multioutput : {"raw_values", "uniform_average"} or array-like of shape (n_outputs,), \
            default="uniform_average"
        As in `concordance_correlation`.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        From 0 to 1.

    Raises
    ------
    ValueError
        If shapes differ, or an argument is invalid.

    Warns
    -----
    UndefinedMetricWarning
        If all ratings of an output are 0; its value is NaN.

    Notes
    -----
    Images with a true rating of 0, such as neutral faces, have no sign and are left out. The
    published definition would count them as errors unless the prediction is exactly 0.

    References
    ----------
    .. [1] Nicolaou, M. A., Gunes, H. & Pantic, M. (2011). Continuous prediction of spontaneous
       affect from multiple cues and modalities in valence-arousal space. IEEE Transactions on
       Affective Computing 2, 92-105.

    Examples
    --------
    >>> from skfer.metrics import sign_agreement
    >>> round(sign_agreement([-0.5, 0.3, 0.8, 0.0], [-0.1, -0.2, 0.9, 0.1]), 3)
    0.667
    """
    y_true, y_pred, weights = _validate_ratings(y_true, y_pred, sample_weight)
    signed = (y_true != 0) * weights[:, None]
    total = signed.sum(axis=0)
    if not total.all():
        warnings.warn(
            "sign_agreement is NaN for an output whose true ratings are all 0: they have no sign.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    correct = (signed * (np.sign(y_true) == np.sign(y_pred))).sum(axis=0)
    values = np.divide(correct, total, where=total > 0, out=np.full(len(total), np.nan))
    return _average_outputs(values, multioutput)


def _validate_ratings(
    y_true: Any, y_pred: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both as ``(n, n_outputs)`` float64, and a weight for each row."""
    y_true, y_pred = (
        check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
        for name, values in (("y_true", y_true), ("y_pred", y_pred))
    )
    y_true, y_pred = (values.reshape(len(values), -1) for values in (y_true, y_pred))
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true and y_pred differ in shape: {y_true.shape} and {y_pred.shape} (images, "
            "outputs)."
        )
    weights = _check_sample_weight(
        sample_weight, y_true, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise ValueError("sample_weight is 0 for all images: at least one must be positive.")
    return y_true, y_pred, weights


def _average_outputs(values: np.ndarray, multioutput: str | Any) -> float | np.ndarray:
    if isinstance(multioutput, str):
        if multioutput not in ("raw_values", "uniform_average"):
            raise ValueError(
                f"multioutput={multioutput!r} must be one of ['raw_values', 'uniform_average'], or "
                "a weight for each output."
            )
        return values if multioutput == "raw_values" else float(values.mean())
    weights = np.asarray(multioutput, dtype=np.float64)
    if weights.shape != values.shape:
        raise ValueError(
            f"multioutput holds weights of shape {weights.shape}; there are {len(values)} outputs."
        )
    return float(np.average(values, weights=weights))
