"""Copies of a Keras model in which a layer is exchanged: new outputs, safe convolutions."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from skfer.networks._anatomy import all_layers


def has_strided_pointwise(network: keras.Model) -> bool:
    """Return whether a network has a 1x1 convolution with a stride."""
    return any(map(_is_strided_pointwise, all_layers(network)))


def rebuilt(network: keras.Model, n_outputs: int | None = None) -> keras.Model:
    """Return a copy of a network with the same weights that training cannot crash.

    In the backward pass of a 1x1 convolution with a stride, oneDNN in TensorFlow 2.21 writes
    outside its memory on AVX-512 processors: the process dies. Such a layer becomes a pooling of
    1x1 windows with this stride and a convolution without, which computes the same.

    Parameters
    ----------
    network : keras.Model
        Built, Functional or Sequential. It is not changed.
    n_outputs : int or None, default=None
        Outputs of the copy. The last dense or convolutional layer is replaced by an untrained one
        of this size. None keeps all layers.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If a layer can't be copied, or the last layer does not decide the number of outputs.
    """
    head = None if n_outputs is None else _head(network)
    copier = _Copier(head, n_outputs)
    copy = copier.copy(network)
    for old, new in copier.pairs():
        weights = old.get_weights()
        # Behind a new head, a layer such as batch normalisation is new too.
        if old is not head and [w.shape for w in weights] == [w.shape for w in new.get_weights()]:
            new.set_weights(weights)
        new.trainable = old.trainable
    if n_outputs is not None and copy.output_shape != (None, n_outputs):
        raise ValueError(
            f"the model {network.name!r} can't be given {n_outputs} outputs: with a new layer "
            f"{getattr(head, 'name', None)!r} its outputs have the shape {copy.output_shape}"
        )
    return copy


def _is_strided_pointwise(layer: keras.Layer) -> bool:
    return (
        isinstance(layer, keras.layers.Conv2D)
        and tuple(layer.kernel_size) == (1, 1)
        and max(layer.strides) > 1
    )


def _head(network: keras.Model) -> keras.Layer | None:
    """Return the last layer whose size is the number of outputs."""
    sized = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.SeparableConv2D)
    return next((la for la in reversed(list(all_layers(network))) if isinstance(la, sized)), None)


class _Copier:
    """Copies layers, each once, wherever they are called."""

    def __init__(self, head: keras.Layer | None, n_outputs: int | None):
        self._head = head
        self._n_outputs = n_outputs
        self._copies: dict[int, tuple[keras.Layer, keras.Layer]] = {}
        # Copied convolution -> the pooling that takes its stride.
        self._poolings: dict[int, keras.Layer] = {}

    def pairs(self) -> Iterator[tuple[keras.Layer, keras.Layer]]:
        """Return the layers and their copies, without models and what is shared."""
        for old, new in self._copies.values():
            if old is not new and not isinstance(old, keras.Model):
                yield old, new

    def copy(self, network: keras.Model) -> keras.Model:
        if isinstance(network, keras.Sequential):
            layers = [part for la in network.layers for part in self._with_pooling(self._once(la))]
            start = keras.Input(batch_shape=network.input_shape, dtype=network.inputs[0].dtype)
            return keras.Sequential([start, *layers], name=network.name)
        return keras.models.clone_model(
            network, clone_function=self._once, call_function=self._called
        )

    def _once(self, layer: keras.Layer) -> keras.Layer:
        if id(layer) not in self._copies:
            self._copies[id(layer)] = (layer, self._copied(layer))
        return self._copies[id(layer)][1]

    def _copied(self, layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.Model):
            return self.copy(layer)
        # A Lambda's configuration does not hold its function as it is; neither it nor an operation
        # has weights, so both models can share them.
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
                    del config[name]  # weights may have been loaded into zeros
            copy = type(layer).from_config(config)
        except Exception as error:  # a layer of the user's own may raise anything
            raise ValueError(
                f"the layer {layer.name!r} ({type(layer).__name__}) can't be copied: {error}. It "
                "needs get_config and from_config"
            ) from error
        if strided:
            self._poolings[id(copy)] = keras.layers.MaxPooling2D(
                1,
                strides=layer.strides,
                data_format=layer.data_format,
                name=f"{layer.name}_stride",
            )
        return copy

    def _with_pooling(self, layer: keras.Layer) -> list[keras.Layer]:
        pooling = self._poolings.get(id(layer))
        return [layer] if pooling is None else [pooling, layer]

    def _called(self, layer: keras.Layer, *args: object, **kwargs: object) -> object:
        pooling = self._poolings.get(id(layer))
        if pooling is not None:
            args = (pooling(args[0]), *args[1:])
        return layer(*args, **kwargs)
