"""`ConformalClassifier`: sets of labels that hold the right one as often as was promised."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import _raise_for_params, process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_method_params, check_array, check_is_fitted

from skfer._around_classifier import AroundClassifier
from skfer._labels import label_array, label_codes
from skfer.metrics import PredictionSetScore, prediction_set_score
from skfer.metrics._nonconformity import conformal_threshold, nonconformity


class ConformalClassifier(AroundClassifier):
    """Answer with a set of labels that holds the right one with a stated probability.

    Split conformal prediction [1]_: images that the classifier was not fitted on tell how
    improbable right labels get, and a set leaves out what is less probable than that. Whatever
    the classifier is worth, sets of new images like the ones it was calibrated on hold the right
    label with probability `confidence` or more; a bad classifier gets large sets.

    Parameters
    ----------
    estimator : classifier or Pipeline with `predict_proba`
        Inside a `sklearn.frozen.FrozenEstimator` it is fitted already, and `fit` calibrates with
        all it is given. Otherwise `fit` fits a copy with one part and calibrates with the other.
    confidence : float, default=0.9
        Share of the images whose set is to hold the right label; between 0 and 1. It may be set
        anew after `fit`.
    method : {"lac", "aps"}, default="lac"
        "lac" [2]_ makes the smallest sets on average: labels above one probability. Where none is
        above it, the set is empty. "aps" [3]_ adds labels from the most probable on until their
        sum suffices: sets are larger for hard images and never empty. It is the form without
        random numbers in which the sum ends before the label itself, so that the most probable
        label always belongs to it: if that alone is right more often than `confidence`, so are the
        sets.
    per_class : bool, default=False
        Whether each class is to be covered with that probability, not just the mean of all. It
        takes as many images of every class as are otherwise needed in all.
    calibration_fraction : float, default=0.2
        Part of the images to calibrate with, if the estimator is not frozen.
    random_state : int, RandomState instance or None, default=None
        Decides which.

    Attributes
    ----------
    estimator_ : estimator
    classes_ : ndarray of shape (n_classes,)
    scores_ : ndarray of shape (n_calibration,)
        How far each right label was from being the most probable; 0 is best.
    codes_ : ndarray of shape (n_calibration,)
        The class of each, as an index into `classes_`.
    thresholds_ : ndarray of shape (n_classes,)
        The highest score that a label of a set has. Infinite where there are too few images.
    n_features_in_, feature_names_in_
        Those of the estimator, if it has any.

    See Also
    --------
    AbstainingClassifier : One answer or none.
    skfer.metrics.prediction_set_score : Coverage and size of the sets.
    skfer.inspection.PredictionSetDisplay : The same by class.

    Notes
    -----
    With n images for calibration the threshold is their ``ceil((n + 1) * confidence)``-th score.
    Where there are fewer than that, a set can keep the promise only by holding every class: 9
    images suffice for a confidence of 0.9, 19 for 0.95. The promise is one over calibration too:
    with few images, one calibration may lie well below it, and another above.

    It holds for images like those of the calibration. Frames of one clip, or photos of other
    people, are not.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A. & Shafer, G. (2005). Algorithmic learning in a random world.
       Springer.
    .. [2] Sadinle, M., Lei, J. & Wasserman, L. (2019). Least ambiguous set-valued classifiers with
       bounded error levels. Journal of the American Statistical Association 114.
    .. [3] Romano, Y., Sesia, M. & Candes, E. (2020). Classification with valid and adaptive
       coverage. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer import ConformalClassifier
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = make_blobs(600, centers=3, cluster_std=4, random_state=0)
    >>> y = np.array(["happy", "neutral", "sad"])[y]
    >>> fitted = LogisticRegression().fit(X[:200], y[:200])
    >>> sets = ConformalClassifier(FrozenEstimator(fitted), confidence=0.9)
    >>> sets = sets.fit(X[200:400], y[200:400])
    >>> [sets.classes_[row].tolist() for row in sets.predict_set(X[400:403])]
    [[...], [...], [...]]
    >>> bool(sets.set_score(X[400:], y[400:]).coverage > 0.85)
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "method": [StrOptions({"lac", "aps"})],
        "per_class": ["boolean"],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        confidence: float = 0.9,
        method: str = "lac",
        per_class: bool = False,
        calibration_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.confidence = confidence
        self.method = method
        self.per_class = per_class
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    # What lies inside checks its own parameters when it is fitted.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> ConformalClassifier:
        """Calibrate, and fit a copy of the estimator first if it isn't frozen.

        Parameters
        ----------
        X : batch of n images, or whatever the estimator takes
            Not those that a frozen estimator was fitted on.
        y : array-like of shape (n,)
        **params : dict
            Handed to the estimator's `fit`, of its part of the images where there is one value for
            each; with metadata routing, what it requested.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a label is none of the estimator's classes.

        Warns
        -----
        UserWarning
            If there are too few images for a set to leave out any class.
        """
        _raise_for_params(params, self, None)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        label_array(y)
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        check_classification_targets(y)
        X, y = indexable(X, y)
        routed = process_routing(self, "fit", **params).estimator.fit
        fitted, calibrating = None, np.arange(len(y))
        if isinstance(self.estimator, FrozenEstimator):
            estimator = self.estimator
        else:
            fitted, calibrating = self._parts(y)
            estimator = clone(self.estimator).fit(
                _safe_indexing(X, fitted),
                y[fitted],
                **_check_method_params(X, routed, indices=fitted),
            )
        codes = label_codes(
            y[calibrating],
            np.asarray(estimator.classes_),
            name="y",
            known="the estimator's classes ",
            way_out=": calibrate with images of these alone",
        )
        proba = np.asarray(estimator.predict_proba(_safe_indexing(X, calibrating)))
        self.estimator_, self.classes_ = estimator, np.asarray(estimator.classes_)
        self.scores_ = nonconformity(proba, self.method)[np.arange(len(codes)), codes]
        self.codes_ = codes
        self._calibrated_by = self.method
        whole = self.classes_[np.isinf(self.thresholds_)]
        if len(whole):
            warnings.warn(
                f"{len(codes)} images are too few for a confidence of {self.confidence} in "
                f"{whole.tolist()}: every set holds these. Calibrate with more images, or ask for "
                "less confidence.",
                UserWarning,
                stacklevel=2,
            )
        return self

    def predict_set(self, X: Any) -> np.ndarray:
        """Which labels the right one is among.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of bool, shape (n, n_classes)
            Columns in the order of `classes_`: ``classes_[sets[0]]`` are the labels of the first
            image.

        Raises
        ------
        ValueError
            If `method` is not the one that it was calibrated with.
        """
        return nonconformity(self.predict_proba(X), self.method) <= self.thresholds_

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every image, as the estimator answers.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._fitted().predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of every class, as the estimator gives it.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return np.asarray(self._fitted().predict_proba(X))

    def set_score(self, X: Any, y: Any) -> PredictionSetScore:
        """Coverage and size of the sets; `score` is the accuracy of single answers.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,)

        Returns
        -------
        PredictionSetScore
            ``coverage``, ``mean_size``, ``single`` and ``empty``.

        Raises
        ------
        ValueError
            If there are not as many labels as images.
        """
        return prediction_set_score(y, self.predict_set(X), labels=self.classes_.tolist())

    @property
    def thresholds_(self) -> np.ndarray:
        """The highest score that a label of a set has, for every class.

        Raises
        ------
        ValueError
            If `method` is not the one that it was calibrated with.
        """
        check_is_fitted(self)
        if self.method != self._calibrated_by:
            raise ValueError(
                f"method={self.method!r}, but it was calibrated with {self._calibrated_by!r}: fit "
                "it anew."
            )
        if not self.per_class:
            return np.full(len(self.classes_), conformal_threshold(self.scores_, self.confidence))
        of_class = (self.scores_[self.codes_ == code] for code in range(len(self.classes_)))
        return np.array([conformal_threshold(scores, self.confidence) for scores in of_class])

    def _parts(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows to fit with, and rows to calibrate with; classes as frequent in both if possible."""
        counts = np.unique(y, return_counts=True)[1]
        n_calibrating = math.ceil(self.calibration_fraction * len(y))
        smaller_part = min(n_calibrating, len(y) - n_calibrating)
        possible = counts.min() >= 2 and smaller_part >= len(counts)
        return train_test_split(
            np.arange(len(y)),
            test_size=self.calibration_fraction,
            stratify=y if possible else None,
            random_state=check_random_state(self.random_state),
        )
