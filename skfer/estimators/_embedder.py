"""`ExpressionEmbedder`: features from a network for other estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skfer._base import ImageEstimator
from skfer._pipelines import flat_steps
from skfer.estimators._classifier import FacialExpressionClassifier


class ExpressionEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ImageEstimator):
    """Transform faces to the inputs of the last layer of a network.

    The features can be used by an SVM, PCA or clustering, alone or with those of `HOGDescriptor`
    and `LBPDescriptor` in a `FeatureUnion`.

    Parameters
    ----------
    estimator : FacialExpressionClassifier or FrozenEstimator, default=None
        Classifier whose network is used; `fit` fits a clone. A `sklearn.frozen.FrozenEstimator`
        holds a fitted classifier, or a fitted Pipeline or search that ends in one, and is used as
        it is. None is ``FacialExpressionClassifier()``.

    Attributes
    ----------
    estimator_ : FacialExpressionClassifier or FrozenEstimator
        The fitted classifier.
    n_features_in_ : int
        Number of columns, if `X` was a table of flat images.

    See Also
    --------
    skfer.preprocessing.HOGDescriptor : Histograms of gradients.
    skfer.preprocessing.LBPDescriptor : Local binary patterns.

    References
    ----------
    Donahue, J. et al. (2014). DeCAF: a deep convolutional activation feature for generic visual
    recognition. ICML.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skfer import ExpressionEmbedder, FacialExpressionClassifier
    >>> from skfer.datasets import make_faces
    >>> faces = make_faces(100, classes=["happy", "sad"], random_state=0)
    >>> network = FacialExpressionClassifier("mini_xception", epochs=1, random_state=0)
    >>> svm = make_pipeline(ExpressionEmbedder(network), SVC()).fit(faces.images, faces.labels)
    >>> svm[0].transform(faces.images[:3]).shape
    (3, 128)
    """

    _parameter_constraints: dict = {
        "estimator": [FacialExpressionClassifier, FrozenEstimator, None]
    }

    def __init__(self, estimator: FacialExpressionClassifier | FrozenEstimator | None = None):
        self.estimator = estimator

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, votes: Any = None
    ) -> ExpressionEmbedder:
        """Fit the classifier, unless it is frozen.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,), default=None
            Labels; not needed by a frozen classifier.
        sample_weight : array-like of shape (n,), default=None
        votes : array-like of shape (n, n_classes), default=None
            As in `FacialExpressionClassifier.fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or labels are not valid, or `estimator` holds another classifier.
        """
        self._validate_params()
        self._images(X, reset=True)
        estimator = FacialExpressionClassifier() if self.estimator is None else self.estimator
        if isinstance(estimator, FrozenEstimator):
            check_is_fitted(estimator)
            _classifier_in(estimator)  # validates it
            self.estimator_ = estimator
        else:
            self.estimator_ = clone(estimator).fit(X, y, sample_weight, votes)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of every image.

        Parameters
        ----------
        X : batch of n images
            Of the size and on the scale of the training images.

        Returns
        -------
        ndarray of shape (n, n_features_out), float32

        Raises
        ------
        ValueError
            If an image cannot be read or has another size or scale than the training images.
        """
        check_is_fitted(self, "estimator_")
        *before, classifier = flat_steps(self.estimator_)
        for step in before:
            X = step.transform(X)
        return classifier._embed(X)

    @property
    def _n_features_out(self) -> int:
        return _classifier_in(self.estimator_)._n_features()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _classifier_in(estimator: Any) -> FacialExpressionClassifier:
    """Return the classifier at the end of a fitted estimator."""
    classifier = flat_steps(estimator)[-1]
    if not isinstance(classifier, FacialExpressionClassifier):
        raise ValueError(
            f"estimator holds a {type(classifier).__name__}; ExpressionEmbedder takes a "
            "FacialExpressionClassifier, or a Pipeline that ends in one, in a FrozenEstimator."
        )
    return classifier
