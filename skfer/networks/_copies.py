"""Copies of Keras models, and their state as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from skfer.networks._keras_settings import standard_keras
from skfer.networks._layers import all_layers


def has_strided_pointwise(network: keras.Model) -> bool:
    """Return whether a network has a 1x1 convolution with a stride."""
    return any(map(_is_strided_pointwise, all_layers(network)))


def copy_network(network: keras.Model, n_outputs: int | None = None) -> keras.Model:
    """Return a copy of a network with the same weights, without strided 1x1 convolutions.

    In the backward pass of a 1x1 convolution with a stride, oneDNN in TensorFlow 2.21 writes
    outside its memory on AVX-512 processors, and the process crashes. In the copy, such a layer is
    a pooling of single pixels with this stride and a convolution without one, which is equal. With
    `n_outputs`, the last dense or convolutional layer is new.
    """
    head = None if n_outputs is None else _head(network)
    copier = _Copier(head, n_outputs)
    copy = copier.copy(network)
    for old, new in copier.pairs():
        weights = old.get_weights()
        # A layer after a new head, such as batch normalisation, is new too.
        if old is not head and [w.shape for w in weights] == [w.shape for w in new.get_weights()]:
            _set_weights(new, weights)
        new.trainable = old.trainable
    if n_outputs is not None and copy.output_shape != (None, n_outputs):
        raise ValueError(
            f"the model {network.name!r} can't be given {n_outputs} outputs: with a new layer "
            f"{getattr(head, 'name', None)!r} its outputs have the shape {copy.output_shape}"
        )
    return copy


def _set_weights(layer: keras.Layer, weights: list[np.ndarray]) -> None:
    """Set the weights of a layer or network, and the constants of its `Normalization` layers.

    Keras computes these constants from the weights only when it reads a file.
    """
    layer.set_weights(weights)
    for one in all_layers(layer) if isinstance(layer, keras.Model) else [layer]:
        if isinstance(one, keras.layers.Normalization) and one.built:
            one.finalize_state()


def _is_strided_pointwise(layer: keras.Layer) -> bool:
    return (
        isinstance(layer, keras.layers.Conv2D)
        and tuple(layer.kernel_size) == (1, 1)
        and max(layer.strides) > 1
    )


def _head(network: keras.Model) -> keras.Layer | None:
    """Return the last layer whose size is the number of outputs."""
    sized = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.SeparableConv2D)
    layers = reversed(list(all_layers(network)))
    return next((layer for layer in layers if isinstance(layer, sized)), None)


class _Copier:
    """Copy each layer once, also if it is called several times."""

    def __init__(self, head: keras.Layer | None, n_outputs: int | None):
        self._head = head
        self._n_outputs = n_outputs
        self._copies: dict[int, tuple[keras.Layer, keras.Layer]] = {}
        # Pooling with the stride of a copied convolution, by the id of the convolution.
        self._poolings: dict[int, keras.Layer] = {}

    def pairs(self) -> Iterator[tuple[keras.Layer, keras.Layer]]:
        """Yield the layers and their copies, except models and shared layers."""
        for old, new in self._copies.values():
            if old is not new and not isinstance(old, keras.Model):
                yield old, new

    def copy(self, network: keras.Model) -> keras.Model:
        if isinstance(network, keras.Sequential):
            copies = map(self._copy_once, network.layers)
            layers = [part for copy in copies for part in self._with_pooling(copy)]
            start = keras.Input(batch_shape=network.input_shape, dtype=network.inputs[0].dtype)
            return keras.Sequential([start, *layers], name=network.name)
        return keras.models.clone_model(
            network, clone_function=self._copy_once, call_function=self._call_copy
        )

    def _copy_once(self, layer: keras.Layer) -> keras.Layer:
        if id(layer) not in self._copies:
            self._copies[id(layer)] = (layer, self._copy_layer(layer))
        return self._copies[id(layer)][1]

    def _copy_layer(self, layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.Model):
            return self.copy(layer)
        # The config of a Lambda does not hold its function. Lambdas and operations have no weights,
        # so that both models can share them.
        if isinstance(layer, keras.layers.Lambda) or not isinstance(layer, keras.Layer):
            return layer
        try:
            config = layer.get_config()
            strided = _is_strided_pointwise(layer)
            if strided:
                config["strides"] = (1, 1)
            if layer is self._head:
                config["units" if "units" in config else "filters"] = self._n_outputs
                for name in [name for name in config if name.endswith("_initializer")]:
                    del config[name]  # a loaded model may have initialisers that give zeros
            copy = type(layer).from_config(config)
        except Exception as error:  # a custom layer may raise anything
            raise ValueError(
                f"the layer {layer.name!r} ({type(layer).__name__}) can't be copied: {error}. It "
                "needs get_config and from_config"
            ) from error
        if strided:
            self._poolings[id(copy)] = keras.layers.MaxPooling2D(
                1, strides=layer.strides, data_format=layer.data_format, name=f"{layer.name}_stride"
            )
        return copy

    def _with_pooling(self, layer: keras.Layer) -> list[keras.Layer]:
        pooling = self._poolings.get(id(layer))
        return [layer] if pooling is None else [pooling, layer]

    def _call_copy(self, layer: keras.Layer, *args: object, **kwargs: object) -> object:
        pooling = self._poolings.get(id(layer))
        if pooling is not None:
            args = (pooling(args[0]), *args[1:])
        return layer(*args, **kwargs)


@standard_keras()
def network_state(network: keras.Model) -> dict[str, Any]:
    """Return the config and the weights of a network as plain data, without the optimizer."""
    state = {
        "config": network.get_config(),
        "class": type(network).__name__,
        "weights": network.get_weights(),
        "n_outputs": network.output_shape[-1],
    }
    if _has_code(network):
        state["outputs"] = _probe_outputs(network)
    return state


@standard_keras()
def network_from_state(state: dict[str, Any], rebuild: Callable[[int], keras.Model]) -> keras.Model:
    """Return the network of a `network_state`.

    `rebuild` builds it for a number of outputs if Keras cannot from its config, because of a Lambda
    or a layer that is not registered.
    """
    kind = keras.Sequential if state.get("class") == "Sequential" else keras.Model
    try:
        network = kind.from_config(state["config"])
    except (TypeError, ValueError):
        network = rebuild(state["n_outputs"])
    problem = "The network has layers with code of its own, and its copy would predict otherwise"
    cause = "the function that builds it returned another architecture"
    try:
        _set_weights(network, state["weights"])
    except ValueError as error:
        raise ValueError(f"{problem}: {cause}.") from error
    outputs = state.get("outputs")
    if outputs is not None and not np.allclose(_probe_outputs(network), outputs, atol=1e-5):
        raise ValueError(f"{problem}: {cause}, or its code depends on a value that has changed.")
    return network


def _has_code(network: keras.Model) -> bool:
    """Return whether a layer computes something that its config does not describe."""
    return any(
        isinstance(layer, keras.layers.Lambda) or not type(layer).__module__.startswith("keras")
        for layer in all_layers(network)
    )


def _probe_outputs(network: keras.Model) -> np.ndarray:
    """Return the outputs for noise, by which two networks are compared."""
    shape = [side or 1 for side in network.input_shape]
    return np.asarray(network(np.random.default_rng(0).uniform(0, 255, shape), training=False))
