"""What the hand-made descriptors share: from a batch of images to one row of numbers each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skfer._base import ImageEstimator
from skfer._extras import import_extra
from skfer._images import Images, image_name
from skfer._pixel_range import PixelRange
from skfer.preprocessing._size_and_color import to_gray

# Gray values are compared in no more than so many levels: finer than what a camera tells apart,
# and coarse enough that rounding makes no difference between pixels that are equal.
_MOST_LEVELS = 2**16


# Limits on the work for one image.
_MAX_PIXELS = 2**26
_MAX_FEATURES = 10_000_000


class ImageDescriptor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ImageEstimator):
    """A fixed number of features of every image; a subclass says which."""

    _parameter_constraints: dict[str, list[Any]] = {"n_jobs": [Integral, None]}

    n_jobs: int | None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> ImageDescriptor:
        """Take the size of the images, which decides the number of features.

        Parameters
        ----------
        X : batch of n images
            Arrays, paths or bytes. Only the first image is read.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or `X` is not what it must be.
        ImportError
            If scikit-image is not installed.
        """
        first = _gray(self._images(X, reset=True)[0])
        self._n_features_out = len(self._row(first))
        self.image_shape_ = first.shape
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe every image.

        Parameters
        ----------
        X : batch of n images
            All of the height and width of those given to `fit`; gray or RGB, uint8 or floats.

        Returns
        -------
        ndarray of shape (n, n_features), float32

        Raises
        ------
        ValueError
            If an image can't be read, or has another size than those of `fit`; its index and
            path are named.
        """
        check_is_fitted(self)
        images = self._images(X, reset=False)
        parallel = Parallel(n_jobs=self.n_jobs)
        return np.stack(parallel(delayed(self._row)(gray) for gray in self._grays(images)))

    def _grays(self, images: Images) -> Iterator[np.ndarray]:
        for index, image in enumerate(images):
            if image.shape[:2] != self.image_shape_:
                raise ValueError(
                    f"{image_name(images, index)} has the size {image.shape[:2]}, but this "
                    f"{type(self).__name__} was fitted on images of {self.image_shape_}. Put an "
                    "ImageResizer or GrayscaleResizer before it."
                )
            yield _gray(image)

    def _row(self, gray: np.ndarray) -> np.ndarray:
        """Return the features of one gray float image."""
        shape = tuple(map(max, zip(gray.shape, self._smallest_size(), strict=True)))
        n_features = self._n_features(*shape)
        if math.prod(shape) > _MAX_PIXELS or n_features > _MAX_FEATURES:
            raise ValueError(
                f"{self!r} would describe an image of {shape[0]:,} x {shape[1]:,} pixels by "
                f"{n_features:,} features; the limits are {_MAX_PIXELS:,} pixels and "
                f"{_MAX_FEATURES:,} features."
            )
        return self._describe(_whole_levels(_enlarged_to(gray, shape))).astype(np.float32)

    def _smallest_size(self) -> tuple[int, int]:
        """Height and width below which there is nothing to describe."""
        raise NotImplementedError

    def _n_features(self, height: int, width: int) -> int:
        """Return the number of features of an image of that size."""
        raise NotImplementedError

    def _describe(self, image: np.ndarray) -> np.ndarray:
        """Return the features of an image ``(height, width)`` of integers."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def skimage_feature(needed_by: str) -> ModuleType:
    """`skimage.feature`; an `ImportError` that says how to get it if it is not installed."""
    return import_extra("skimage.feature", needed_by, "features")


def _gray(image: np.ndarray) -> np.ndarray:
    """One image as gray floats: uint8 as [0, 1], floats as they are."""
    if image.dtype == np.uint8:
        # Before colour is left out, or uint8 would be rounded once more than floats.
        image = image.astype(np.float32) / np.float32(255)
    return to_gray(image)


def _enlarged_to(image: np.ndarray, smallest: tuple[int, int]) -> np.ndarray:
    """The image, stretched along an axis on which it is smaller than it may be."""
    height, width = (max(sides) for sides in zip(image.shape, smallest, strict=True))
    if image.shape == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _whole_levels(image: np.ndarray) -> np.ndarray:
    """Gray values as whole numbers from zero up, in the same proportions.

    Between floats, rounding would decide which of two equal pixels is the brighter one, and to
    which side of a limit between two orientations a diagonal edge belongs. What was uint8 before
    it was divided by 255, or made a float, comes back times a power of two: described alike.
    """
    scale = PixelRange.of(image)
    steps_of_one = 255 / (scale.high - scale.low)
    image = image.astype(np.float64) - image.min()
    contrast = image.max()
    if contrast == 0:
        return image.astype(np.int64)
    doublings = math.floor(math.log2(_MOST_LEVELS / (steps_of_one * contrast)))
    return np.rint(image * (steps_of_one * 2.0**doublings)).astype(np.int64)
