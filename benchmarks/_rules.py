"""Rules that select images of FER2013 and FER+."""

from __future__ import annotations

import numpy as np


def copies(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return a mask of the images that are identical to one of the others."""
    known = {image.tobytes() for image in others}
    return np.array([image.tobytes() in known for image in images])


def drop_single_votes(votes: np.ndarray) -> np.ndarray:
    """Set single votes to 0: the authors of FER+ consider them mistakes."""
    return np.where(votes > 1, votes, 0).astype(int)


def paper_majority(votes: np.ndarray) -> np.ndarray:
    """Return a mask of rows with a majority as in the FER+ paper (Barsoum et al. 2016).

    Single votes are dropped. The choice with most votes must have more than half of the others, and
    must not be "unknown" or "not a face", the last two of the ten.
    """
    kept = drop_single_votes(votes)
    return (2 * kept.max(axis=1) > kept.sum(axis=1)) & (kept.argmax(axis=1) < 8)
