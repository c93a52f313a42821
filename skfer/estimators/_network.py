"""Networks of estimators, from parameters, Keras models and trained weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
from sklearn.frozen import FrozenEstimator

from skfer._images._pixel_range import PixelRange
from skfer._inference import OnnxNetwork
from skfer._pipelines import flat_steps
from skfer._utils import page
from skfer.networks import build_network
from skfer.networks._copies import copy_network, has_strided_pointwise
from skfer.networks._keras_file import image_model, is_model, load_model_file, model_name
from skfer.networks._layers import all_layers
from skfer.networks._registry import DEFAULT_NETWORK
from skfer.weights import list_weights, read_model, read_record

Weights: TypeAlias = str | os.PathLike | FrozenEstimator


def resolve_network(estimator: Any) -> tuple[Any, dict[str, Any]]:
    """Return the network of an estimator and its options, given by parameters or `weights`."""
    options = {"dropout": estimator.dropout, "activation": estimator.activation}
    params = estimator.network_params or {}
    twice = sorted(set(params) & {name for name in options if options[name] is not None})
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice: by itself and in network_params.")
    weights = estimator.weights
    if isinstance(weights, str) and weights == "imagenet":
        options["weights"] = weights
    options |= params
    record = None if weights is None else _record(weights)
    if estimator.network is not None and (record is None or record.network != estimator.network):
        return estimator.network, options
    if weights is None:
        return DEFAULT_NETWORK, options
    network, own = network_of_weights(weights)
    return network, own | {name: value for name, value in options.items() if value is not None}


def build_body(
    network: Any, options: dict[str, Any], image_shape: tuple[int, int, int], n_outputs: int
) -> keras.Model:
    """Build a network from a name or a function, without the scaling of pixels."""
    body = build_network(network, image_shape, n_outputs, **options)
    if not isinstance(body, keras.Model):
        if body is None:
            returned = "None (a return is missing)"
        elif isinstance(body, keras.KerasTensor):
            returned = "a tensor, the outputs without the model"
        elif isinstance(body, type):
            returned = f"the class {body.__name__}"
        else:
            returned = f"a {type(body).__name__}"
        raise ValueError(
            f"The network {network!r} returned {returned}; it must return a "
            "keras.Model, such as keras.Model(inputs, outputs)."
        )
    if isinstance(body, keras.Sequential) and not body.built:
        body.build((None, *image_shape))
    body = image_model(body, f"The network {network!r}")
    return copy_network(body) if has_strided_pointwise(body) else body


def body_from_model(
    estimator: Any, n_outputs: int, targets: str, *, new_head: bool
) -> tuple[keras.Model, bool]:
    """Return a copy of the Keras model of an estimator, and whether it keeps the last layer.

    With `new_head`, a model with another number of outputs gets a new last layer.
    """
    network = estimator.network
    name = model_name(network)
    for parameter in ("dropout", "activation", "network_params"):
        if getattr(estimator, parameter) is not None:
            raise ValueError(
                f"{parameter}={getattr(estimator, parameter)!r} has no effect on the saved model "
                f"{name}: leave it at None."
            )
    loaded = not isinstance(network, keras.Model)
    if not loaded and not network.built:
        raise ValueError(f"{name} is not built: give it a keras.Input.")
    model = image_model(load_model_file(network) if loaded else network, name)
    same_head = model.output_shape == (None, n_outputs)
    if not same_head and not (new_head and len(model.output_shape) == 2):
        raise ValueError(
            f"{name} has outputs of shape {model.output_shape}, which is not one for each of the "
            f"{targets}. For labels of your own, fit: {type(estimator).__name__}(network=...)"
            ".fit(X, y) gives the model new outputs."
        )
    if not (loaded and same_head):
        model = copy_network(model, None if same_head else n_outputs)
    return model, same_head


def warn_if_scaled_twice(model: Any, body: keras.Model, pixel_range: Sequence[float]) -> None:
    """Warn if a model has a scaling layer and gets scaled pixels."""
    for layer in all_layers(body):
        divides = isinstance(layer, keras.layers.Rescaling) and np.max(layer.scale) < 0.1
        if divides and max(pixel_range) <= 1:
            warnings.warn(
                f"{model_name(model)} has a scaling layer of its own, {layer.name!r}, and "
                f"pixel_range={pixel_range} scales the images before it: set "
                "pixel_range=(0, 255) if it was trained on such pixels.",
                UserWarning,
                stacklevel=2,
            )


def scaling(pixels: PixelRange, pixel_range: Sequence[float]) -> tuple[float, float]:
    """Return factor and offset from the pixels of a fit to the range of the network."""
    if len(pixel_range) != 2 or not pixel_range[0] < pixel_range[1]:
        raise ValueError(f"pixel_range must be (low, high), such as (0, 1); got {pixel_range!r}.")
    low, high = pixel_range
    factor = (high - low) / (pixels.high - pixels.low)
    return factor, low - pixels.low * factor


def add_scaling(
    body: keras.Model, image_shape: tuple[int, ...], scale: tuple[float, float]
) -> keras.Model:
    """Return a network with a scaling layer before its body."""
    pixels = keras.Input(image_shape, name="pixels")
    factor, offset = scale
    scaled = keras.layers.Rescaling(factor, offset, dtype="float32", name="scaling")(pixels)
    return keras.Model(pixels, body(scaled), name=f"scaled_{body.name}")


def load_weights_into(network: keras.Model, weights: Weights, classes: np.ndarray | None) -> None:
    """Set the weights of a network to trained ones.

    Of the last layer, the outputs of common classes are used; of weights without classes, all if
    their number is the same.
    """
    given, given_classes = _arrays_and_classes(weights)
    own = network.get_weights()
    last = [layer for layer in network.layers if layer.weights][-1]
    n_body = len(own) - len(last.weights)
    if len(given) != len(own) or _shapes(given[:n_body]) != _shapes(own[:n_body]):
        record = _record(weights)
        made_for = "" if record is None else f" ({record.network!r} and {record.image_shape})"
        raise ValueError(
            f"The weights {_name(weights)} belong to another network than {network.name!r}: "
            f"{_first_difference(_shapes(given), _shapes(own))}. The network, its network_params "
            f"and the size of the images must be those the weights were trained with{made_for}. "
            f"See {page('guide/transfer')}"
        )
    head = zip(given[n_body:], own[n_body:], strict=True)
    network.set_weights([*given[:n_body], *_merge_heads(head, given_classes, classes)])


def _merge_heads(
    arrays: Iterator[tuple[np.ndarray, np.ndarray]],
    given_classes: np.ndarray | None,
    classes: np.ndarray | None,
) -> list[np.ndarray]:
    """Return kernel and bias of a last layer, with the given outputs of common classes."""
    if given_classes is None:
        return [given if given.shape == own.shape else own for given, own in arrays]
    if classes is None:
        return [own for _, own in arrays]
    _, source, target = np.intersect1d(given_classes, classes, return_indices=True)
    head = []
    for given, own in arrays:
        merged = own.copy()
        merged[..., target] = given[..., source]
        head.append(merged)
    return head


def network_of_weights(weights: Weights) -> tuple[Any, dict[str, Any]]:
    """Return the network that weights were trained with and its options."""
    if isinstance(weights, FrozenEstimator):
        fitted = _fitted(weights)
        network, options = (getattr(fitted, "_built_with", None) or resolve_network(fitted))[:2]
        if is_model(network):
            raise ValueError(
                f"weights={_name(weights)} holds a network that was given as a Keras model: give "
                "this model, or its path, as network, and leave weights at None."
            )
        return network, {**options, "weights": None}
    record = _record(weights)
    if record is not None:
        return record.network, record.parameters.get("network_params", {})
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
    raise ValueError(_unknown_weights(weights))


def _arrays_and_classes(weights: Weights) -> tuple[list[np.ndarray], np.ndarray | None]:
    if isinstance(weights, FrozenEstimator):
        fitted = _fitted(weights)
        return fitted.network_.get_weights(), getattr(fitted, "classes_", None)
    record = _record(weights)
    if record is not None:
        return OnnxNetwork(read_model(record), record.name).read()[1], np.array(record.classes)
    if not Path(weights).is_file():
        raise ValueError(_unknown_weights(weights))
    return load_model_file(weights).get_weights(), None


def _fitted(weights: FrozenEstimator) -> Any:
    """Return the fitted estimator with a network inside a FrozenEstimator."""
    fitted = flat_steps(weights)[-1]
    if not hasattr(fitted, "network_"):
        raise ValueError(
            f"weights holds a {type(fitted).__name__} that has no fitted network: fit it "
            "first, weights=FrozenEstimator(classifier.fit(X, y))."
        )
    return fitted


def _record(weights: Weights) -> Any:
    """Return the description of weights of the package; None for others."""
    if isinstance(weights, FrozenEstimator) or weights not in list_weights():
        return None
    return read_record(os.fspath(weights))


def _unknown_weights(weights: str | os.PathLike) -> str:
    return (
        f"weights={_name(weights)} is not a file. It may be one of {list_weights()}, the path of "
        "a saved Keras model (.keras or .h5), 'imagenet' for a network of keras.applications, "
        "or a fitted classifier in a sklearn.frozen.FrozenEstimator."
    )


def _name(weights: Weights) -> str:
    if isinstance(weights, FrozenEstimator):
        return f"FrozenEstimator({type(weights.estimator).__name__})"
    return repr(os.fspath(weights))


def _shapes(arrays: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def _first_difference(given: list[tuple[int, ...]], own: list[tuple[int, ...]]) -> str:
    for index, (given_shape, own_shape) in enumerate(zip(given, own, strict=False)):
        if given_shape != own_shape:
            return f"array {index} has the shape {given_shape}, not {own_shape}"
    return f"they are {len(given)} arrays, not {len(own)}"
