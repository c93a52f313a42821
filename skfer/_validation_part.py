"""The part of the training images that is held out, to watch a fit with."""

from __future__ import annotations

import math

import numpy as np
from sklearn.model_selection import train_test_split

from skfer.training import Examples


def held_out(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """What is left to train on, and what is watched; classes are as frequent in both."""
    n_images = len(examples.images)
    _refuse_too_little(fraction, n_images, examples.codes)
    train, watched = train_test_split(
        np.arange(n_images), test_size=fraction, stratify=examples.codes, random_state=seed
    )
    return examples.take(train), examples.take(watched)


def _refuse_too_little(fraction: float, n_images: int, codes: np.ndarray | None) -> None:
    """An error if so large a part holds too few images to watch, or leaves none to train on."""
    n_watched = math.ceil(fraction * n_images)
    if codes is None:
        enough, what = n_watched < n_images, "and leave others to train on"
    else:
        counts = np.unique(codes, return_counts=True)[1]
        enough = counts.min() >= 2 and n_watched >= len(counts)
        what = f"{len(counts)} classes, the smallest of {counts.min()}"
    if not enough:
        raise ValueError(
            f"validation_fraction={fraction:g} of {n_images} images is too little to watch "
            f"{what}: give more images, a larger fraction, or X_val and y_val."
        )
