"""Base class of meta-estimators that wrap a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from skfer._utils import Documented


class AroundClassifier(Documented, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base class of classifiers that delegate `fit` and prediction to `estimator`."""

    estimator: Any
    estimator_: Any

    @property
    def n_features_in_(self) -> int:
        """Number of features, if the estimator has it."""
        return self._fitted().n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, if the estimator has them."""
        return self._fitted().feature_names_in_

    def _fitted(self) -> Any:
        """Return the fitted estimator.

        Raises
        ------
        NotFittedError
            If it is not fitted. `hasattr` then returns False for the attributes above.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of the parameters of `fit` to the estimator.

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
