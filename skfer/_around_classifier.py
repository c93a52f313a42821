"""What the classifiers around another classifier share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from skfer._documentation import Documented


class AroundClassifier(Documented, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base of classifiers that hand `fit` and their input on to `estimator`."""

    estimator: Any
    estimator_: Any

    @property
    def n_features_in_(self) -> int:
        """Number of features, if the estimator counts them."""
        return self._fitted().n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, if the estimator knows them."""
        return self._fitted().feature_names_in_

    def _fitted(self) -> Any:
        """The estimator that answers.

        Raises
        ------
        NotFittedError
            If there is none yet; to `hasattr` the attributes above are missing then.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def get_metadata_routing(self) -> MetadataRouter:
        """Parameters of `fit` that go to the estimator.

        Returns
        -------
        MetadataRouter
        """
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(callee="fit", caller="fit"),
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags
