"""`ConformalClassifier`: prediction sets with a guaranteed coverage."""

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

from skfer._base import ClassifierWrapper
from skfer._labels import label_array, label_codes
from skfer.metrics import PredictionSetScore, prediction_set_score


class ConformalClassifier(ClassifierWrapper):
    """Classifier that predicts sets of labels with a guaranteed coverage.

    Split conformal prediction [1]_ measures, on images that the classifier was not fitted on, how
    improbable true labels can be. A set contains all labels that are at least as probable. For
    new images from the same distribution, a set contains the true label with a probability of at
    least `confidence`, whatever the classifier; the sets of a bad classifier are large.

    Parameters
    ----------
    estimator : classifier or Pipeline with `predict_proba`
        In a `sklearn.frozen.FrozenEstimator` it is fitted already, and `fit` uses all images for
        calibration. Otherwise `fit` fits a copy with one part and calibrates with the other.
    confidence : float, default=0.9
        Guaranteed share of sets with the true label, between 0 and 1. It may be changed after
        `fit`.
    method : {"lac", "aps"}, default="lac"
        "lac" [2]_ has the smallest mean size: the set contains the labels above a probability, and
        may be empty. "aps" [3]_ adds labels in the order of their probabilities until a sum is
        reached: sets are larger for difficult images and never empty. It is the deterministic
        form in which the sum excludes the label itself, so that the most probable label is always
        in the set. If it is correct more often than `confidence`, so are the sets.
    per_class : bool, default=False
        If True, the coverage is guaranteed for each class instead of the mean of all. Each class
        then needs as many images as all classes together otherwise.
    calibration_fraction : float, default=0.2
        Fraction of the images for calibration, if the estimator is not frozen.
    random_state : int, RandomState instance or None, default=None
        Seed of this split.

    Attributes
    ----------
    estimator_ : estimator
    classes_ : ndarray of shape (n_classes,)
    scores_ : ndarray of shape (n_calibration,)
        Nonconformity scores of the true labels; 0 is best.
    codes_ : ndarray of shape (n_calibration,)
        Their classes, as indices into `classes_`.
    thresholds_ : ndarray of shape (n_classes,)
        Largest score of a label in a set. Infinite with too few images.
    n_features_in_, feature_names_in_
        Those of the estimator, if it has any.

    See Also
    --------
    AbstainingClassifier : Predicts one label or none.
    skfer.metrics.prediction_set_score : Coverage and size of the sets.
    skfer.inspection.PredictionSetDisplay : Coverage by class.

    Notes
    -----
    With n images for calibration, the threshold is the ``ceil((n + 1) * confidence)``-th smallest
    score. If n is smaller than that, only sets of all classes have the guarantee: a confidence of
    0.9 needs 9 images, 0.95 needs 19. The guarantee is a mean over calibrations: with few images,
    the coverage after one calibration may be clearly lower or higher.

    The images for calibration must represent new images. Frames of the same clip, or photos of
    other people, do not.

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

    # The estimator validates its own parameters.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> ConformalClassifier:
        """Calibrate; fit a copy of the estimator first unless it is frozen.

        Parameters
        ----------
        X : batch of n images, or whatever the estimator takes
            Not the images that a frozen estimator was fitted on.
        y : array-like of shape (n,)
        **params : dict
            Parameters that the estimator's `fit` requested; values for each image are split like
            the images. They need metadata routing:
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a label is not one of the estimator's classes, or `params` are given without
            metadata routing.
        NotFittedError
            If a frozen estimator is not fitted.

        Warns
        -----
        UserWarning
            If there are too few images, so that sets contain all classes.
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
        calibration = np.arange(len(y))
        if isinstance(self.estimator, FrozenEstimator):
            estimator = self.estimator
            check_is_fitted(estimator)
        else:
            training, calibration = self._split(y)
            estimator = clone(self.estimator).fit(
                _safe_indexing(X, training),
                y[training],
                **_check_method_params(X, routed, indices=training),
            )
        codes = label_codes(
            y[calibration],
            np.asarray(estimator.classes_),
            name="y",
            known="the estimator's classes ",
            way_out=": calibrate with images of these classes",
        )
        proba = np.asarray(estimator.predict_proba(_safe_indexing(X, calibration)))
        self.estimator_, self.classes_ = estimator, np.asarray(estimator.classes_)
        self.scores_ = _nonconformity(proba, self.method)[np.arange(len(codes)), codes]
        self.codes_ = codes
        self._calibrated_by = self.method
        unlimited = self.classes_[np.isinf(self.thresholds_)]
        if len(unlimited):
            warnings.warn(
                f"{len(codes)} images are too few for a confidence of {self.confidence} in "
                f"{unlimited.tolist()}: every set contains these. Calibrate with more images, or "
                "decrease the confidence.",
                UserWarning,
                stacklevel=2,
            )
        return self

    def predict_set(self, X: Any) -> np.ndarray:
        """Predict sets of labels.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of bool, shape (n, n_classes)
            Columns in the order of `classes_`: ``classes_[sets[0]]`` is the set of the first
            image.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `method` was changed after `fit`.
        """
        return _nonconformity(self.predict_proba(X), self.method) <= self.thresholds_

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class with the estimator.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._fitted().predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities with the estimator.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return np.asarray(self._fitted().predict_proba(X))

    def set_score(self, X: Any, y: Any) -> PredictionSetScore:
        """Compute coverage and size of the sets; `score` is the accuracy of `predict`.

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
            If the number of labels is not the number of images.
        """
        return prediction_set_score(y, self.predict_set(X), labels=self.classes_.tolist())

    @property
    def thresholds_(self) -> np.ndarray:
        """The largest score of a label in a set, for each class.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `method` was changed after `fit`.
        """
        check_is_fitted(self)
        self._validate_params()  # `confidence` may have been changed
        if self.method != self._calibrated_by:
            raise ValueError(
                f"method={self.method!r}, but it was calibrated with {self._calibrated_by!r}: call "
                "fit again."
            )
        if not self.per_class:
            return np.full(len(self.classes_), _conformal_threshold(self.scores_, self.confidence))
        by_class = (self.scores_[self.codes_ == code] for code in range(len(self.classes_)))
        return np.array([_conformal_threshold(scores, self.confidence) for scores in by_class])

    def _split(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows for fitting and for calibration, stratified if there are enough images."""
        counts = np.unique(y, return_counts=True)[1]
        n_calibration = math.ceil(self.calibration_fraction * len(y))
        smaller_part = min(n_calibration, len(y) - n_calibration)
        stratified = counts.min() >= 2 and smaller_part >= len(counts)
        return train_test_split(
            np.arange(len(y)),
            test_size=self.calibration_fraction,
            stratify=y if stratified else None,
            random_state=check_random_state(self.random_state),
        )


def _nonconformity(y_proba: np.ndarray, method: str) -> np.ndarray:
    """Compute the nonconformity score of each label; small scores are probable labels.

    "lac" is 1 minus the probability, "aps" the sum of all higher probabilities.
    """
    proba = y_proba.astype(np.float64)
    if method == "lac":
        return 1 - proba
    order = np.argsort(-proba, axis=1, kind="stable")
    ordered = np.take_along_axis(proba, order, axis=1)
    sums = np.hstack([np.zeros((len(proba), 1)), np.cumsum(ordered, axis=1)[:, :-1]])
    scores = np.empty_like(proba)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


def _conformal_threshold(scores: np.ndarray, confidence: float) -> float:
    """Return the score that a new true label does not exceed with probability `confidence`.

    It is infinite with too few scores, as a new score may exceed all of them.
    """
    # The tolerance is for rounding errors of the product.
    rank = math.ceil((len(scores) + 1) * confidence - 1e-9)
    return math.inf if rank > len(scores) else float(np.sort(scores)[rank - 1])
