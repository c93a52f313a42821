"""What all estimators share: how a batch of images gets in, and their tags."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from skfer._images import Images, image_sequence, rows_to_images


class ImageEstimator(BaseEstimator):
    """Base of the estimators: takes every form of the image contract."""

    def _images(self, X: Any, *, reset: bool) -> Images:
        """The images of `X`; ``reset`` is True in ``fit``, as in scikit-learn."""
        if _is_table(X):
            return rows_to_images(validate_data(self, X, reset=reset, dtype="numeric"))
        return image_sequence(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _is_table(X: Any) -> bool:
    """Whether `X` is flat rows, which scikit-learn's own validation is for."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and (isinstance(X[0], list | tuple) or getattr(X[0], "ndim", None) == 1)
    if not hasattr(X, "ndim") and hasattr(X, "__array__"):
        X = np.asarray(X)
    return getattr(X, "ndim", None) == 2
