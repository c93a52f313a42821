"""Gradients of a class's score through a fitted network, as graphs that are traced once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skfer._compiled_network import most_images
from skfer.networks._feature_maps import run_with_feature_map
from skfer.networks._keras_settings import standard_keras

# A probability below this has no logarithm in single precision.
_LEAST = 1e-37

Arithmetic = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class ImageGraph:
    """A function of images and their classes as one graph, traced once for each kind of number.

    The network's weights are read at every call: training it further changes the answers.

    Parameters
    ----------
    network : keras.Model
    arithmetic : callable
        From ``(n, H, W, channels)`` float32 pixels and n codes to an array of n rows.
    """

    def __init__(self, network: keras.Model, arithmetic: Arithmetic):
        self._shape = network.input_shape
        self._arithmetic = arithmetic
        self._graphs: dict[np.dtype, tuple[Any, int]] = {}
        self._tracing = threading.Lock()

    def __call__(self, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """What the function says of ``(n, H, W, channels)`` images, a memory-full at a time."""
        graph, at_once = self._graph(images.dtype)
        codes = codes.astype(np.int32)
        parts = [
            graph(
                tf.constant(images[start : start + at_once]),
                tf.constant(codes[start : start + at_once]),
            ).numpy()
            for start in range(0, len(images), at_once)
        ]
        return np.concatenate(parts)

    @standard_keras()
    def _graph(self, dtype: np.dtype) -> tuple[Any, int]:
        with self._tracing:
            if dtype not in self._graphs:

                def function(images: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
                    return self._arithmetic(tf.cast(images, tf.float32), codes)

                # The concrete function, for the reasons that `CompiledNetwork` has.
                graph = tf.function(function).get_concrete_function(
                    tf.TensorSpec(self._shape, dtype), tf.TensorSpec([None], tf.int32)
                )
                self._graphs[dtype] = graph, most_images(graph, keeps_all=True)
            return self._graphs[dtype]


def pixel_gradient(network: keras.Model) -> Arithmetic:
    """How the score of a class changes with each value of each pixel."""

    def gradient(pixels: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            score = _score(network(pixels, training=False), codes)
        return tape.gradient(score, pixels, unconnected_gradients="zero")

    return gradient


def class_activation(network: keras.Model, layer: keras.Layer) -> Arithmetic:
    """Grad-CAM: a layer's channels, weighed by how the score changes with them."""

    def activation(pixels: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            channels, outputs = run_with_feature_map(network, layer, pixels)
            score = _score(outputs, codes)
        gradient = tape.gradient(score, channels, unconnected_gradients="zero")
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        coarse = tf.nn.relu(tf.reduce_sum(weights * channels, axis=-1, keepdims=True))
        return tf.image.resize(coarse, pixels.shape[1:3])[..., 0]

    return activation


def graph_of(classifier: Any, key: Any, make: Callable[[keras.Model], Arithmetic]) -> ImageGraph:
    """The graph of a fitted classifier's network under that key, kept with the network.

    Two threads that are first make one each, of which one is kept.
    """
    graphs = classifier._inspecting
    if key not in graphs:
        graphs.setdefault(key, ImageGraph(classifier.network_, make(classifier.network_)))
    return graphs[key]


def _score(proba: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """The logit of a class less the mean of all logits, which alone the probabilities tell."""
    logs = tf.math.log(tf.maximum(proba, _LEAST))
    return tf.gather(logs, codes, batch_dims=1) - tf.reduce_mean(logs, axis=1)
