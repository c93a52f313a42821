"""Descriptions of Keras networks: plain data of layers, settings and inputs, without code."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from skfer.networks._allowed_layers import (
    CLASSES,
    DTYPES,
    IGNORED,
    INITIALIZED,
    LAYERS,
    MAX_LAYER_VALUES,
    MERGING,
    MODELS,
    OF_APPLICATIONS,
    SETTINGS,
    TAKE,
    NetworkLimits,
    check_known,
    check_n_layers,
    checked_settings,
    finite_weights,
    plain_value,
)

_MODULES = {"regularizer": keras.regularizers, "constraint": keras.constraints}

Keep = Callable[[np.ndarray], int]
Arrays = Sequence[np.ndarray]


def describe_network(network: keras.Model) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return a description of a network, and its weights.

    Raises
    ------
    ValueError
        If a layer cannot be described; it is named.
    """
    arrays: list[np.ndarray] = []

    def keep(array: np.ndarray) -> int:
        arrays.append(array)
        return len(arrays) - 1

    return describe(network, keep), arrays


def describe(network: keras.Model, keep: Keep) -> dict[str, Any]:
    """Return the layers of a network and their inputs as plain data.

    `keep` takes an array and returns its index.

    Raises
    ------
    ValueError
        If a layer cannot be described; it is named.
    """
    kind = type(network).__name__
    if type(network) is keras.Sequential:
        layers = [_describe_layer(layer, None, keep) for layer in network.layers]
        shape = list(network.input_shape[1:])
        return {"class": kind, "name": network.name, "shape": shape, "layers": layers}
    if kind not in MODELS:
        raise ValueError(f"{network.name!r} is a model of a class of its own, {kind}")
    config = network.get_config()
    own = {layer.name: layer for layer in network.operations}
    layers = [_describe_layer(own[entry["name"]], entry, keep) for entry in config["layers"]]
    ends = {key: _one_name(config[f"{key}_layers"]) for key in ("input", "output")}
    return {"class": kind, "name": network.name, "layers": layers, **ends}


def _describe_layer(layer: Any, entry: dict[str, Any] | None, keep: Keep) -> dict[str, Any]:
    kind = type(layer).__name__
    described: dict[str, Any] = {"name": layer.name}
    if entry is not None:
        described |= _call_of(entry)
    if isinstance(layer, keras.Model):
        return described | {"model": describe(layer, keep)}
    if isinstance(layer, keras.layers.InputLayer):
        shape = list(layer.batch_shape[1:])
        return described | {"class": "InputLayer", "shape": shape, "dtype": str(layer.dtype)}
    if kind == TAKE and entry is not None:
        indices = [int(index) for index in entry["inbound_nodes"][0]["args"][1]]
        return described | {"class": TAKE, "indices": indices, "axis": int(layer.axis)}
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
        raise ValueError(
            f"its layer {entry['name']!r} has an input that is not the output of one other layer"
        )
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
            layer.set_weights(finite_weights(entry, arrays))


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


def build_described(description: dict[str, Any], arrays: Arrays) -> keras.Model:
    """Build the network of a description that this process made, without limits."""
    return _Builder(arrays, None).model(description)


def build_within_limits(description: dict[str, Any], arrays: Arrays) -> keras.Model:
    """Build the network of a description of unknown origin.

    Memory is allocated only for weights whose arrays are given. The number of layers, values and
    multiply-adds is limited.
    """
    try:
        check_n_layers(description)
        return _Builder(arrays, NetworkLimits()).model(description)
    except Exception as error:  # Keras and TensorFlow raise many types
        raise ValueError(f"its network can't be built: {error}") from error


class _Builder:
    def __init__(self, arrays: Arrays, limits: NetworkLimits | None):
        self._arrays = arrays
        self._limits = limits

    def model(self, description: dict[str, Any]) -> keras.Model:
        if description["class"] == "Sequential":
            return self._sequential(description)
        if description["class"] != "Functional":
            raise ValueError(f"{description['class']!r} is none of {MODELS}")
        tensors: dict[str, Any] = {}
        for entry in description["layers"]:
            if entry["name"] in tensors:
                raise ValueError(f"two of its layers are called {entry['name']!r}")
            if entry.get("class") == "InputLayer":
                tensors[entry["name"]] = self._input(entry)
                continue
            sources = [tensors[name] for name in entry["from"]]
            tensors[entry["name"]] = self._called(entry, sources)
        ends = (tensors[description[key]] for key in ("input", "output"))
        return keras.Model(*ends, name=description["name"])

    def _sequential(self, description: dict[str, Any]) -> keras.Model:
        start = keras.Input(tuple(_sides(description["shape"])))
        model = keras.Sequential([start], name=description["name"])
        for entry in description["layers"]:
            layer, arrays = self._layer(entry)
            model.add(layer)
            _set_layer_weights(layer, arrays, entry)
            self._count(layer.output, [layer.input], arrays, entry)
        return model

    def _input(self, entry: dict[str, Any]) -> Any:
        start = keras.Input(tuple(_sides(entry["shape"])), dtype=entry["dtype"], name=entry["name"])
        self._count(start, [start], [], entry)
        return start

    def _called(self, entry: dict[str, Any], sources: list[Any]) -> Any:
        arrays: list[np.ndarray] = []
        if entry.get("class") == TAKE:
            indices = [int(index) for index in entry["indices"]]
            result = keras.ops.take(*sources, indices, axis=int(entry["axis"]))
        else:
            layer, arrays = self._layer(entry)
            several = entry.get("class") in MERGING or len(sources) > 1
            given = sources if several else sources[0]
            training = {"training": bool(entry["training"])} if "training" in entry else {}
            result = layer(given, **training)
            _set_layer_weights(layer, arrays, entry)
        self._count(result, sources, arrays, entry)
        return result

    def _layer(self, entry: dict[str, Any]) -> tuple[Any, list[np.ndarray]]:
        if "model" in entry:
            return self.model(entry["model"]), []
        arrays = finite_weights(entry, self._arrays)
        settings = entry["settings"] | {"name": entry["name"]}
        return new_layer(entry["class"], settings, [array.shape for array in arrays]), arrays

    def _count(self, output: Any, sources: list[Any], arrays: Arrays, entry: dict) -> None:
        if self._limits is not None and "model" not in entry:
            shapes = [source.shape[1:] for source in sources]
            self._limits.count(entry, output.shape[1:], shapes, arrays)


def _set_layer_weights(layer: Any, arrays: list[np.ndarray], entry: dict[str, Any]) -> None:
    if "model" in entry:
        return
    layer.set_weights(arrays)
    # The config of the layer must not name a class of skfer.
    for name in [name for name in vars(layer) if name.endswith("_initializer")]:
        setattr(layer, name, keras.initializers.Zeros())


def _sides(shape: list[Any]) -> list[int | None]:
    sides = [None if side is None else int(side) for side in shape]
    if not all(side is None or 0 < side <= MAX_LAYER_VALUES for side in sides):
        raise ValueError(f"its input has the shape {sides}")
    return sides


def layer_settings(config: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the settings of a layer as plain data, from the config that Keras writes."""
    defaults = inspect.signature(_class(kind).__init__).parameters
    settings: dict[str, Any] = {}
    for name, value in config.items():
        ending = name.rpartition("_")[2]
        if name == "dtype":
            settings[name] = check_known(_dtype_name(value), DTYPES, "dtype")
        elif ending in CLASSES and value is not None:
            inner = value["config"] if isinstance(value, dict) else {}
            check_known(value.get("class_name"), CLASSES[ending], name)
            settings[name] = {"class": value["class_name"], "settings": plain_value(inner, name)}
        elif name in SETTINGS:
            settings[name] = plain_value(value, name)
        elif ending not in CLASSES and not name.endswith(IGNORED):
            # A setting of a newer Keras is ignored if it has its default.
            default = defaults[name].default if name in defaults else None
            if value != default and value not in (None, False, {}):
                raise ValueError(f"its setting {name}={value!r} is not known to skfer's files")
    return settings


def new_layer(kind: str, settings: dict[str, Any], shapes: list[tuple[int, ...]]) -> keras.Layer:
    """Build a layer from settings of `layer_settings`, with weights of these shapes only."""
    parameters = checked_settings(kind, settings)
    for name, value in parameters.items():
        ending = name.rpartition("_")[2]
        if ending in CLASSES:
            parameters[name] = getattr(_MODULES[ending], value["class"])(**value["settings"])
    expected = _LimitedZeros(shapes)
    for weight in INITIALIZED.get(kind, ()):
        parameters[f"{weight}_initializer"] = expected
    return _class(kind)(**parameters)


class _LimitedZeros(keras.initializers.Initializer):
    """Zeros of the given shapes, each as often as it is given; others are an error."""

    def __init__(self, shapes: list[tuple[int, ...]]):
        self._left = Counter(shapes)

    def __call__(self, shape: Any, dtype: Any = None, **options: Any) -> Any:
        shape = tuple(map(int, shape))
        if not self._left[shape]:
            raise ValueError(f"a layer wants weights of shape {shape}, which are not in the file")
        self._left[shape] -= 1
        return keras.ops.zeros(shape, dtype or "float32")

    def clone(self) -> _LimitedZeros:
        """Return the object itself: layers copy initialisers, and weights are counted once."""
        return self


def _class(kind: str) -> Any:
    if kind in OF_APPLICATIONS:
        return getattr(importlib.import_module(OF_APPLICATIONS[kind]), kind)
    return getattr(keras.layers, kind)


def _dtype_name(value: Any) -> Any:
    return value["config"].get("name") if isinstance(value, dict) else value
