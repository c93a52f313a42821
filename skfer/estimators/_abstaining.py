"""`AbstainingClassifier`: abstention below a threshold of the probability."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import _raise_for_params, process_routing
from sklearn.utils.validation import check_is_fitted

from skfer._base import ClassifierWrapper
from skfer._labels import label_array
from skfer._utils import shorten
from skfer.metrics import SelectiveScore, selective_score


class AbstainingClassifier(ClassifierWrapper):
    """Classifier that abstains if the largest probability is below a threshold.

    A fitted classifier or Pipeline can be wrapped without a call of `fit`. Otherwise, `fit` fits a
    copy of it.

    Parameters
    ----------
    estimator : classifier or Pipeline with `predict_proba`
        Fitted or not. `fit` does not change an estimator in a `sklearn.frozen.FrozenEstimator`.
    threshold : float, default=0.5
        Smallest probability of an answer, in [0, 1]. `skfer.metrics.threshold_for_coverage` and
        `threshold_for_accuracy` find one. Its meaning depends on the calibration of the
        probabilities.
    abstention_label : str or number, default=None
        Result of `predict` for an abstention. By default "unsure" if the classes are strings. If
        they are numbers, -1, or one less than the smallest class if that is negative. It can't be
        NaN, because scikit-learn's metrics need labels of one type.

    Attributes
    ----------
    estimator_ : estimator
        The fitted copy, after `fit`.
    classes_ : ndarray of shape (n_classes,)
        The classes of the probabilities, without the label of abstention.
    abstention_label_ : str or number
        The label of abstention.
    n_features_in_, feature_names_in_
        Those of the estimator, if it has any.

    See Also
    --------
    sklearn.model_selection.FixedThresholdClassifier : Threshold of a binary classifier.
    skfer.metrics.coverage_curve : Accuracy and coverage of all thresholds.

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
    >>> classifier = AbstainingClassifier(fitted, threshold=0.8)
    >>> classifier.predict([[0.0], [2.4], [5.0]]).tolist()
    ['sad', 'unsure', 'happy']
    >>> classifier.selective_score([[0.0], [2.4], [5.0]], ["sad", "sad", "happy"])
    SelectiveScore(accuracy=1.0, coverage=0.666...)
    """

    _abstains = True
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

    # The estimator validates its own parameters.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> AbstainingClassifier:
        """Fit a copy of the estimator.

        Parameters
        ----------
        X : batch of n images, or whatever the estimator takes
        y : array-like of shape (n,)
        **params : dict
            Parameters that the estimator's `fit` requested. They need metadata routing:
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range, `abstention_label` does not suit the classes, or
            `params` are given without metadata routing.
        """
        _raise_for_params(params, self, None)
        if y is not None:
            label_array(y)
        routed = process_routing(self, "fit", **params)
        fitted = clone(self.estimator).fit(X, y, **routed.estimator.fit)
        self._lookup(fitted.classes_)  # validates abstention_label
        self.estimator_ = fitted
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class, or abstain.

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
            If a parameter is out of range, or `abstention_label` does not suit the classes.
        """
        labels = self._lookup(self.classes_)
        proba = self.predict_proba(X)
        answered = proba.max(axis=1) >= self.threshold
        return labels[np.where(answered, proba.argmax(axis=1), proba.shape[1])]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities with the estimator.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`.
        """
        return self._fitted().predict_proba(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy; an abstention is an error.

        Searches and cross-validation can compare this score with that of other classifiers. It is
        at most the accuracy of the estimator; `selective_score` shows the effect of abstention.

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
        """Compute the accuracy of the answers, and their share.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,)

        Returns
        -------
        SelectiveScore
            ``accuracy`` (NaN without answers) and ``coverage``.

        Raises
        ------
        ValueError
            If the number of labels is not the number of images.
        """
        return selective_score(y, self.predict(X), abstention_label=self.abstention_label_)

    @property
    def classes_(self) -> np.ndarray:
        """The classes of the probabilities."""
        return self._fitted().classes_

    @property
    def abstention_label_(self) -> Any:
        """The result of `predict` for an abstention.

        Raises
        ------
        ValueError
            If `abstention_label` does not suit the classes.
        """
        return self._lookup(self.classes_)[-1:].tolist()[0]

    def _fitted(self) -> Any:
        if hasattr(self, "estimator_"):
            return self.estimator_
        try:
            check_is_fitted(self.estimator)
        except NotFittedError:
            check_is_fitted(self, "estimator_")
        return self.estimator

    def _lookup(self, classes: np.ndarray) -> np.ndarray:
        """Validate the parameters, and return the classes followed by the label of abstention."""
        self._validate_params()  # a fitted classifier can be wrapped without `fit`
        label = self.abstention_label
        strings = all(isinstance(name, str) for name in classes)
        if label is None:
            label = "unsure" if strings else min(-1, int(classes.min()) - 1)
        elif isinstance(label, str) != strings:
            kind, example = ("strings", "'unsure'") if strings else ("numbers", "-1")
            raise ValueError(
                f"abstention_label={shorten(label)}, but the classes are {kind}: "
                f"{shorten(classes.tolist())}. Use a label of the same type, such as {example}, or "
                "None."
            )
        if label != label or label in classes.tolist():
            raise ValueError(
                f"abstention_label={shorten(label)} must not be NaN or one of the classes "
                f"{shorten(classes.tolist())}."
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
