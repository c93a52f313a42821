"""Which images of FER2013 and FER+ a figure is of."""

from __future__ import annotations

import numpy as np


def copies(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which images also stand among the others, byte for byte."""
    known = {image.tobytes() for image in others}
    return np.array([image.tobytes() in known for image in images])


def without_slips(votes: np.ndarray) -> np.ndarray:
    """The votes without single ones, which FER+'s authors take for slips."""
    return np.where(votes > 1, votes, 0).astype(int)


def paper_majority(votes: np.ndarray) -> np.ndarray:
    """Which rows have a majority by the rule of FER+'s authors (Barsoum et al. 2016).

    Single votes are dropped; the choice with most votes must have more than half of those left,
    and be none of the last two of the ten, "unknown" and "not a face".
    """
    kept = without_slips(votes)
    return (2 * kept.max(axis=1) > kept.sum(axis=1)) & (kept.argmax(axis=1) < 8)
