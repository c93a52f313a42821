"""Hand-crafted image descriptors: HOG and LBP."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skfer._base import ImageEstimator
from skfer._images._batch import Images, image_name, to_gray
from skfer._images._pixel_range import PixelRange
from skfer._utils import import_extra
from skfer.preprocessing._image_resizer import validate_size

# Gray values are quantised to at most this many levels: finer than a camera's resolution, and
# coarse enough that equal pixels stay equal after rounding.
_MAX_LEVELS = 2**16
# Limits for one image.
_MAX_PIXELS = 2**26
_MAX_FEATURES = 10_000_000

# Number of patterns of a method, by the number of points.
_N_PATTERNS = {
    "nri_uniform": lambda n_points: n_points * (n_points - 1) + 3,
    "uniform": lambda n_points: n_points + 2,
    "default": lambda n_points: 2**n_points,
}


class _BaseDescriptor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ImageEstimator):
    """Base of descriptors that compute a fixed number of features of each image."""

    _parameter_constraints: dict[str, list[Any]] = {"n_jobs": [Integral, None]}

    n_jobs: int | None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> _BaseDescriptor:
        """Learn the size of the images, which determines the number of features.

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
            If a parameter is out of range, or `X` is not a batch of images.
        ImportError
            If scikit-image is not installed.
        """
        first = _gray(self._images(X, reset=True)[0])
        self._n_features_out = len(self._row(first))
        self.image_shape_ = first.shape
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the features of every image.

        Parameters
        ----------
        X : batch of n images
            Gray or RGB images of the height and width seen in `fit`, uint8 or floats.

        Returns
        -------
        ndarray of shape (n, n_features), float32

        Raises
        ------
        ValueError
            If an image can't be read, or its size differs from that in `fit`. The message names
            its index and path.
        """
        check_is_fitted(self)
        images = self._images(X, reset=False)
        parallel = Parallel(n_jobs=self.n_jobs)
        return np.stack(parallel(delayed(self._row)(gray) for gray in self._grays(images)))

    def _grays(self, images: Images) -> Iterator[np.ndarray]:
        """Yield the images as gray floats, and check their size."""
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
        height, width = map(max, zip(gray.shape, self._min_size(), strict=True))
        n_features = self._n_features(height, width)
        if height * width > _MAX_PIXELS or n_features > _MAX_FEATURES:
            raise ValueError(
                f"{self!r} would compute {n_features:,} features of an image of {height:,} x "
                f"{width:,} pixels; the limits are {_MAX_PIXELS:,} pixels and "
                f"{_MAX_FEATURES:,} features."
            )
        if gray.shape != (height, width):
            gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_LINEAR)
        return self._describe(_quantize(gray)).astype(np.float32)

    def _min_size(self) -> tuple[int, int]:
        """Return the smallest height and width; smaller images are enlarged."""
        raise NotImplementedError

    def _n_features(self, height: int, width: int) -> int:
        """Return the number of features of an image of that size."""
        raise NotImplementedError

    def _describe(self, image: np.ndarray) -> np.ndarray:
        """Return the features of an image ``(height, width)`` of integers."""
        raise NotImplementedError

    def _skimage_feature(self) -> Any:
        """Import `skimage.feature`; an `ImportError` names the extra to install."""
        return import_extra("skimage.feature", type(self).__name__, "features")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class HOGDescriptor(_BaseDescriptor):
    """Describe images by histograms of oriented gradients (HOG).

    Each cell of the image has a histogram of gradient orientations, weighted by magnitude [1]_.
    The histograms of neighbouring cells form a block and are normalised together, which reduces
    the influence of light. Blocks overlap, with a stride of one cell.

    Requires scikit-image: ``pip install "skfer[features]"``.

    Parameters
    ----------
    orientations : int, default=8
        Number of histogram bins. They cover 180 degrees: the sign of a gradient is ignored.
    pixels_per_cell : int or (int, int), default=6
        Side of a cell, or height and width, in pixels. Incomplete cells at the right and bottom
        edges are left out.
    cells_per_block : int or (int, int), default=2
        Side of a block, or height and width, in cells.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2-Hys"
        Normalisation of a block. "L2-Hys" clips the values at 0.2 and normalises again.
    n_jobs : int, default=None
        Number of processes; -1 means one for each core. None means 1, unless
        `joblib.parallel_config` sets another number.

    Attributes
    ----------
    image_shape_ : tuple of int
        Height and width of the images.
    n_features_in_ : int
        Length of the rows, if `X` was a 2-D table in `fit`.

    Notes
    -----
    An image of r x c cells has ``(r - b + 1) * (c - b + 1) * b * b * orientations`` features
    with blocks of b x b cells: 1568 for 48 x 48 pixels and the defaults. Images smaller than
    one block are enlarged to it.

    RGB is converted to gray with the weights of ITU-R BT.601. uint8 images and floats in [0, 1]
    or [0, 255] give the same features.

    References
    ----------
    .. [1] Dalal, N. & Triggs, B. (2005). Histograms of oriented gradients for human detection.
       CVPR, 886-893. https://doi.org/10.1109/CVPR.2005.177

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.preprocessing import HOGDescriptor
    >>> HOGDescriptor().fit_transform(make_faces(60, random_state=0).images).shape
    (60, 1568)
    """

    _parameter_constraints = {
        **_BaseDescriptor._parameter_constraints,
        "orientations": [Interval(Integral, 1, None, closed="left")],
        "pixels_per_cell": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "cells_per_block": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "block_norm": [StrOptions({"L1", "L1-sqrt", "L2", "L2-Hys"})],
    }

    def __init__(
        self,
        orientations: int = 8,
        *,
        pixels_per_cell: int | tuple[int, int] = 6,
        cells_per_block: int | tuple[int, int] = 2,
        block_norm: str = "L2-Hys",
        n_jobs: int | None = None,
    ):
        self.orientations = orientations
        self.pixels_per_cell = pixels_per_cell
        self.cells_per_block = cells_per_block
        self.block_norm = block_norm
        self.n_jobs = n_jobs

    def _min_size(self) -> tuple[int, int]:
        cell, block = self._cell(), self._block()
        return cell[0] * block[0], cell[1] * block[1]

    def _n_features(self, height: int, width: int) -> int:
        cell, block = self._cell(), self._block()
        n_blocks = (height // cell[0] - block[0] + 1) * (width // cell[1] - block[1] + 1)
        return n_blocks * block[0] * block[1] * self.orientations

    def _describe(self, image: np.ndarray) -> np.ndarray:
        return self._skimage_feature().hog(
            image,
            orientations=self.orientations,
            pixels_per_cell=self._cell(),
            cells_per_block=self._block(),
            block_norm=self.block_norm,
        )

    def _cell(self) -> tuple[int, int]:
        return validate_size(self.pixels_per_cell, "pixels_per_cell")

    def _block(self) -> tuple[int, int]:
        return validate_size(self.cells_per_block, "cells_per_block")


class LBPDescriptor(_BaseDescriptor):
    """Describe images by histograms of local binary patterns (LBP).

    The pattern of a pixel is the set of points on a circle around it that are at least as bright
    [1]_. Each cell of a grid has a histogram of patterns. A brightness offset changes no pattern.
    The defaults follow [2]_.

    Requires scikit-image: ``pip install "skfer[features]"``.

    Parameters
    ----------
    n_points : int, default=8
        Number of points on the circle, from 1 to 24.
    radius : float, default=2
        Radius of the circle, in pixels. Edge pixels are repeated beyond the image.
    method : {"nri_uniform", "uniform", "default"}, default="nri_uniform"
        Set of patterns, by scikit-image's names. "nri_uniform": patterns whose bright points are
        contiguous, by their number and position, plus one pattern for all others;
        ``n_points * (n_points - 1) + 3`` patterns. "uniform": the same by number only, invariant
        to rotation; ``n_points + 2`` patterns. "default": all ``2 ** n_points`` patterns.
    grid : int or (int, int), default=(6, 6)
        Rows and columns of cells. Cells differ by at most one pixel in height and width.
    n_jobs : int, default=None
        Number of processes; -1 means one for each core. None means 1, unless
        `joblib.parallel_config` sets another number.

    Attributes
    ----------
    image_shape_ : tuple of int
        Height and width of the images.
    n_features_in_ : int
        Length of the rows, if `X` was a 2-D table in `fit`.

    Notes
    -----
    There are ``rows * columns * patterns`` features, 2124 by default, ordered by row of cells,
    cell and pattern. Each is the fraction of a cell's pixels with that pattern, so the features
    of a cell sum to 1. Images with fewer rows or columns of pixels than the grid are enlarged.

    RGB is converted to gray with the weights of ITU-R BT.601. uint8 images and floats in [0, 1]
    or [0, 255] give the same features.

    References
    ----------
    .. [1] Ojala, T., Pietikäinen, M. & Mäenpää, T. (2002). Multiresolution gray-scale and
       rotation invariant texture classification with local binary patterns. IEEE Transactions
       on Pattern Analysis and Machine Intelligence, 24(7), 971-987.
       https://doi.org/10.1109/TPAMI.2002.1017623
    .. [2] Shan, C., Gong, S. & McOwan, P. W. (2009). Facial expression recognition based on
       local binary patterns: a comprehensive study. Image and Vision Computing, 27(6), 803-816.
       https://doi.org/10.1016/j.imavis.2008.08.005

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.preprocessing import LBPDescriptor
    >>> LBPDescriptor().fit_transform(make_faces(20, random_state=0).images).shape
    (20, 2124)
    """

    _parameter_constraints = {
        **_BaseDescriptor._parameter_constraints,
        "n_points": [Interval(Integral, 1, 24, closed="both")],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "method": [StrOptions(set(_N_PATTERNS))],
        "grid": [Interval(Integral, 1, None, closed="left"), tuple, list],
    }

    def __init__(
        self,
        n_points: int = 8,
        radius: float = 2,
        *,
        method: str = "nri_uniform",
        grid: int | tuple[int, int] = (6, 6),
        n_jobs: int | None = None,
    ):
        self.n_points = n_points
        self.radius = radius
        self.method = method
        self.grid = grid
        self.n_jobs = n_jobs

    def _min_size(self) -> tuple[int, int]:
        return validate_size(self.grid, "grid")

    def _n_features(self, height: int, width: int) -> int:
        return math.prod(validate_size(self.grid, "grid")) * _N_PATTERNS[self.method](self.n_points)

    def _describe(self, image: np.ndarray) -> np.ndarray:
        rows, columns = validate_size(self.grid, "grid")
        height, width = image.shape
        cell_row = np.arange(height) * rows // height
        cell_column = np.arange(width) * columns // width
        cell = cell_row[:, np.newaxis] * columns + cell_column
        n_patterns = _N_PATTERNS[self.method](self.n_points)
        counts = np.bincount(
            (cell * n_patterns + self._patterns(image)).ravel(),
            minlength=rows * columns * n_patterns,
        ).reshape(rows * columns, n_patterns)
        return (counts / counts.sum(axis=1, keepdims=True)).ravel()

    def _patterns(self, image: np.ndarray) -> np.ndarray:
        """Return the pattern number of every pixel, shape (height, width)."""
        height, width = image.shape
        margin = math.ceil(self.radius)
        if (height + 2 * margin) * (width + 2 * margin) > _MAX_PIXELS:
            raise ValueError(
                f"radius={self.radius} enlarges an image of {height:,} x {width:,} pixels to more "
                f"than the limit of {_MAX_PIXELS:,}."
            )
        # Without padding, scikit-image takes pixels outside the image as black.
        patterns = self._skimage_feature().local_binary_pattern(
            np.pad(image, margin, mode="edge"), self.n_points, self.radius, self.method
        )
        return patterns[margin : margin + height, margin : margin + width].astype(np.intp)


def _gray(image: np.ndarray) -> np.ndarray:
    """Return one image as gray floats; uint8 is scaled to [0, 1]."""
    if image.dtype == np.uint8:
        # Scaled before the conversion, which would round uint8 once more than floats.
        image = image.astype(np.float32) / np.float32(255)
    return to_gray(image)


def _quantize(image: np.ndarray) -> np.ndarray:
    """Return gray values as proportional integers from 0, so that equal pixels stay equal."""
    scale = PixelRange.from_images(image)
    levels_per_unit = 255 / (scale.high - scale.low)
    image = image.astype(np.float64) - image.min()
    contrast = image.max()
    if contrast == 0:
        return image.astype(np.int64)
    exponent = math.floor(math.log2(_MAX_LEVELS / (levels_per_unit * contrast)))
    return np.rint(image * (levels_per_unit * 2.0**exponent)).astype(np.int64)
