"""Weights that a fit starts from: a file's, or those of an estimator fitted before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.frozen import FrozenEstimator

from skfer._documentation import page
from skfer._pipelines import flat_steps
from skfer.networks._keras_file import is_model, load_model_file
from skfer.weights import list_weights, read_record, read_weights


def start_from(
    network: keras.Model,
    weights: str | os.PathLike | FrozenEstimator,
    classes: np.ndarray | None = None,
) -> None:
    """Give a network weights that were trained before.

    Parameters
    ----------
    network : keras.Model
    weights : str, path or FrozenEstimator
        The name of weights that come with the package, a whole Keras model (``.keras`` or
        ``.h5``), or a fitted estimator, of the same network.
    classes : ndarray or None, default=None
        What the network's outputs stand for; None if not for classes. Of a fitted classifier's
        last layer, the outputs for labels that both have are taken; of a regressor's or a file's,
        which know no labels, all or none, by their number.

    Raises
    ------
    ValueError
        If there are no such weights, or they are of another network.
    """
    given, their_classes = _arrays_and_classes(weights)
    own = network.get_weights()
    last = [layer for layer in network.layers if layer.weights][-1]
    n_shared = len(own) - len(last.weights)
    theirs, ours = _shapes(given[:n_shared]), _shapes(own[:n_shared])
    if len(given) != len(own) or theirs != ours:
        raise ValueError(
            f"weights={_name(weights)} are of another network than {network.name!r}: "
            f"{_first_difference(_shapes(given), _shapes(own))}. The network, its network_params "
            "and the size of the images must be those the weights were trained with"
            f"{_made_for(weights)}. See {page('guide/transfer')}"
        )
    if their_classes is None:
        head = [new if new.shape == old.shape else old for new, old in _pairs(given, own, n_shared)]
    elif classes is None:
        head = own[n_shared:]
    else:
        _, known, same = np.intersect1d(their_classes, classes, return_indices=True)
        head = [_outputs(new, known, old, same) for new, old in _pairs(given, own, n_shared)]
    network.set_weights([*given[:n_shared], *head])


def network_of(weights: str | os.PathLike | FrozenEstimator) -> tuple[Any, dict[str, Any]]:
    """Return the network that weights were trained with, and the options it was built with.

    Raises
    ------
    ValueError
        If the weights don't tell: those of a file, or of `keras.applications`.
    """
    if isinstance(weights, FrozenEstimator):
        fitted = _fitted(weights)
        made_with = getattr(fitted, "_made_with", None) or fitted._network_and_options()
        network, options = made_with[:2]
        if is_model(network):
            raise ValueError(
                f"weights={_name(weights)} holds a network that was given as a Keras model: give "
                "this model, or its path, as network, and leave weights at None."
            )
        return network, {**options, "weights": None}
    if weights in list_weights():
        return read_record(os.fspath(weights)).network, {}
    if weights == "imagenet":
        raise ValueError(
            "weights='imagenet' are of the networks of keras.applications: choose one of them, "
            "such as network='vgg16'."
        )
    if Path(weights).is_file():
        raise ValueError(
            f"weights={_name(weights)} is a saved model, which doesn't say by which function its "
            "network is built: give the path as network, and leave weights at None."
        )
    raise ValueError(_no_such_weights(weights))


def _fitted(weights: FrozenEstimator) -> Any:
    """Return the fitted estimator with a network inside a FrozenEstimator."""
    fitted = flat_steps(weights)[-1]
    if not hasattr(fitted, "network_"):
        raise ValueError(
            f"weights holds a {type(fitted).__name__} that has no fitted network: fit it "
            "first, weights=FrozenEstimator(classifier.fit(X, y))."
        )
    return fitted


def _no_such_weights(weights: str | os.PathLike) -> str:
    return (
        f"weights={_name(weights)} is no file. It may be one of {list_weights()}, the path of "
        "a saved Keras model (.keras or .h5), 'imagenet' for a network of keras.applications, "
        "or a fitted classifier in a sklearn.frozen.FrozenEstimator."
    )


def _arrays_and_classes(
    weights: str | os.PathLike | FrozenEstimator,
) -> tuple[list[np.ndarray], np.ndarray | None]:
    if isinstance(weights, FrozenEstimator):
        fitted = _fitted(weights)
        return fitted.network_.get_weights(), getattr(fitted, "classes_", None)
    if weights in list_weights():
        stored = read_weights(weights)
        return stored.arrays, np.array(stored.record.classes)
    if not Path(weights).is_file():
        raise ValueError(_no_such_weights(weights))
    return load_model_file(weights).get_weights(), None


def _pairs(
    given: list[np.ndarray], own: list[np.ndarray], start: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(given[start:], own[start:], strict=True)


def _outputs(
    new: np.ndarray, from_places: np.ndarray, old: np.ndarray, to_places: np.ndarray
) -> np.ndarray:
    """The old kernel or bias of a last layer, with some of its outputs from another."""
    mixed = old.copy()
    mixed[..., to_places] = new[..., from_places]
    return mixed


def _made_for(weights: str | os.PathLike | FrozenEstimator) -> str:
    """What weights that come with the package are made for, for an error."""
    if isinstance(weights, FrozenEstimator) or weights not in list_weights():
        return ""
    record = read_record(os.fspath(weights))
    return f" ({record.network!r} and {record.image_shape})"


def _name(weights: str | os.PathLike | FrozenEstimator) -> str:
    if isinstance(weights, FrozenEstimator):
        return f"FrozenEstimator({type(weights.estimator).__name__})"
    return repr(os.fspath(weights))


def _shapes(arrays: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def _first_difference(theirs: list[tuple[int, ...]], ours: list[tuple[int, ...]]) -> str:
    for place, (their, our) in enumerate(zip(theirs, ours, strict=False)):
        if their != our:
            return f"array {place} has the shape {their}, not {our}"
    return f"they are {len(theirs)} arrays, not {len(ours)}"
