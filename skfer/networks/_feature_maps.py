"""Feature maps inside a network: which layers give one, and what it holds for given images."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any

import keras

# They make a feature map smaller, or leave it as it is: the one before them tells more.
_NOTHING_NEW = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)


def feature_map_layer(network: keras.Model, name: str | None = None) -> keras.Layer:
    """The layer of that name, or the last that gives a feature map before it is pooled.

    Parameters
    ----------
    network : keras.Model
        Models inside it are taken apart.
    name : str, default=None

    Returns
    -------
    keras.Layer

    Raises
    ------
    ValueError
        If there is no layer of that name, or it gives no feature map, or no layer does.
    """
    all_layers = list(_reachable(network))
    with_maps = _layers_with_maps(all_layers)
    if name is None:
        telling = [layer for layer in with_maps if not isinstance(layer, _NOTHING_NEW)]
        if not telling:
            raise ValueError(
                f"The network {network.name!r} has no feature map (n, height, width, channels) "
                "behind its first weights, as a convolution gives one: take saliency or "
                "occlusion_sensitivity, which need none."
            )
        return telling[-1]
    called_so = [layer for layer in all_layers if layer.name == name]
    if not called_so:
        names = [layer.name for layer in all_layers]
        close = difflib.get_close_matches(str(name), names, n=3) or names[-5:]
        raise ValueError(
            f"layer={name!r} is no layer of {network.name!r}. Similar or last ones: "
            f"{', '.join(close)}."
        )
    if called_so[0] not in with_maps:
        names = [layer.name for layer in with_maps[-5:]]
        raise ValueError(
            f"layer={name!r} gives no feature map (n, height, width, channels) behind the "
            f"network's first weights. The last ones that do: {', '.join(names) or 'none'}."
        )
    return called_so[0]


def run_with_feature_map(network: keras.Model, layer: keras.Layer, images: Any) -> tuple[Any, Any]:
    """What a layer gives for these images, and what the network does, in one run.

    It calls the layers with the images themselves: nothing is added to the network's graph.

    Parameters
    ----------
    network : keras.Model
    layer : keras.Layer
        One that `feature_map_layer` returned; it may be in a model inside the network.
    images : tensor of shape (n, height, width, channels)

    Returns
    -------
    feature_map, outputs : tensor
    """
    found = []

    def seen(operation: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            graph = _graph_of(operation)
            if graph is not None:
                return graph._run_through_graph(arguments[0], operation_fn=seen)
            if getattr(operation, "_call_has_training_arg", False):
                options["training"] = False
            result = operation(*arguments, **options)
            if operation is layer:
                found.append(result)
            return result

        return call

    outputs = seen(network)(images)
    return found[-1], outputs


def _graph_of(operation: Any) -> Any:
    """The graph of a model inside a network; None where there is none, as in a layer."""
    if not isinstance(operation, keras.Model):
        return None
    graph = getattr(operation, "_functional", operation)  # a Sequential has one inside
    return graph if hasattr(graph, "_run_through_graph") else None


def _reachable(network: keras.Model) -> Iterator[keras.Layer]:
    """All layers in order, those of models inside it too, as far as these have graphs."""
    for layer in network.layers:
        if _graph_of(layer) is None:
            yield layer
        else:
            yield from _reachable(layer)


def _layers_with_maps(layers: list[keras.Layer]) -> list[keras.Layer]:
    """Those behind the first weights that give maps of more than one place."""
    first = next((place for place, layer in enumerate(layers) if layer.weights), len(layers))
    return [layer for layer in layers[first:] if _gives_a_map(layer)]


def _gives_a_map(layer: keras.Layer) -> bool:
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and shape[1:3] != (1, 1)
