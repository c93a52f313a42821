"""Votes of annotators as a classifier takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skfer._documentation import page
from skfer._labels import encoding_hint, is_missing
from skfer._utils import shorten


def labels_in_order(classes: Any) -> list[Any]:
    """Return labels in the order of a model's outputs.

    Parameters
    ----------
    classes : sequence or dict
        Labels in this order, or a dict from output to label or from label to output, such as
        Keras's ``class_indices``.

    Raises
    ------
    ValueError
        If there is no order, a label is missing or named twice, or an output has none.
    """
    if isinstance(classes, dict):
        labels = _from_dict(classes)
    elif isinstance(classes, str | bytes | set | frozenset):
        raise ValueError(
            f"classes={shorten(classes)} has no order of labels: give a list, in the order of the "
            "model's outputs."
        )
    else:
        labels = list(classes)
    for place, label in enumerate(labels):
        if is_missing(label):
            raise ValueError(f"classes[{place}] is {shorten(label)}: every output needs a label.")
        if label in labels[:place]:
            raise ValueError(
                f"classes names {shorten(label)} twice: every output needs a label of its own."
            )
    return labels


def _from_dict(classes: dict) -> list[Any]:
    by_output = _is_outputs(classes)
    by_label = _is_outputs(classes.values())
    swapped = {value: key for key, value in classes.items()} if by_label else {}
    if by_output and by_label and swapped != classes:
        # Labels that are numbers: the outputs are those that count from 0 without a gap.
        by_output, by_label = (
            sorted(map(int, side)) == list(range(len(classes)))
            for side in (classes, classes.values())
        )
        if by_output and by_label:
            raise ValueError(
                f"classes={shorten(classes)} can be read as outputs with their labels and as "
                "labels with their outputs: give a list, in the order of the model's outputs."
            )
    if by_output:
        pairs = [(int(output), label) for output, label in classes.items()]
    elif by_label:
        pairs = [(int(output), label) for label, output in classes.items()]
    else:
        raise ValueError(
            f"classes={shorten(classes)} must name outputs by number, as in {{0: 'angry', "
            "1: 'happy'}} or {'angry': 0, 'happy': 1}."
        )
    outputs = sorted(output for output, _ in pairs)
    if outputs != list(range(len(pairs))):
        raise ValueError(
            f"classes={shorten(classes)} names the outputs {outputs}: they must count from 0, each "
            "once."
        )
    return [label for _, label in sorted(pairs, key=lambda pair: pair[0])]


def _is_outputs(values: Iterable[Any]) -> bool:
    """Whether all are whole numbers, or their digits, as the keys of JSON are."""
    return all(
        (isinstance(value, Integral) and not isinstance(value, bool))
        or (isinstance(value, str) and value.isdecimal())
        for value in values
    )


def weights_of_classes(class_weight: Mapping, classes: np.ndarray) -> np.ndarray:
    """Weight of each class from a dict, checked; 1 where the dict lacks a class."""
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(
            f"class_weight has a weight for {shorten(unknown[0])}, which is not one of the "
            f"classes {shorten(labels)}. Where y lacks some labels, the parameter classes names "
            f"all.{encoding_hint(classes, class_weight)}"
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
            raise ValueError(
                f"class_weight[{shorten(label)}] is {shorten(weight)}: a weight must be a finite "
                "number that is not negative."
            )
    weights = np.array([class_weight.get(label, 1.0) for label in labels], np.float64)
    if not weights.any():
        raise ValueError("class_weight is 0 for every class: there is nothing to learn from.")
    return weights / weights.max()


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
            f"parameter classes names all.{encoding_hint(np.asarray(classes), names)}"
        )
    return votes[classes]
