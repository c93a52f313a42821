"""A Keras network as a list of layers, each with where its input comes from; and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from skfer.persistence._layers import LAYERS, MERGING, layer_settings, new_layer

_MODELS = ("Functional", "Sequential")
_DEEPEST = 8  # models inside models
_MOST_LAYERS = 5000
# Numbers that a layer may make of one image: some ten times what networks make of a large photo.
_MOST_OUTPUTS = 2**28
# The one operation among the layers: outputs in another order, as `from_keras` puts them.
_TAKE = "Take"

Keep = Callable[[np.ndarray], int]


def describe(network: keras.Model, keep: Keep) -> dict[str, Any]:
    """Layers and how they hang together, as plain data.

    Parameters
    ----------
    network : keras.Model
    keep : callable
        Takes an array and says by which number it is found again.

    Raises
    ------
    ValueError
        If a layer is none that a file may hold; it is named.
    """
    kind = type(network).__name__
    if type(network) is keras.Sequential:
        layers = [_described(layer, None, keep) for layer in network.layers]
        shape = list(network.input_shape[1:])
        return {"class": kind, "name": network.name, "shape": shape, "layers": layers}
    if kind not in _MODELS:
        raise ValueError(f"{network.name!r} is a model of a class of its own, {kind}")
    config = network.get_config()
    own = {layer.name: layer for layer in network.operations}
    layers = [_described(own[entry["name"]], entry, keep) for entry in config["layers"]]
    ends = {key: _one_name(config[f"{key}_layers"]) for key in ("input", "output")}
    return {"class": kind, "name": network.name, "layers": layers, **ends}


def _described(layer: Any, entry: dict[str, Any] | None, keep: Keep) -> dict[str, Any]:
    kind = type(layer).__name__
    described: dict[str, Any] = {"name": layer.name}
    if entry is not None:
        described |= _call_of(entry)
    if isinstance(layer, keras.Model):
        return described | {"model": describe(layer, keep)}
    if isinstance(layer, keras.layers.InputLayer):
        shape = list(layer.batch_shape[1:])
        return described | {"class": "InputLayer", "shape": shape, "dtype": str(layer.dtype)}
    if kind == _TAKE and entry is not None:
        indices = [int(index) for index in entry["inbound_nodes"][0]["args"][1]]
        return described | {"class": _TAKE, "indices": indices, "axis": int(layer.axis)}
    if kind not in LAYERS or type(layer).__module__.partition(".")[0] != "keras":
        raise ValueError(f"its layer {layer.name!r} is a {kind}, none of Keras's simple layers")
    try:
        settings = layer_settings(layer.get_config(), kind)
    except ValueError as error:
        raise ValueError(f"its layer {layer.name!r} ({kind}): {error}") from error
    weights = [keep(array) for array in layer.get_weights()]
    return described | {"class": kind, "settings": settings, "weights": weights}


def _call_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Where a layer's input comes from, and whether it was called as in training."""
    nodes = entry["inbound_nodes"]
    if not nodes:
        return {"from": []}
    if len(nodes) > 1:
        raise ValueError(f"its layer {entry['name']!r} is used in {len(nodes)} places")
    (node,) = nodes
    sources = [_source(tensor, entry) for tensor in _tensors(node["args"][0])]
    training = node["kwargs"].get("training")
    return {"from": sources} | ({} if training is None else {"training": bool(training)})


def _tensors(argument: Any) -> Iterator[Any]:
    yield from argument if isinstance(argument, list | tuple) else [argument]


def _source(tensor: Any, entry: dict[str, Any]) -> str:
    history = tensor["config"]["keras_history"] if isinstance(tensor, dict) else None
    if history is None or tuple(history[1:]) != (0, 0):
        raise ValueError(f"its layer {entry['name']!r} takes what is no output of one other layer")
    return history[0]


def _one_name(ends: Any) -> str:
    """The one input or output of a model."""
    if len(ends) == 3 and isinstance(ends[0], str):
        return ends[0]
    if len(ends) == 1:
        return ends[0][0]
    raise ValueError(f"it has {len(ends)} inputs or outputs")


def build(description: dict[str, Any], arrays: Sequence[np.ndarray]) -> keras.Model:
    """The network that `describe` took apart.

    Room is made only for weights whose arrays are there; what a layer wants beyond is an error.

    Raises
    ------
    ValueError
        If the description is of no network that can be built.
    """
    try:
        return _Builder(arrays).model(description, 0)
    except Exception as error:  # Keras and TensorFlow raise whatever they do
        raise ValueError(f"its network can't be built: {error}") from error


class _Builder:
    def __init__(self, arrays: Sequence[np.ndarray]):
        self._arrays = arrays
        self._n_layers = 0

    def model(self, description: dict[str, Any], depth: int) -> keras.Model:
        if depth > _DEEPEST:
            raise ValueError(f"it has models inside models more than {_DEEPEST} deep")
        if description["class"] == "Sequential":
            return self._sequential(description, depth)
        if description["class"] != "Functional":
            raise ValueError(f"{description['class']!r} is none of {_MODELS}")
        tensors: dict[str, Any] = {}
        for entry in description["layers"]:
            if entry["name"] in tensors:
                raise ValueError(f"two of its layers are called {entry['name']!r}")
            if entry.get("class") == "InputLayer":
                tensors[entry["name"]] = self._input(entry)
                continue
            sources = [tensors[name] for name in entry["from"]]
            tensors[entry["name"]] = self._called(entry, sources, depth)
        ends = (tensors[description[key]] for key in ("input", "output"))
        return keras.Model(*ends, name=description["name"])

    def _sequential(self, description: dict[str, Any], depth: int) -> keras.Model:
        start = keras.Input(tuple(_sides(description["shape"])))
        model = keras.Sequential([start], name=description["name"])
        for entry in description["layers"]:
            layer, arrays = self._layer(entry, depth)
            model.add(layer)
            _give(layer, arrays, entry)
            _refuse_size(layer.output, entry)
        return model

    def _input(self, entry: dict[str, Any]) -> Any:
        start = keras.Input(tuple(_sides(entry["shape"])), dtype=entry["dtype"], name=entry["name"])
        _refuse_size(start, entry)
        return start

    def _called(self, entry: dict[str, Any], sources: list[Any], depth: int) -> Any:
        if entry.get("class") == _TAKE:
            indices = [int(index) for index in entry["indices"]]
            result = keras.ops.take(*sources, indices, axis=int(entry["axis"]))
        else:
            layer, arrays = self._layer(entry, depth)
            several = entry.get("class") in MERGING or len(sources) > 1
            given = sources if several else sources[0]
            training = {"training": bool(entry["training"])} if "training" in entry else {}
            result = layer(given, **training)
            _give(layer, arrays, entry)
        _refuse_size(result, entry)
        return result

    def _layer(self, entry: dict[str, Any], depth: int) -> tuple[Any, list[np.ndarray]]:
        self._n_layers += 1
        if self._n_layers > _MOST_LAYERS:
            raise ValueError(f"it has more than {_MOST_LAYERS} layers")
        if "model" in entry:
            return self.model(entry["model"], depth + 1), []
        arrays = [self._arrays[place] for place in entry["weights"]]
        settings = entry["settings"] | {"name": entry["name"]}
        return new_layer(entry["class"], settings, [array.shape for array in arrays]), arrays


def _give(layer: Any, arrays: list[np.ndarray], entry: dict[str, Any]) -> None:
    if "model" in entry:
        return
    layer.set_weights(arrays)
    # The layer is copied by its configuration, in which nothing of skfer's may stand.
    for name in [name for name in vars(layer) if name.endswith("_initializer")]:
        setattr(layer, name, keras.initializers.Zeros())


def _sides(shape: list[Any]) -> list[int | None]:
    return [None if side is None else int(side) for side in shape]


def _refuse_size(tensor: Any, entry: dict[str, Any]) -> None:
    size = math.prod(side or 1 for side in tensor.shape[1:])
    if size > _MOST_OUTPUTS:
        raise ValueError(f"its layer {entry['name']!r} makes {size:,} numbers of one image")
