"""A network as lines to draw: runs of layers, what they take, and how they are called."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.exceptions import NotFittedError

from skfer._pipelines import flat_steps

if TYPE_CHECKING:
    import keras

# Layers that go on the line of the one before them: they keep its shape.
_FOLLOWERS = (
    *("BatchNormalization", "LayerNormalization", "GroupNormalization"),
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
    *("Dropout", "SpatialDropout2D"),
)
_SHORT_NAMES = {"BatchNormalization": "BatchNorm", "InputLayer": "Input"}
_Shape = tuple[int | None, ...] | None


class NetworkLine(NamedTuple):
    """A run of layers, such as convolution, batch normalisation and activation.

    `inputs` are the places of the lines it takes its input from.
    """

    label: str
    kind: str
    output_shape: tuple[int | None, ...] | None
    parameters: int
    inputs: tuple[int, ...]


class _Step(NamedTuple):
    """One use of a layer, and the keys of the steps it takes its input from."""

    operation: Any
    output_shape: _Shape
    inputs: tuple[Any, ...]


def keras_model(network: Any, input_shape: tuple[int, int, int], n_outputs: int) -> keras.Model:
    """The Keras model that is meant: by a name, inside an estimator, behind a scaling layer."""
    import keras

    from skfer.networks import build_network

    if isinstance(network, str):
        return build_network(network, input_shape, n_outputs)
    estimator = network if isinstance(network, keras.Model) else flat_steps(network)[-1]
    model = getattr(estimator, "network_", estimator)
    if not isinstance(model, keras.Model):
        if hasattr(model, "fit"):
            raise NotFittedError(
                f"{type(model).__name__} has no network_: fit it first, or give the name of a "
                "network."
            )
        raise ValueError(
            f"network is of type {type(network).__name__}; it must be a keras.Model, a fitted "
            "estimator or Pipeline, or a name from skfer.networks.list_networks()."
        )
    body = _body(model)
    if not body.built:
        raise ValueError(
            f"The network {body.name!r} is not built, so its layers have no shapes: begin it "
            "with a keras.Input, or call its build."
        )
    return body


def _body(model: keras.Model) -> keras.Model:
    """The model itself, or the one behind nothing but an input and a scaling layer."""
    import keras

    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    others = [layer for layer in model.layers if not isinstance(layer, keras.Model)]
    wraps = all(isinstance(x, keras.layers.InputLayer | keras.layers.Rescaling) for x in others)
    return nested[0] if len(nested) == 1 and wraps else model


def n_parameters(weights: list[Any]) -> int:
    """How many numbers the weights hold."""
    return sum(math.prod(weight.shape) for weight in weights)


def output_shape(layer: Any) -> _Shape:
    """Shape of the layer's output for one image, or None where Keras doesn't know it."""
    try:
        output = layer.output
    except AttributeError:  # a layer of a subclassed model, which has seen arrays only
        return None
    return _shape_of_one(output)


def network_lines(model: keras.Model) -> list[NetworkLine]:
    """The lines of a network from input to output, each branch of it in one piece."""
    if getattr(model, "outputs", None):
        return _joined(_along_branches(_graph(model), model))
    # A subclassed model doesn't tell how its layers are connected.
    return _joined(
        {
            place: _Step(layer, output_shape(layer), (place - 1,) if place else ())
            for place, layer in enumerate(model.layers)
        }
    )


def _graph(model: keras.Model) -> dict[Any, _Step]:
    """Every use of a layer, found from the outputs backwards."""
    import keras

    steps: dict[Any, _Step] = {}
    waiting = keras.tree.flatten(model.outputs)
    while waiting:
        tensor = waiting.pop()
        if _key(tensor) in steps:
            continue
        operation, node_index, _ = tensor._keras_history
        sources = operation._inbound_nodes[node_index].input_tensors
        inputs = tuple(dict.fromkeys(map(_key, sources)))
        steps[_key(tensor)] = _Step(operation, _shape_of_one(tensor), inputs)
        waiting += sources
    return steps


def _key(tensor: Any) -> tuple[int, int]:
    operation, node_index, _ = tensor._keras_history
    return id(operation), node_index


def _along_branches(steps: dict[Any, _Step], model: keras.Model) -> dict[Any, _Step]:
    """The steps in an order that follows a branch to its end before it takes up the next."""
    # Keras sorts by distance from the output: of two branches, the later one is the shorter.
    operations = getattr(model, "operations", model.layers)
    places = {id(operation): place for place, operation in enumerate(operations)}
    consumers = _consumers(steps)
    for keys in consumers.values():
        keys.sort(key=lambda key: places.get(key[0], 0))
    missing = {key: len(step.inputs) for key, step in steps.items()}
    ready = [key for key, number in missing.items() if number == 0]
    ordered: dict[Any, _Step] = {}
    while ready:
        key = ready.pop()
        ordered[key] = steps[key]
        for consumer in consumers[key]:
            missing[consumer] -= 1
            if missing[consumer] == 0:
                ready.append(consumer)
    return ordered


def _consumers(steps: dict[Any, _Step]) -> dict[Any, list[Any]]:
    consumers: dict[Any, list[Any]] = {key: [] for key in steps}
    for key, step in steps.items():
        for source in step.inputs:
            consumers[source].append(key)
    return consumers


def _joined(steps: dict[Any, _Step]) -> list[NetworkLine]:
    """Steps in order as lines, those that only follow their one input on its line."""
    consumers = _consumers(steps)
    runs: list[list[_Step]] = []
    run_of: dict[Any, int] = {}
    last = None
    for key, step in steps.items():
        follows = (
            type(step.operation).__name__ in _FOLLOWERS
            and step.inputs == (last,)
            and len(consumers[last]) == 1
            and type(steps[last].operation).__name__ != "InputLayer"
        )
        if follows:
            runs[-1].append(step)
        else:
            runs.append([step])
        run_of[key] = len(runs) - 1
        last = key
    return [
        NetworkLine(
            label=" \N{EN DASH} ".join(_label(step.operation) for step in run),
            kind=_kind(run[0]),
            output_shape=run[-1].output_shape,
            parameters=sum(n_parameters(getattr(s.operation, "weights", [])) for s in run),
            inputs=tuple(sorted(run_of[key] for key in run[0].inputs)),
        )
        for run in runs
    ]


def _shape_of_one(output: Any) -> _Shape:
    first = output[0] if isinstance(output, list | tuple) else output
    return tuple(first.shape[1:])


def _kind(step: _Step) -> str:
    if len(step.inputs) > 1:
        return "merge"
    if hasattr(step.operation, "kernel_size"):
        return "convolution"
    if hasattr(step.operation, "units"):
        return "dense"
    return "pooling" if "Pool" in type(step.operation).__name__ else "other"


def _label(operation: Any) -> str:
    """What a layer is in a few words, such as "Conv 64, 3x3, stride 2"."""
    kind = type(operation).__name__
    if hasattr(operation, "layers"):
        return f"{operation.name} ({len(operation.layers)} layers)"
    activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
    if kind == "Activation":
        return activation
    window = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", ())
    sizes = [getattr(operation, size, None) for size in ("filters", "units")]
    details = [str(size) for size in sizes if size is not None]
    details += [_times(window)] if window else []
    if hasattr(operation, "kernel_size") and set(operation.strides) != {1}:
        strides = dict.fromkeys(operation.strides)  # one number where all are the same
        details.append(f"stride {_times(strides)}")
    if hasattr(operation, "rate"):
        details.append(f"{operation.rate:g}")
    details += [] if activation == "linear" else [activation]
    name = _SHORT_NAMES.get(kind, kind.removesuffix("2D"))
    return f"{name} {', '.join(details)}".strip()


def _times(sizes: Iterable[int]) -> str:
    return "\N{MULTIPLICATION SIGN}".join(map(str, sizes))
