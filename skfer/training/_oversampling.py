"""Smaller classes as large as the largest, by images that are seen again."""

from __future__ import annotations

import numpy as np


def oversampled(codes: np.ndarray, share: float) -> np.ndarray:
    """Places of all images, with those of smaller classes repeated up to a share of the largest.

    Parameters
    ----------
    codes : ndarray of shape (n,) of int
        The class of each image.
    share : float
        How many images of the largest class a smaller one gets at least, in (0, 1].

    Returns
    -------
    ndarray of shape (n_repeated,) of int

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import oversampled
    >>> oversampled(np.array([0, 0, 0, 0, 1]), share=0.5).tolist()
    [0, 1, 2, 3, 4, 4]
    """
    counts = np.bincount(codes)
    fewest = round(share * counts.max())
    return np.concatenate(
        [
            np.resize(np.flatnonzero(codes == code), max(counts[code], fewest))
            for code in np.flatnonzero(counts)
        ]
    )
