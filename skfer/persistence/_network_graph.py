"""Networks as plain data: lists of layers with their inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from skfer.persistence._layers import LAYERS, MERGING, layer_settings, new_layer

_MODELS = ("Functional", "Sequential")
_MAX_DEPTH = 8  # of nested models
# Limits on a network, for one image. EfficientNetB7 at 224x224x3 has 816 layers, 145 million
# values and 5.4 billion multiply-adds; VGG16 has 3.2 million values in its largest layer.
_MAX_LAYERS = 2000
_MAX_LAYER_VALUES = 2**24
_MAX_VALUES = 2**28
_MAX_MULTIPLY_ADDS = 40_000_000_000
# Operation that sorts outputs, of `from_keras`.
_TAKE = "Take"

Keep = Callable[[np.ndarray], int]
Arrays = Sequence[np.ndarray]


def describe(network: keras.Model, keep: Keep) -> dict[str, Any]:
    """Return the layers of a network and their inputs as plain data.

    `keep` takes an array and returns its index.
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
    """Return the inputs of a layer, and its argument `training`."""
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
    """Return the name of the only input or output of a model."""
    if len(ends) == 3 and isinstance(ends[0], str):
        return ends[0]
    if len(ends) == 1:
        return ends[0][0]
    raise ValueError(f"it has {len(ends)} inputs or outputs")


def set_weights(network: keras.Model, description: dict[str, Any], arrays: Arrays) -> bool:
    """Set the weights of a network; False if its layers differ from the described ones."""
    shapes: list[tuple[int, ...]] = []

    def keep(array: np.ndarray) -> int:
        shapes.append(array.shape)
        return len(shapes) - 1

    own = describe(network, keep)
    if _without_names(own, shapes) != _without_names(
        description, [array.shape for array in arrays]
    ):
        return False
    _set_weights(network, own, description, arrays)
    return True


def _set_weights(
    network: keras.Model, own: dict[str, Any], description: dict[str, Any], arrays: Arrays
) -> None:
    for mine, entry in zip(own["layers"], description["layers"], strict=True):
        layer = network.get_layer(mine["name"])
        if "model" in entry:
            _set_weights(layer, mine["model"], entry["model"], arrays)
        elif entry.get("weights"):
            layer.set_weights(_finite_weights(entry, arrays))


def _without_names(description: dict[str, Any], shapes: list[tuple[int, ...]]) -> dict[str, Any]:
    """Replace the names of layers by their positions, and weights by their shapes."""
    position = {entry["name"]: i for i, entry in enumerate(description["layers"])}
    layers = []
    for entry in description["layers"]:
        layer = {key: value for key, value in entry.items() if key != "name"}
        if "from" in layer:
            layer["from"] = [position[source] for source in layer["from"]]
        if "settings" in layer:
            settings = layer["settings"]
            layer["settings"] = {name: settings[name] for name in settings if name != "name"}
        if "weights" in layer:
            layer["weights"] = [shapes[index] for index in layer["weights"]]
        if "model" in layer:
            layer["model"] = _without_names(layer["model"], shapes)
        layers.append(layer)
    result = {"class": description["class"], "shape": description.get("shape"), "layers": layers}
    for end in ("input", "output"):
        result[end] = position.get(description.get(end))
    return result


def build(description: dict[str, Any], arrays: Arrays) -> keras.Model:
    """Build the network of a description.

    Memory is allocated only for weights whose arrays are given. The number of layers, values and
    multiply-adds is limited.
    """
    try:
        if (n_layers := count_layers(description)) > _MAX_LAYERS:
            raise ValueError(f"it has {n_layers:,} layers; the limit is {_MAX_LAYERS:,}")
        return _Builder(arrays).model(description, 0)
    except Exception as error:  # Keras and TensorFlow raise many types
        raise ValueError(f"its network can't be built: {error}") from error


class _Builder:
    def __init__(self, arrays: Arrays):
        self._arrays = arrays
        self._n_values = 0
        self._multiply_adds = 0

    def model(self, description: dict[str, Any], depth: int) -> keras.Model:
        if depth > _MAX_DEPTH:
            raise ValueError(f"it has models inside models more than {_MAX_DEPTH} deep")
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
            _set_layer_weights(layer, arrays, entry)
            self._count(layer.output, [layer.input], arrays, entry)
        return model

    def _input(self, entry: dict[str, Any]) -> Any:
        start = keras.Input(tuple(_sides(entry["shape"])), dtype=entry["dtype"], name=entry["name"])
        self._count(start, [start], [], entry)
        return start

    def _called(self, entry: dict[str, Any], sources: list[Any], depth: int) -> Any:
        arrays: list[np.ndarray] = []
        if entry.get("class") == _TAKE:
            indices = [int(index) for index in entry["indices"]]
            result = keras.ops.take(*sources, indices, axis=int(entry["axis"]))
        else:
            layer, arrays = self._layer(entry, depth)
            several = entry.get("class") in MERGING or len(sources) > 1
            given = sources if several else sources[0]
            training = {"training": bool(entry["training"])} if "training" in entry else {}
            result = layer(given, **training)
            _set_layer_weights(layer, arrays, entry)
        self._count(result, sources, arrays, entry)
        return result

    def _layer(self, entry: dict[str, Any], depth: int) -> tuple[Any, list[np.ndarray]]:
        if "model" in entry:
            return self.model(entry["model"], depth + 1), []
        arrays = _finite_weights(entry, self._arrays)
        settings = entry["settings"] | {"name": entry["name"]}
        return new_layer(entry["class"], settings, [array.shape for array in arrays]), arrays

    def _count(self, output: Any, sources: list[Any], arrays: Arrays, entry: dict) -> None:
        """Add a layer to the totals and refuse it if they exceed the limits."""
        if "model" in entry:
            return  # its layers have been counted
        size = _size(output)
        self._n_values += size
        positions = max(size // (output.shape[-1] or 1), *map(_positions, sources))
        window = math.prod(_pair(entry.get("settings", {}).get("pool_size", 1)))
        self._multiply_adds += positions * sum(array.size for array in arrays) + size * window
        for count, limit, unit in (
            (size, _MAX_LAYER_VALUES, "values in one layer"),
            (self._n_values, _MAX_VALUES, "values"),
            (self._multiply_adds, _MAX_MULTIPLY_ADDS, "multiply-adds"),
        ):
            if count > limit:
                raise ValueError(
                    f"its layer {entry['name']!r} exceeds the limit of {limit:,} {unit} for one "
                    "image"
                )


def count_layers(description: dict[str, Any]) -> int:
    """Return the number of layers, including those of nested models."""
    inner = [entry["model"] for entry in description["layers"] if "model" in entry]
    return len(description["layers"]) + sum(map(count_layers, inner))


def _finite_weights(entry: dict[str, Any], arrays: Arrays) -> list[np.ndarray]:
    weights = [arrays[index] for index in entry["weights"]]
    for index, array in zip(entry["weights"], weights, strict=True):
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise ValueError(
                f"the weights {index:03}.npy of its layer {entry['name']!r} hold NaN or infinity"
            )
    return weights


def _set_layer_weights(layer: Any, arrays: list[np.ndarray], entry: dict[str, Any]) -> None:
    if "model" in entry:
        return
    layer.set_weights(arrays)
    # A copy of the layer is built from its config, which must not contain `_LimitedZeros`.
    for name in [name for name in vars(layer) if name.endswith("_initializer")]:
        setattr(layer, name, keras.initializers.Zeros())


def _sides(shape: list[Any]) -> list[int | None]:
    sides = [None if side is None else int(side) for side in shape]
    if not all(side is None or 0 < side <= _MAX_LAYER_VALUES for side in sides):
        raise ValueError(f"its input has the shape {sides}")
    return sides


def _size(tensor: Any) -> int:
    return math.prod(side or 1 for side in tensor.shape[1:])


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _positions(tensor: Any) -> int:
    """Return the number of pixels of a feature map."""
    return math.prod(side or 1 for side in tensor.shape[1:-1])
