"""Rules that select images of FER2013 and FER+."""

from __future__ import annotations

import numpy as np


def copies(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mask of the images that are also among the others, byte for byte."""
    known = {image.tobytes() for image in others}
    return np.array([image.tobytes() in known for image in images])


def without_slips(votes: np.ndarray) -> np.ndarray:
    """Votes without single ones, which FER+'s authors treat as mistakes."""
    return np.where(votes > 1, votes, 0).astype(int)


def paper_majority(votes: np.ndarray) -> np.ndarray:
    """Mask of rows with a majority by the rule of the FER+ paper (Barsoum et al. 2016).

    Single votes are dropped. The choice with most votes must have more than half of the others, and
    must not be "unknown" or "not a face", the last two of the ten.
    """
    kept = without_slips(votes)
    return (2 * kept.max(axis=1) > kept.sum(axis=1)) & (kept.argmax(axis=1) < 8)
