"""Base classes of estimators: those that take image batches, and wrappers of a classifier."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, TransformerMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted, validate_data

from skfer._images._batch import Images, image_sequence, refuse_encoded, rows_to_images
from skfer._utils import DocLinkMixin


class ImageEstimator(DocLinkMixin, BaseEstimator):
    """Base of the estimators of images."""

    def _images(self, X: Any, *, reset: bool) -> Images:
        """Return the images of `X`; `reset` is True in `fit`."""
        if is_table(X):
            _refuse_images_in_cells(X)
            return rows_to_images(validate_data(self, X, reset=reset, dtype="numeric"))
        if reset:
            # Attributes of an earlier fit on a table, which validate_data would compare.
            self.__dict__.pop("n_features_in_", None)
            self.__dict__.pop("feature_names_in_", None)
        return image_sequence(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def as_images(X: Any) -> Images:
    """Return the images of an argument of a function, which may be a table of flat rows."""
    return ImageEstimator()._images(X, reset=True)


class ImageTransformerMixin(TransformerMixin):
    """Mixin of transformers that return images and learn nothing."""

    _returns_dense = True  # False if they return an array of objects

    def __init_subclass__(cls, auto_wrap_output_keys: Any = None, **kwargs: Any) -> None:
        # Images are not wrapped in a table, although there are feature names.
        super().__init_subclass__(auto_wrap_output_keys=auto_wrap_output_keys, **kwargs)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the name of the only output, the image.

        Later steps that compute features have names of their own.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of object, shape (1,)
        """
        return np.array(["image"], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the output container; images are returned unchanged.

        Later steps that compute features, such as `skfer.HOGDescriptor`, return the table. With
        "pandas", the images of a Series with an index other than 0 to n - 1 are returned as a
        Series with that index, which a `ColumnTransformer` needs.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Container of tables.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `transform` is none of these.
        """
        known = (None, "default", "pandas", "polars")
        if transform not in known:
            raise ValueError(f"transform={transform!r} must be one of {known}.")
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def _indexed(self, images: np.ndarray, X: Any) -> Any:
        """Return images with the index of the Series they come from, if pandas is asked for."""
        index = getattr(X, "index", None)
        own = getattr(self, "_sklearn_output_config", {})
        container = own.get("transform", get_config()["transform_output"])
        if container != "pandas" or not hasattr(X, "iloc") or index is None:
            return images
        if list(index) == list(range(len(images))):
            return images
        import pandas as pd

        return pd.Series(list(images), index=index)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"] if self._returns_dense else []
        return tags


class ClassifierWrapper(DocLinkMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Base class of classifiers that delegate `fit` and prediction to `estimator`."""

    estimator: Any
    estimator_: Any
    _abstains = False

    @property
    def n_features_in_(self) -> int:
        """Number of features, if the estimator has it."""
        return self._fitted().n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, if the estimator has them."""
        return self._fitted().feature_names_in_

    def _fitted(self) -> Any:
        """Return the fitted estimator."""
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of the parameters of `fit` to the estimator, and of `score`.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping().add(callee="fit", caller="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags


def is_table(X: Any) -> bool:
    """Return whether `X` is a table of flat rows."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and _is_row(X[0])
    if not hasattr(X, "ndim") and hasattr(X, "__array__"):
        X = np.asarray(X)
    return getattr(X, "ndim", None) == 2


def _is_row(item: Any) -> bool:
    """Return whether an item of a list is a row of numbers, and not an image."""
    if isinstance(item, list | tuple):
        return not item or not (isinstance(item[0], list | tuple) or np.ndim(item[0]) > 0)
    return getattr(item, "ndim", None) == 1 and not isinstance(item, memoryview)


def _refuse_images_in_cells(X: Any) -> None:
    if isinstance(X, list | tuple):
        refuse_encoded(X[0])
    cells = np.asarray(X[:1] if isinstance(X, list | tuple) else X)
    if cells.dtype.kind not in "OUS" or cells.size == 0:
        return
    cell = cells.flat[0]
    if isinstance(cell, str | bytes | os.PathLike | np.ndarray):
        raise ValueError(
            f"X is a table whose first cell is of type {type(cell).__name__}, where a batch of "
            "images is expected: give the column itself, such as df['path']."
        )
