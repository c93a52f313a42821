"""What annotators said of images, labels and votes, as a classifier takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets

from skfer._documentation import page
from skfer._utils import shorten


def check_labels(y: np.ndarray) -> None:
    """Refuse what are no labels of classes, and images that have none."""
    if y.dtype == object:
        missing = [place for place, label in enumerate(y) if label is None or label != label]
        if missing:
            raise ValueError(
                f"y[{missing[0]}] is {y[missing[0]]!r}: {len(missing)} images have no label. "
                "Leave them out."
            )
    check_classification_targets(y)


def votes_by_class(votes: Any, n_images: int, classes: np.ndarray) -> np.ndarray:
    """The votes on each image, checked, as an array with a column for each class."""
    if hasattr(votes, "columns"):
        votes = _in_order_of(classes.tolist(), votes)
    votes = check_array(votes, input_name="votes")
    expected = (n_images, len(classes))
    if votes.shape != expected:
        raise ValueError(
            f"votes has the shape {votes.shape}, but {n_images} images and the classes "
            f"{shorten(classes.tolist())} need {expected}: a column for each class. Where y "
            f"lacks some of them, the parameter classes names all. See {page('guide/fer2013')}"
        )
    wrong = np.flatnonzero((votes < 0).any(axis=1) | (votes.sum(axis=1) <= 0))
    if len(wrong):
        raise ValueError(
            f"votes[{wrong[0]}] is {shorten(votes[wrong[0]].tolist())}: votes must not be "
            "negative, and every image needs at least one. Leave out images nobody could name."
        )
    return votes


def _in_order_of(classes: list, votes: Any) -> Any:
    """A table of votes whose columns are named by class, whatever their order."""
    names = list(votes.columns)
    if names == list(range(len(names))):  # a table that was given no names
        return votes
    if set(names) != set(classes):
        raise ValueError(
            f"votes has the columns {names}, but the classes are {classes}. Name a column for "
            "each class, or give an array in their order. Where y lacks some of them, the "
            "parameter classes names all."
        )
    return votes[classes]
