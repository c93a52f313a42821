"""`HOGDescriptor`: histograms of oriented gradients."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skfer.preprocessing._image_descriptor import ImageDescriptor, skimage_feature
from skfer.preprocessing._size_and_color import two_lengths


class HOGDescriptor(ImageDescriptor):
    """Describe every image by histograms of its gradients' orientations (HOG).

    The image is divided into cells. In each, the gradients are counted by their orientation,
    weighted by their strength [1]_. The histograms of neighbouring cells form a block and are
    normalised together, so that light and contrast matter little. Blocks overlap: the next one
    begins one cell further.

    It needs scikit-image: ``pip install "skfer[features]"``.

    Parameters
    ----------
    orientations : int, default=8
        Bins of a histogram; they divide the half circle, for an edge has the same orientation
        whichever of its sides is the bright one.
    pixels_per_cell : int or (int, int), default=6
        Side of a cell, or height and width, in pixels. Pixels at the right and the bottom that
        fill no cell are left out.
    cells_per_block : int or (int, int), default=2
        Side of a block, or height and width, in cells.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}, default="L2-Hys"
        How a block is normalised; "L2-Hys" limits the values to 0.2 and normalises once more.
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
    LBPDescriptor : The texture instead of the edges.

    Notes
    -----
    An image of r x c cells has ``(r - b + 1) * (c - b + 1) * b * b * orientations`` features
    with blocks of b x b cells: 1568 for 48 x 48 pixels and the defaults. An image smaller than
    one block is enlarged to it.

    RGB becomes gray with the weights of ITU-R BT.601. uint8 and floats on [0, 1] or [0, 255] give
    the same features.

    References
    ----------
    .. [1] Dalal, N. & Triggs, B. (2005). Histograms of oriented gradients for human detection.
       CVPR, 886-893. https://doi.org/10.1109/CVPR.2005.177

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skfer.datasets import make_faces
    >>> from skfer.preprocessing import HOGDescriptor
    >>> faces = make_faces(60, random_state=0)
    >>> HOGDescriptor().fit_transform(faces.images).shape
    (60, 1568)
    >>> classifier = make_pipeline(HOGDescriptor(), RidgeClassifier())
    >>> classifier.fit(faces.images, faces.labels).predict(faces.images[:2]).shape
    (2,)
    """

    _parameter_constraints = {
        **ImageDescriptor._parameter_constraints,
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

    def _smallest_size(self) -> tuple[int, int]:
        cell, block = self._cell(), self._block()
        return cell[0] * block[0], cell[1] * block[1]

    def _n_features(self, height: int, width: int) -> int:
        cell, block = self._cell(), self._block()
        n_blocks = (height // cell[0] - block[0] + 1) * (width // cell[1] - block[1] + 1)
        return n_blocks * block[0] * block[1] * self.orientations

    def _describe(self, image: np.ndarray) -> np.ndarray:
        return skimage_feature("HOGDescriptor").hog(
            image,
            orientations=self.orientations,
            pixels_per_cell=self._cell(),
            cells_per_block=self._block(),
            block_norm=self.block_norm,
        )

    def _cell(self) -> tuple[int, int]:
        return two_lengths(self.pixels_per_cell, "pixels_per_cell")

    def _block(self) -> tuple[int, int]:
        return two_lengths(self.cells_per_block, "cells_per_block")
