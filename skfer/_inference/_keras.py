"""Prediction with a TensorFlow graph of fixed signature."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from skfer.networks._keras_settings import standard_keras

# Most images of a call, and most bytes of the largest array of a call, which stays near the caches.
_MOST_IMAGES = 64
_LARGEST_ARRAY = 64e6
# Bytes of all arrays of a call: kept together for a gradient, and alive together at worst.
_MOST_KEPT = 1e9
_MOST_ALIVE = 4e9
# Rows that a processor multiplies together.
_ROWS = 8
# Weights of the largest network that is copied into its graph; of a larger one, a copy costs more
# memory than it saves time.
_MOST_COPIED = 10_000_000
# Values of each variable that are compared to detect a change.
_SAMPLED = 1024

# Values of `test_time_augmentation`, besides None.
VIEWS = ("flip", "ten")
# Shift of the views of "ten", as a share of the side.
_SHIFT = 1 / 24

Predict = Callable[[np.ndarray], np.ndarray]


class KerasBackend:
    """A network as a TensorFlow graph with a fixed signature, traced for each dtype.

    `keras.Model.predict` builds a data pipeline in each call, which takes longer than the network
    for few images. Weights are constants of the graph, which lets TensorFlow join layers. The
    graph is traced again when they change.
    """

    def __init__(
        self,
        network: keras.Model,
        views: str | None = None,
        pixel_range: tuple[float, float] = (0.0, 255.0),
    ):
        self.views = views
        self.pixel_range = pixel_range
        self._network = network
        self._monitor = WeightMonitor(network)
        self._functions: dict[np.dtype, tuple[Predict, int]] = {}
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs, ``(n, n_outputs)`` float32, for ``(n, height, width, channels)``."""
        predict, batch_size = self._current(images.dtype)
        if batch_size > _ROWS:
            batch_size -= batch_size % _ROWS
        outputs = [
            _predict_full_rows(predict, images[start : start + batch_size])
            for start in range(0, len(images), batch_size)
        ]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    @standard_keras()
    def _current(self, dtype: np.dtype) -> tuple[Predict, int]:
        with self._lock:
            if self._monitor.changed():
                self._functions.clear()
            if dtype not in self._functions:
                self._functions[dtype] = self._compile(dtype)
            return self._functions[dtype]

    def _compile(self, dtype: np.dtype) -> tuple[Predict, int]:
        """Return a function for images of a dtype, and its batch size."""
        if self._network.count_params() > _MOST_COPIED:
            call = network_function(self._network, self.views)
        else:
            call = average_over_views(_with_constant_weights(self._network), self.views)
        # The concrete function: TensorFlow counts traces by place in the source, and would warn of
        # retracing after a few estimators.
        spec = tf.TensorSpec(self._network.input_shape, dtype)
        graph = tf.function(call).get_concrete_function(spec)
        return lambda images: graph(tf.constant(images)).numpy(), largest_batch(graph)


def _predict_full_rows(predict: Predict, images: np.ndarray) -> np.ndarray:
    """Return the outputs of a batch, which is padded to a multiple of `_ROWS` images.

    The last rows of a batch are multiplied in another order of additions. Without padding, the last
    bit of an output could depend on the position of its image.
    """
    n_images = len(images)
    missing = -n_images % _ROWS
    if n_images < _ROWS or not missing:
        return predict(images)
    padding = np.zeros((missing, *images.shape[1:]), images.dtype)
    return predict(np.concatenate([images, padding]))[:n_images]


class WeightMonitor:
    """Detects changes of the weights of a network.

    It compares up to about a thousand values of each variable: comparing all would take half as
    long as a small network takes for an image.
    """

    def __init__(self, network: keras.Model):
        self._network = network
        self._sample: Callable[[], tf.Tensor] | None = None
        self._last: np.ndarray | None = None

    def changed(self) -> bool:
        """Return whether the weights have changed since the last call; True in the first."""
        if self._sample is None:
            variables = [variable.value for variable in self._network.weights]
            self._sample = tf.function(lambda: _sample(variables)).get_concrete_function()
        before, self._last = self._last, self._sample().numpy()
        return before is None or not np.array_equal(before, self._last, equal_nan=True)


def _sample(variables: list[tf.Variable]) -> tf.Tensor:
    samples = []
    for variable in variables:
        # An odd step reaches every channel; their number is mostly a power of 2.
        step = math.prod(variable.shape) // _SAMPLED | 1
        samples.append(tf.cast(tf.reshape(variable, [-1])[::step], tf.float32))
    return tf.concat(samples, axis=0)


def network_function(network: keras.Model, views: str | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function from images to the outputs of a network, averaged over views."""
    return average_over_views(lambda images: network(images, training=False), views)


def _with_constant_weights(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    # TensorFlow's own `numpy`: through Keras (3.15), NumPy 2 warns of an array without `copy`.
    trained = [variable.value.numpy() for variable in network.trainable_variables]
    others = [variable.value.numpy() for variable in network.non_trainable_variables]

    def call(images: tf.Tensor) -> tf.Tensor:
        # Inside the traced function: constants from outside would be captured as inputs.
        weights = [[tf.constant(value) for value in values] for values in (trained, others)]
        return network.stateless_call(*weights, images, training=False)[0]

    return call


def largest_batch(graph: tf.types.experimental.ConcreteFunction, *, keeps_all: bool = False) -> int:
    """Return the number of images for one call of a traced network, by its largest array.

    With `keeps_all`, all arrays are kept until the end, as for a gradient.
    """
    shapes = [
        tensor.shape.as_list()
        for operation in graph.graph.get_operations()
        for tensor in operation.outputs
        if tensor.shape.rank
    ]
    sizes = [math.prod(s[1:]) for s in shapes if s[0] is None and None not in s[1:]]
    limit = _MOST_KEPT if keeps_all else _MOST_ALIVE
    largest = _LARGEST_ARRAY / (4 * max(sizes, default=1))
    batch_size = min(largest, limit / (4 * max(sum(sizes), 1)))
    return int(min(max(batch_size, 1), _MOST_IMAGES))


def average_over_views(
    function: Callable[[tf.Tensor], tf.Tensor], views: str | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Average a function of images over changed copies of each image.

    "flip" is the image and its mirror image. "ten" is both, in the centre and shifted by a 24th of
    the side in the four diagonal directions. None is the image alone.
    """
    if views is None:
        return function
    if views not in VIEWS:
        raise ValueError(
            f"test_time_augmentation must be one of {list(VIEWS)} or None; got {views!r}."
        )

    def averaged(images: tf.Tensor) -> tf.Tensor:
        copies = [images] if views == "flip" else _shifted_copies(images)
        copies += [tf.reverse(copy, axis=[2]) for copy in copies]
        outputs = function(tf.concat(copies, axis=0))
        return tf.reduce_mean(tf.reshape(outputs, (len(copies), -1, outputs.shape[-1])), axis=0)

    return averaged


def _shifted_copies(images: tf.Tensor) -> list[tf.Tensor]:
    """Return the images, and copies shifted in each diagonal direction."""
    height, width = images.shape[1:3]
    y, x = (max(1, round(side * _SHIFT)) if side > 1 else 0 for side in (height, width))
    padded = tf.pad(images, ((0, 0), (y, y), (x, x), (0, 0)), mode="SYMMETRIC")
    corners = [(0, 0), (0, 2 * x), (2 * y, 0), (2 * y, 2 * x)]
    return [images] + [padded[:, top : top + height, left : left + width] for top, left in corners]
