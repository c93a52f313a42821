"""`LBPDescriptor`: histograms of local binary patterns."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skfer.preprocessing._image_descriptor import ImageDescriptor, skimage_feature
from skfer.preprocessing._size_and_color import two_lengths

# Patterns that a method tells apart, by the number of points.
_N_PATTERNS = {
    "nri_uniform": lambda n_points: n_points * (n_points - 1) + 3,
    "uniform": lambda n_points: n_points + 2,
    "default": lambda n_points: 2**n_points,
}


class LBPDescriptor(ImageDescriptor):
    """Describe every image by histograms of its local binary patterns (LBP).

    Points on a circle around each pixel are compared with it; which of them are at least as
    bright as the pixel is its pattern [1]_. A histogram of the patterns is made for each cell of
    a grid, so that it stays known where in the face a texture lies. Making the whole image
    brighter changes no pattern. The defaults are the patterns with which expressions were
    studied first [2]_; on FER2013 a linear classifier does better with them than with the
    smaller radius or the fewer patterns of [1]_.

    It needs scikit-image: ``pip install "skfer[features]"``.

    Parameters
    ----------
    n_points : int, default=8
        Points on the circle, from 1 to 24.
    radius : float, default=2
        Radius of the circle, in pixels. Beyond the edge of the image its outermost pixels go on.
    method : {"nri_uniform", "uniform", "default"}, default="nri_uniform"
        Which patterns are told apart, by scikit-image's names. "nri_uniform": those whose bright
        points lie side by side, by how many they are and where; ``n_points * (n_points - 1) + 3``
        patterns, the last for all others. "uniform": the same by how many they are only, which
        turning the image doesn't change; ``n_points + 2`` patterns. "default": all
        ``2 ** n_points``.
    grid : int or (int, int), default=(6, 6)
        Rows and columns of cells, which differ by a pixel at most in height and in width.
    n_jobs : int, default=None
        Processes that work on the images; -1 is one for each core. None is 1, unless a
        `joblib.parallel_config` says otherwise.

    Attributes
    ----------
    image_shape_ : tuple of int
        Height and width of the images.
    n_features_in_ : int
        Length of the flat rows, if `fit` was given rows.

    See Also
    --------
    HOGDescriptor : The edges instead of the texture.

    Notes
    -----
    There are ``rows * columns * patterns`` features: 2124 by default, cell after cell and row
    after row. Each is the share of a cell's pixels that have the pattern, so those of a cell
    add up to 1. An image with fewer rows or columns of pixels than the grid has is enlarged.

    RGB becomes gray with the weights of ITU-R BT.601. uint8 and floats on [0, 1] or [0, 255] give
    the same features.

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
    >>> from sklearn.pipeline import FeatureUnion
    >>> from skfer.datasets import make_faces
    >>> from skfer.preprocessing import HOGDescriptor, LBPDescriptor
    >>> faces = make_faces(20, random_state=0)
    >>> LBPDescriptor().fit_transform(faces.images).shape
    (20, 2124)
    >>> both = FeatureUnion([("edges", HOGDescriptor()), ("texture", LBPDescriptor())])
    >>> both.fit_transform(faces.images).shape
    (20, 3692)
    """

    _parameter_constraints = {
        **ImageDescriptor._parameter_constraints,
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

    def _smallest_size(self) -> tuple[int, int]:
        return two_lengths(self.grid, "grid")

    def _n_features(self, height: int, width: int) -> int:
        rows, columns = two_lengths(self.grid, "grid")
        return rows * columns * _N_PATTERNS[self.method](self.n_points)

    def _describe(self, image: np.ndarray) -> np.ndarray:
        rows, columns = two_lengths(self.grid, "grid")
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
        """The number of every pixel's pattern, shape (height, width)."""
        height, width = image.shape
        margin = math.ceil(self.radius)
        # Without a margin, all that lies outside would count as black.
        patterns = skimage_feature("LBPDescriptor").local_binary_pattern(
            np.pad(image, margin, mode="edge"), self.n_points, self.radius, self.method
        )
        return patterns[margin : margin + height, margin : margin + width].astype(np.intp)
