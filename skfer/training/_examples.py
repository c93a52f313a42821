"""What a fit learns from, or is watched with: images and what is to be said of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skfer.training._batches import PickedImages


class Examples(NamedTuple):
    """Images, the code of each one's label, and what the network should say of them.

    Attributes
    ----------
    images : ndarray or PickedImages of shape (n, height, width, channels)
    codes : ndarray of shape (n,) or None
        Numbers have none.
    targets : ndarray of shape (n,) or (n, n_outputs)
        The codes, shares of the classes, or numbers to be estimated.
    weights : ndarray of shape (n,) or None
        Of each image in the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import Examples
    >>> codes = np.array([0, 1, 1])
    >>> examples = Examples(np.zeros((3, 48, 48, 1), np.uint8), codes, targets=codes)
    >>> examples.take(np.array([0, 2])).targets.tolist()
    [0, 1]
    """

    images: Any
    codes: np.ndarray | None
    targets: np.ndarray
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Examples:
        """Some of the examples; their images are not copied.

        Parameters
        ----------
        rows : ndarray of shape (k,) of int

        Returns
        -------
        skfer.training.Examples
        """
        codes, weights = (
            None if array is None else array[rows] for array in (self.codes, self.weights)
        )
        return Examples(PickedImages(self.images, rows), codes, self.targets[rows], weights)

    def scaled_weights(self, rows: np.ndarray | None = None) -> Examples:
        """Bring the weights to a mean of 1, so that their scale changes no step of a training.

        Parameters
        ----------
        rows : ndarray of shape (k,) of int, or None
            The images of an epoch, over which the mean is taken; None is each once.

        Returns
        -------
        skfer.training.Examples
            Without weights, if all of them are equal.
        """
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        # By the largest first: the sum of very large weights would be infinite.
        weights = self.weights.astype(np.float64) / self.weights.max()
        mean = (weights if rows is None else weights[rows]).mean()
        return self._replace(weights=(weights / mean).astype(np.float32))

    def batches_of(self) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """What goes through the input pipeline.

        Returns
        -------
        images, targets, weights
        """
        return self.images, self.targets, self.weights
