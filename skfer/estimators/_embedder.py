"""`ExpressionEmbedder`: what a network makes of a face, as features for other estimators."""

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
    """Turn faces into the activations that a network names the expression from.

    The features are the inputs of the network's last layer: what it has learnt to see, before
    it decides. They serve an SVM, PCA or clustering, alone or beside `HOGDescriptor` and
    `LBPDescriptor` in a `FeatureUnion`.

    Parameters
    ----------
    estimator : FacialExpressionClassifier or FrozenEstimator, default=None
        The classifier whose network is used: it is cloned and fitted in `fit`, unless it comes
        fitted inside a `sklearn.frozen.FrozenEstimator`, which may also hold a Pipeline or a
        search that ends in one. None is ``FacialExpressionClassifier()``.

    Attributes
    ----------
    estimator_ : FacialExpressionClassifier or FrozenEstimator
        The fitted classifier.
    n_features_in_ : int
        Length of the rows, if `X` was flat rows.

    See Also
    --------
    skfer.preprocessing.HOGDescriptor : Orientations of edges, without learning.
    skfer.preprocessing.LBPDescriptor : Textures, without learning.

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
        "estimator": [FacialExpressionClassifier, FrozenEstimator, None],
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
            As in the classifier's own `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or labels are not what they must be, or `estimator` holds another classifier.
        """
        self._validate_params()
        self._images(X, reset=True)
        estimator = FacialExpressionClassifier() if self.estimator is None else self.estimator
        if isinstance(estimator, FrozenEstimator):
            check_is_fitted(estimator)
            self.estimator_ = estimator
        else:
            self.estimator_ = clone(estimator).fit(X, y, sample_weight, votes)
        self._classifier()  # or the error that says what it must be
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Activations of every image.

        Parameters
        ----------
        X : batch of n images
            As the classifier was fitted on.

        Returns
        -------
        ndarray of shape (n, n_features_out), float32

        Raises
        ------
        ValueError
            If an image can't be read, or has not the size and scale of those fitted on.
        """
        check_is_fitted(self, "estimator_")
        *before, classifier = flat_steps(self.estimator_)
        for step in before:
            X = step.transform(X)
        return classifier._embed(X)

    @property
    def _n_features_out(self) -> int:
        return self._classifier()._feature_network().output_shape[-1]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _classifier(self) -> FacialExpressionClassifier:
        classifier = flat_steps(self.estimator_)[-1]
        if not isinstance(classifier, FacialExpressionClassifier):
            raise ValueError(
                f"estimator holds a {type(classifier).__name__}; ExpressionEmbedder takes a "
                "FacialExpressionClassifier, or a Pipeline that ends in one, in a FrozenEstimator."
            )
        return classifier
