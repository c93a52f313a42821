"""How well valence and arousal are estimated: concordance, and agreement in sign."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight

_AVERAGES = ("raw_values", "uniform_average")


def concordance_correlation(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str | Any = "uniform_average",
) -> float | np.ndarray:
    """Lin's concordance correlation coefficient (CCC) [1]_.

    Twice the covariance over the sum of both variances and the squared difference of the means: a
    correlation that another mean or another spread makes smaller.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
    sample_weight : array-like of shape (n,), default=None
    multioutput : {"raw_values", "uniform_average"} or array-like of shape (n_outputs,), \
            default="uniform_average"
        A figure for each output, their mean, or a mean with these weights, as in scikit-learn.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        1 if all is right, 0 if there is no agreement, -1 if all is reversed. Never further from 0
        than Pearson's correlation. Where both are one and the same constant, it is 1.

    Raises
    ------
    ValueError
        If the arguments don't belong together.

    See Also
    --------
    sklearn.metrics.root_mean_squared_error : The usual figure beside it.
    sign_agreement : How often the sign is right.

    References
    ----------
    .. [1] Lin, L. I. (1989). A concordance correlation coefficient to evaluate reproducibility.
       Biometrics 45, 255-268.

    Examples
    --------
    >>> from skfer.metrics import concordance_correlation
    >>> round(concordance_correlation([-1, 0, 1], [-0.5, 0, 0.5]), 3)
    0.8

    In a search, with `fit` and `predict` as scikit-learn knows them:

    >>> from sklearn.metrics import make_scorer
    >>> scoring = {"concordance": make_scorer(concordance_correlation)}
    """
    truth, estimate, weights = _checked(y_true, y_pred, sample_weight)
    their, our = (np.average(values, axis=0, weights=weights) for values in (truth, estimate))
    away, off = truth - their, estimate - our
    together = np.average(away * off, axis=0, weights=weights)
    apart = np.average(away**2 + off**2, axis=0, weights=weights) + (their - our) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.where(apart > 0, 2 * together / apart, 1.0)
    return _averaged(each, multioutput)


def sign_agreement(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str | Any = "uniform_average",
) -> float | np.ndarray:
    """Share of the images whose sign is right: pleasant or not, excited or not [1]_.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
        Ratings round 0.
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
        If the arguments don't belong together.

    Warns
    -----
    UndefinedMetricWarning
        If all ratings of an output are 0; its figure is NaN.

    Notes
    -----
    Images whose true rating is 0, as that of a neutral face may be, have no sign to be right
    about, and are left out. Taken to the letter, the definition counts them as wrong unless the
    prediction is 0 to the last digit.

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
    truth, estimate, weights = _checked(y_true, y_pred, sample_weight)
    counted = (truth != 0) * weights[:, None]
    totals = counted.sum(axis=0)
    if not totals.all():
        warnings.warn(
            "sign_agreement is NaN for an output whose true ratings are all 0: they have no sign.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    right = (counted * (np.sign(truth) == np.sign(estimate))).sum(axis=0)
    return _averaged(
        np.divide(right, totals, where=totals > 0, out=np.full(len(totals), np.nan)), multioutput
    )


def _checked(
    y_true: Any, y_pred: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both as ``(n, n_outputs)`` float64, and a weight for each row."""
    truth, estimate = (
        check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
        for name, values in (("y_true", y_true), ("y_pred", y_pred))
    )
    truth, estimate = (values.reshape(len(values), -1) for values in (truth, estimate))
    if truth.shape != estimate.shape:
        raise ValueError(
            f"y_true and y_pred differ in shape: {truth.shape} and {estimate.shape} (images, "
            "outputs)."
        )
    weights = _check_sample_weight(sample_weight, truth, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is 0 for every image: there is nothing to measure.")
    return truth, estimate, weights


def _averaged(each: np.ndarray, multioutput: str | Any) -> float | np.ndarray:
    if isinstance(multioutput, str):
        if multioutput not in _AVERAGES:
            raise ValueError(
                f"multioutput={multioutput!r} must be one of {list(_AVERAGES)}, or a weight for "
                "each output."
            )
        return each if multioutput == "raw_values" else float(each.mean())
    weights = np.asarray(multioutput, dtype=np.float64)
    if weights.shape != each.shape:
        raise ValueError(
            f"multioutput holds weights of shape {weights.shape}; there are {len(each)} outputs."
        )
    return float(np.average(each, weights=weights))
