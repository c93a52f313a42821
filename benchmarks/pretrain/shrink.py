"""Initialise a narrow network with the most important channels of a wide one.

The importance of a channel is the root mean square of its activation over some images, times the
norm of the weights that read it. Both networks are `mini_resnet` and differ only in width. The
narrow one is inaccurate at first and needs fewer epochs than from random weights.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

# Layers that change the channels.
_MIXING = (layers.Conv2D, layers.Dense)


def shrink(wide: keras.Model, narrow: keras.Model, images: np.ndarray) -> None:
    """Set the weights of `narrow` to those of the most important channels of `wide`.

    Parameters
    ----------
    wide, narrow : keras.Model
    images : ndarray of float32, shape (n, height, width, 1)
        For the activations and the statistics of batch normalisation.
    """
    group = _groups(wide)
    importance = _importance(wide, group, images)
    channels = {}
    for layer, small in zip(wide.layers, narrow.layers, strict=True):
        key, count = group[id(layer.output)], small.output.shape[-1]
        values = importance.get(key, np.ones(count))
        channels[key] = np.sort(np.argsort(-values, kind="stable")[:count])
    for layer, small in zip(wide.layers, narrow.layers, strict=True):
        if not layer.weights:
            continue
        inputs, outputs = channels[group[id(layer.input)]], channels[group[id(layer.output)]]
        small.set_weights(
            [
                np.take(
                    np.take(array, inputs, axis=-2) if array.ndim > 1 else array, outputs, axis=-1
                )
                for array in layer.get_weights()
            ]
        )
    _estimate_statistics(narrow, images)


def _groups(network: keras.Model) -> dict[int, int]:
    """Map each tensor id to a group; tensors with the same channels are in one group."""
    group: dict[int, int] = {}
    for layer in network.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        group.setdefault(id(layer.output), id(layer.output))
        if isinstance(layer, _MIXING):
            continue
        for tensor in inputs:
            old, new = group.setdefault(id(tensor), id(tensor)), group[id(layer.output)]
            group.update({key: new for key, value in group.items() if value == old})
    return group


def _importance(
    network: keras.Model, group: dict[int, int], images: np.ndarray
) -> dict[int, np.ndarray]:
    """Return the importance of the channels of each group that a layer with a kernel reads."""
    readers = [layer for layer in network.layers if isinstance(layer, _MIXING)]
    activations = keras.Model(network.inputs[0], [layer.input for layer in readers])(images)
    importance: dict[int, np.ndarray] = {}
    for layer, value in zip(readers, activations, strict=True):
        value, kernel = keras.ops.convert_to_numpy(value), layer.get_weights()[0]
        size = np.sqrt(np.square(value).reshape(-1, value.shape[-1]).mean(axis=0))
        norm = np.sqrt(np.square(np.moveaxis(kernel, -2, 0)).reshape(len(size), -1).sum(axis=1))
        key = group[id(layer.input)]
        importance[key] = importance.get(key, 0) + size * norm
    return importance


def _estimate_statistics(network: keras.Model, images: np.ndarray) -> None:
    """Set the statistics of batch normalisation to those of the images, layer by layer."""
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            value = keras.ops.convert_to_numpy(keras.Model(network.inputs[0], layer.input)(images))
            axes = tuple(range(value.ndim - 1))
            scale, offset, *_ = layer.get_weights()
            layer.set_weights([scale, offset, value.mean(axis=axes), value.var(axis=axes)])
