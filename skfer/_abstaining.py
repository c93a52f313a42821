"""`AbstainingClassifier`: no answer rather than an unsure one."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import _raise_for_params, process_routing
from sklearn.utils.validation import check_is_fitted

from skfer._around_classifier import AroundClassifier
from skfer._labels import label_array
from skfer._utils import shorten
from skfer.metrics import SelectiveScore, selective_score


class AbstainingClassifier(AroundClassifier):
    """Answer only where the most probable class is probable enough.

    Around a classifier, or a whole Pipeline, that is fitted already, it predicts at once;
    otherwise `fit` fits a copy of it.

    Parameters
    ----------
    estimator : classifier or Pipeline with `predict_proba`
        Fitted or not. Inside a `sklearn.frozen.FrozenEstimator` it stays as it is in `fit` too.
    threshold : float, default=0.5
        Least probability of an answer, in [0, 1]. `skfer.metrics.threshold_for_coverage` and
        `threshold_for_accuracy` choose one. It means what it says only if the probabilities are
        calibrated.
    abstention_label : str or number, default=None
        What `predict` gives instead of an answer. None is "unsure" where classes are strings, and
        where they are numbers -1, or the next below them if one is that low. It is of one kind with
        the labels so that arrays, tables and metrics take both together, which None or NaN among
        strings would hinder.

    Attributes
    ----------
    estimator_ : estimator
        The fitted copy, after `fit`.
    classes_ : ndarray of shape (n_classes,)
        The labels that have a probability; the label of abstention is none of them.
    abstention_label_ : str or number
        The label of abstention.
    n_features_in_, feature_names_in_
        Those of the estimator, if it has any.

    See Also
    --------
    sklearn.model_selection.FixedThresholdClassifier : The threshold of one of two classes.
    skfer.metrics.coverage_curve : What every threshold would cost.

    References
    ----------
    Chow, C. K. (1970). On optimum recognition error and reject tradeoff. IEEE Transactions on
    Information Theory 16, 41-46.

    Examples
    --------
    >>> from skfer import AbstainingClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["sad", "sad", "happy", "happy"]
    >>> fitted = LogisticRegression().fit(X, y)
    >>> careful = AbstainingClassifier(fitted, threshold=0.8)
    >>> careful.predict([[0.0], [2.4], [5.0]]).tolist()
    ['sad', 'unsure', 'happy']
    >>> careful.selective_score([[0.0], [2.4], [5.0]], ["sad", "sad", "happy"])
    SelectiveScore(accuracy=1.0, coverage=0.666...)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "abstention_label": [str, Real, None],
    }

    def __init__(
        self, estimator: Any, *, threshold: float = 0.5, abstention_label: str | float | None = None
    ):
        self.estimator = estimator
        self.threshold = threshold
        self.abstention_label = abstention_label

    # What lies inside checks its own parameters when it is fitted.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> AbstainingClassifier:
        """Fit a copy of the estimator.

        Parameters
        ----------
        X : batch of n images, or whatever the estimator takes
        y : array-like of shape (n,)
        **params : dict
            Handed to the estimator's `fit`; with metadata routing, what it requested.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range, or `abstention_label` can't stand among the labels.
        """
        _raise_for_params(params, self, None)
        if y is not None:
            label_array(y)
        routed = process_routing(self, "fit", **params)
        self.estimator_ = clone(self.estimator).fit(X, y, **routed.estimator.fit)
        self._lookup()  # a label of abstention that can't be is told now, not at the first photo
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every image, where it is probable enough.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n,)
            Labels from `classes_`, and `abstention_label_` where the highest probability is below
            `threshold`.

        Raises
        ------
        ValueError
            If `abstention_label` can't stand among the labels.
        """
        proba = self.predict_proba(X)
        answered = proba.max(axis=1) >= self.threshold
        return self._lookup()[np.where(answered, proba.argmax(axis=1), proba.shape[1])]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of every class, as the estimator gives it.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`, whether the image would get an answer or not.
        """
        return self._fitted().predict_proba(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the images that are answered, and rightly: an abstention counts as wrong.

        This is scikit-learn's accuracy, so that searches and cross-validation compare it with
        that of other classifiers. It can't be above the estimator's own; what abstention gains is
        told by `selective_score`.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        return super().score(X, y, sample_weight)

    def selective_score(self, X: Any, y: Any) -> SelectiveScore:
        """Accuracy of the answers alone, and the share of the images that get one.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,)

        Returns
        -------
        SelectiveScore
            ``accuracy`` (NaN if no image is answered) and ``coverage``.

        Raises
        ------
        ValueError
            If there are not as many labels as images.
        """
        return selective_score(y, self.predict(X), abstention_label=self.abstention_label_)

    @property
    def classes_(self) -> np.ndarray:
        """The labels that have a probability."""
        return self._fitted().classes_

    @property
    def abstention_label_(self) -> Any:
        """What `predict` gives instead of an answer.

        Raises
        ------
        ValueError
            If `abstention_label` can't stand among the labels.
        """
        return self._lookup()[-1:].tolist()[0]

    def _fitted(self) -> Any:
        if hasattr(self, "estimator_"):
            return self.estimator_
        try:
            check_is_fitted(self.estimator)
        except NotFittedError:
            check_is_fitted(self, "estimator_")
        return self.estimator

    def _lookup(self) -> np.ndarray:
        """The classes and, as the last, the label of abstention, in one array."""
        classes, label = self.classes_, self.abstention_label
        of_strings = all(isinstance(name, str) for name in classes)
        if label is None:
            label = "unsure" if of_strings else min(-1, int(classes.min()) - 1)
        elif isinstance(label, str) != of_strings:
            kind, way_out = ("strings", "'unsure'") if of_strings else ("numbers", "-1")
            raise ValueError(
                f"abstention_label={shorten(label)}, but the classes are {kind}: "
                f"{shorten(classes.tolist())}. Labels of both kinds can't be compared; take one "
                f"like {way_out}, or None."
            )
        if label != label or label in classes.tolist():
            raise ValueError(
                f"abstention_label={shorten(label)} is NaN or one of the classes "
                f"{shorten(classes.tolist())}: an abstention could not be told from an answer. "
                "Choose another label."
            )
        if classes.dtype == object:
            return np.array([*classes, label], dtype=object)
        return np.append(classes, label)

    def __sklearn_is_fitted__(self) -> bool:
        try:
            self._fitted()
        except NotFittedError:
            return False
        return True
