"""The parts of a network, whoever built it: base and head, features, its end, what is trained."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator

import keras


def all_layers(network: keras.Model) -> Iterator[keras.Layer]:
    """All layers in order, those of models inside it too."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


def head_layers(network: keras.Model) -> list[keras.Layer]:
    """Layers after the last feature map: where only vectors flow, and the last with weights.

    Parameters
    ----------
    network : keras.Model
        Models inside it are taken apart.

    Returns
    -------
    list of keras.Layer
    """
    layers = list(all_layers(network))
    first = _last_with_weights(layers)
    while first > 0 and len(layers[first - 1].output.shape) == 2:
        first -= 1
    return layers[first:]


def freeze_base(network: keras.Model) -> None:
    """Leave only the head to be trained."""
    _train_only(network, head_layers(network))


def freeze_below(network: keras.Model, start: str | int | None) -> None:
    """Leave only the deeper layers to be trained.

    Parameters
    ----------
    network : keras.Model
    start : str, int or None
        Name of the first layer that is trained, or how many of the last ones are, of those
        that have weights. None is all.

    Raises
    ------
    ValueError
        If there is no layer of that name, or there are not so many.
    """
    layers = list(all_layers(network))
    if start is None:
        first = 0
    elif isinstance(start, str):
        first = _place_of(start, network, layers)
    else:
        with_weights = [place for place, layer in enumerate(layers) if layer.weights]
        if start > len(with_weights):
            raise ValueError(
                f"fine_tune_from={start} is more than the {len(with_weights)} layers with "
                f"weights that {network.name!r} has; None trains all of them."
            )
        first = with_weights[-start]
    _train_only(network, layers[first:])


def freeze_batch_norm(network: keras.Model) -> None:
    """Keep the statistics, scales and offsets of batch normalisation as they are."""
    for layer in all_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def features(network: keras.Model) -> keras.Model:
    """The network up to what its last layer with weights gets to see, as vectors.

    A feature map, as a network has that ends in a convolution, is averaged over its places.

    Parameters
    ----------
    network : keras.Model

    Returns
    -------
    keras.Model
        From images to ``(n, n_features)``; it shares the network's weights.
    """
    last = network.layers[_last_with_weights(network.layers)]
    seen = _input_within(network, last)
    if isinstance(last, keras.Model):
        seen = features(last)(seen)
    if len(seen.shape) == 4:
        seen = keras.layers.GlobalAveragePooling2D()(seen)
    return keras.Model(network.inputs[0], seen, name=f"{network.name}_features")


def exchange_softmax(network: keras.Model, activation: str) -> None:
    """Let a network that ends in a softmax end in another activation; its weights stay.

    The networks of this package end in the probabilities of classes, and their functions need to
    know of nothing else. One that ends otherwise is left as it is.

    Parameters
    ----------
    network : keras.Model
        Not compiled yet: it is changed in place.
    activation : str
        Keras's name of it.

    Raises
    ------
    ValueError
        If the softmax is a layer of that name, which has no activation to exchange.
    """
    last = network.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        exchange_softmax(last, activation)
    elif isinstance(last, keras.layers.Softmax):
        raise ValueError(
            f"The network {network.name!r} ends in a Softmax layer, which can't be exchanged for "
            f"{activation!r}: end it in Dense(n_outputs, activation='softmax') or "
            "Activation('softmax')."
        )
    elif getattr(last, "activation", None) is keras.activations.softmax:
        last.activation = keras.activations.get(activation)


def trained_layers(network: keras.Model) -> list[bool]:
    """Which of its layers, those of models inside it too, are trained."""
    return [layer.trainable for layer in all_layers(network)]


def train_layers(network: keras.Model, trained: list[bool]) -> None:
    """Train those that `trained_layers` said."""
    chosen = [layer for layer, kept in zip(all_layers(network), trained, strict=True) if kept]
    _train_only(network, chosen)


def _last_with_weights(layers: list[keras.Layer]) -> int:
    places = [place for place, layer in enumerate(layers) if layer.weights]
    if not places:
        raise ValueError("The network has no layer with weights: there is nothing to train.")
    return places[-1]


def _input_within(network: keras.Model, layer: keras.Layer) -> keras.KerasTensor:
    """What a layer gets as part of that network; elsewhere it may be called with other tensors."""
    function = getattr(network, "_functional", network)  # a Sequential is one inside
    nodes = itertools.chain.from_iterable(function._nodes_by_depth.values())
    (tensor,) = next(node for node in nodes if node.operation is layer).input_tensors
    return tensor


def _train_only(network: keras.Model, chosen: list[keras.Layer]) -> None:
    network.trainable = True  # a model inside it that is frozen as a whole hides its layers
    kept = {id(layer) for layer in chosen}
    for layer in all_layers(network):
        layer.trainable = id(layer) in kept


def _place_of(name: str, network: keras.Model, layers: list[keras.Layer]) -> int:
    names = [layer.name for layer in layers]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=3) or names[-5:]
        raise ValueError(
            f"fine_tune_from={name!r} is no layer of {network.name!r}. Similar or last ones: "
            f"{', '.join(close)}."
        )
    return names.index(name)
