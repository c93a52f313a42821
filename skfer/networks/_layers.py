"""Layers of a network: head, features, feature maps, and trainable layers."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras

# Layers whose input is a feature map at least as detailed as their output.
_POOLING = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)


def all_layers(network: keras.Model) -> Iterator[keras.Layer]:
    """Yield all layers in order, including those of nested models."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


def head_layers(network: keras.Model) -> list[keras.Layer]:
    """Return the layers after the last feature map, whose outputs are vectors."""
    layers = list(all_layers(network))
    first = _last_with_weights(layers)
    while first > 0 and len(layers[first - 1].output.shape) == 2:
        first -= 1
    return layers[first:]


def freeze_base(network: keras.Model) -> None:
    """Make only the head trainable."""
    _train_only(network, head_layers(network))


def freeze_below(network: keras.Model, start: str | int | None) -> None:
    """Make only the layers from `start` on trainable.

    It is the name of the first one, or the number of layers with weights, counted from the end.
    """
    layers = list(all_layers(network))
    if start is None:
        first = 0
    elif isinstance(start, str):
        first = _index_of(start, network, layers)
    else:
        with_weights = [index for index, layer in enumerate(layers) if layer.weights]
        if start > len(with_weights):
            raise ValueError(
                f"first_layer={start} is more than the {len(with_weights)} layers with "
                f"weights that {network.name!r} has; None trains all of them."
            )
        first = with_weights[-start]
    _train_only(network, layers[first:])


def freeze_batch_norm(network: keras.Model) -> None:
    """Freeze the statistics, scales and offsets of batch normalisation."""
    for layer in all_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def feature_extractor(network: keras.Model) -> keras.Model:
    """Return the network up to the input of its last layer with weights, as vectors.

    A feature map, in a network that ends in a convolution, is averaged over its positions.
    """
    last = network.layers[_last_with_weights(network.layers)]
    features = _layer_input(network, last)
    if isinstance(last, keras.Model):
        features = feature_extractor(last)(features)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(network.inputs[0], features, name=f"{network.name}_features")


def replace_softmax(network: keras.Model, activation: str) -> None:
    """Replace the softmax at the end of a network by another activation.

    A network without a softmax at its end is not changed.
    """
    last = network.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        replace_softmax(last, activation)
    elif isinstance(last, keras.layers.Softmax):
        raise ValueError(
            f"The network {network.name!r} ends in a Softmax layer, which can't be replaced by "
            f"{activation!r}: end it in Dense(n_outputs, activation='softmax') or "
            "Activation('softmax')."
        )
    elif getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.get(activation)


def trainable_flags(network: keras.Model) -> list[bool]:
    """Return whether each layer is trainable, including those of nested models."""
    return [layer.trainable for layer in all_layers(network)]


def set_trainable(network: keras.Model, flags: list[bool]) -> None:
    """Make layers trainable as `trainable_flags` returned."""
    chosen = [layer for layer, flag in zip(all_layers(network), flags, strict=True) if flag]
    _train_only(network, chosen)


def feature_map_layer(network: keras.Model, name: str | None = None) -> keras.Layer:
    """Return a layer whose output is a feature map; by default the last before pooling."""
    layers = list(_reachable_layers(network))
    first = next((index for index, layer in enumerate(layers) if layer.weights), len(layers))
    with_maps = [layer for layer in layers[first:] if _has_feature_map(layer)]
    if name is None:
        detailed = [layer for layer in with_maps if not isinstance(layer, _POOLING)]
        if not detailed:
            raise ValueError(
                f"The network {network.name!r} has no feature map (n, height, width, channels) "
                "after its first weights, as a convolution gives one: use saliency or "
                "occlusion_sensitivity, which need none."
            )
        return detailed[-1]
    found = [layer for layer in layers if layer.name == name]
    if not found:
        names = [layer.name for layer in layers]
        raise ValueError(
            f"layer={name!r} is not a layer of {network.name!r}. {_similar(name, names)}"
        )
    if found[0] not in with_maps:
        names = [layer.name for layer in with_maps[-5:]]
        raise ValueError(
            f"layer={name!r} gives no feature map (n, height, width, channels) after the "
            f"network's first weights. The last ones that do: {', '.join(names) or 'none'}."
        )
    return found[0]


def run_with_feature_map(network: keras.Model, layer: keras.Layer, images: Any) -> tuple[Any, Any]:
    """Return the output of a layer and of the network for images.

    The layers are called with the images: nothing is added to the graph of the network.
    """
    found = []

    def recorded(operation: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            graph = _graph_of(operation)
            if graph is not None:
                return graph._run_through_graph(arguments[0], operation_fn=recorded)
            if getattr(operation, "_call_has_training_arg", False):
                options["training"] = False
            result = operation(*arguments, **options)
            if operation is layer:
                found.append(result)
            return result

        return call

    outputs = recorded(network)(images)
    return found[-1], outputs


def _graph_of(operation: Any) -> Any:
    """Return the graph of a nested model; None for a layer or a model without a graph."""
    if not isinstance(operation, keras.Model):
        return None
    graph = getattr(operation, "_functional", operation)  # a Sequential holds one
    return graph if hasattr(graph, "_run_through_graph") else None


def _reachable_layers(network: keras.Model) -> Iterator[keras.Layer]:
    """Yield all layers in order, including those of nested models with graphs."""
    for layer in network.layers:
        if _graph_of(layer) is None:
            yield layer
        else:
            yield from _reachable_layers(layer)


def _has_feature_map(layer: keras.Layer) -> bool:
    """Return whether the output of a layer is a map of more than one position."""
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and shape[1:3] != (1, 1)


def _last_with_weights(layers: list[keras.Layer]) -> int:
    indices = [index for index, layer in enumerate(layers) if layer.weights]
    if not indices:
        raise ValueError("The network has no layer with weights: there is nothing to train.")
    return indices[-1]


def _layer_input(network: keras.Model, layer: keras.Layer) -> keras.KerasTensor:
    """Return the input of a layer in this network; other models may call it with other tensors."""
    function = getattr(network, "_functional", network)  # a Sequential holds one
    nodes = itertools.chain.from_iterable(function._nodes_by_depth.values())
    (tensor,) = next(node for node in nodes if node.operation is layer).input_tensors
    return tensor


def _train_only(network: keras.Model, chosen: list[keras.Layer]) -> None:
    network.trainable = True  # a nested model that is frozen hides its layers
    kept = {id(layer) for layer in chosen}
    for layer in all_layers(network):
        layer.trainable = id(layer) in kept


def _index_of(name: str, network: keras.Model, layers: list[keras.Layer]) -> int:
    names = [layer.name for layer in layers]
    if name not in names:
        raise ValueError(
            f"first_layer={name!r} is not a layer of {network.name!r}. {_similar(name, names)}"
        )
    return names.index(name)


def _similar(name: str, names: list[str]) -> str:
    """Return the names that an error suggests instead of an unknown one."""
    close = difflib.get_close_matches(str(name), names, n=3) or names[-5:]
    return f"Similar or last ones: {', '.join(close)}."
