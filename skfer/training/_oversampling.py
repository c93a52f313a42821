"""Smaller classes as large as the largest, by images that are seen again."""

from __future__ import annotations

import numpy as np


def oversampled(codes: np.ndarray, share: float) -> np.ndarray:
    """Places of all images, with those of smaller classes repeated up to a share of the largest."""
    counts = np.bincount(codes)
    fewest = round(share * counts.max())
    return np.concatenate(
        [
            np.resize(np.flatnonzero(codes == code), max(counts[code], fewest))
            for code in np.flatnonzero(counts)
        ]
    )
