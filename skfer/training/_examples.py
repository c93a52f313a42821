"""What a fit learns from, or is watched with: images and what is to be said of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skfer.training._batches import PickedImages


class Examples(NamedTuple):
    """Images, the code of each one's label, and what the network should say of them.

    `targets` are the codes, or shares of the classes; or numbers to be estimated, which have no
    codes.
    """

    images: Any  # an array, or PickedImages of one
    codes: np.ndarray | None
    targets: np.ndarray
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Examples:
        """Some of the examples; their images are not copied."""
        codes, weights = (
            None if array is None else array[rows] for array in (self.codes, self.weights)
        )
        return Examples(PickedImages(self.images, rows), codes, self.targets[rows], weights)

    def batches_of(self) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """What goes through the input pipeline."""
        return self.images, self.targets, self.weights
