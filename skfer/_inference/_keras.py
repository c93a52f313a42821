"""Prediction with a Keras network: exported to ONNX, or as a TensorFlow graph."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skfer._inference._onnx import (
    Backend,
    OnnxBackend,
    OnnxNetwork,
    n_views,
    require_onnx,
    shifted_windows,
)
from skfer._inference._onnx_graph import INPUT, MAX_ARRAY_BYTES, MAX_IMAGES, build_onnx_model
from skfer.networks._description import describe_network
from skfer.networks._keras_settings import standard_keras
from skfer.networks._layers import feature_extractor

# Most bytes of all arrays of a call, if a gradient keeps them and otherwise.
_MAX_KEPT_BYTES = 1e9
_MAX_LIVE_BYTES = 4e9
# Rows that a processor multiplies together.
_ROWS = 8
# Most weights of a network whose weights are constants of its graph. For a larger network, the copy
# costs much memory and saves little time.
_MAX_COPIED_WEIGHTS = 10_000_000
# Values of each variable that are compared to detect a change.
_SAMPLED = 1024


def keras_backend(
    network: keras.Model,
    name: str,
    views: str | None = None,
    *,
    features: bool = False,
    pixel_range: tuple[float, float] = (0.0, 255.0),
) -> Backend:
    """Return the backend of a Keras network.

    Parameters
    ----------
    network : keras.Model
        Network from pixels to outputs: scaling, and its body.
    name : {"auto", "keras", "onnx", "onnx-int8"}
        "auto" is "onnx" if skfer can export the network, and "keras" otherwise.
    views : {"flip", "ten"} or None, default=None
        Test-time augmentation.
    features : bool, default=False
        Whether the inputs of the last layer with weights are returned instead of the outputs.
    pixel_range : tuple of two floats, default=(0, 255)
        Range of the images, for 8 bits.
    """
    exported = None
    if name == "auto":
        with contextlib.suppress(ValueError):
            exported = export_network(network)
        name = "keras" if exported is None else "onnx"
    if name == "keras":
        return KerasBackend(feature_network(network) if features else network, views)
    calibration = pixel_range if name == "onnx-int8" else None
    return ExportedBackend(network, exported, views, features=features, calibration=calibration)


def feature_network(network: keras.Model) -> keras.Model:
    """Return a network of scaling and body without the last layer of the body."""
    with standard_keras():
        scale, body = network.layers[1:]
        return keras.Model(network.inputs[0], feature_extractor(body)(scale.output))


def export_network(network: keras.Model) -> OnnxNetwork:
    """Return a network as an ONNX model, with its description.

    Raises
    ------
    ValueError
        If it has a layer that cannot be exported.
    """
    return OnnxNetwork(build_onnx_model({"network": describe_network(network)}))


def _converted_network(network: keras.Model) -> OnnxNetwork:
    """Return a network as an ONNX model; one with layers of its own is converted by tf2onnx."""
    try:
        return export_network(network)
    except ValueError:
        require_onnx("backend='onnx' for a network with layers of its own", "tf2onnx")
        from skfer._inference._tf2onnx import convert_to_onnx

        call = prediction_function(network, None)
        spec = tf.TensorSpec(network.input_shape, tf.float32, name=INPUT)
        model = convert_to_onnx(tf.function(lambda images: {"network": call(images)}), spec)
        return OnnxNetwork(model.SerializeToString())


class ExportedBackend:
    """A Keras network in ONNX Runtime, exported again when its weights have changed."""

    def __init__(
        self,
        network: keras.Model,
        exported: OnnxNetwork | None,
        views: str | None,
        **options: Any,
    ):
        self._network = network
        self._exported = exported
        self._views = views
        self._options = options
        self._monitor = WeightMonitor(network)
        self._backend: OnnxBackend | None = None
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs, ``(n, n_outputs)`` float32, for ``(n, height, width, channels)``."""
        return self._current()(images)

    @standard_keras()
    def _current(self) -> OnnxBackend:
        with self._lock:
            if self._monitor.changed() or self._backend is None:
                network = self._exported or _converted_network(self._network)
                self._backend = OnnxBackend(network, self._views, **self._options)
                self._exported = None
            return self._backend


class KerasBackend:
    """A network as a TensorFlow graph with a fixed signature, traced for each dtype.

    `keras.Model.predict` builds a data pipeline in each call, which takes longer than the network
    for few images. Weights are constants of the graph, which lets TensorFlow join layers. The
    graph is traced again when they change.
    """

    def __init__(self, network: keras.Model, views: str | None = None):
        self.views = views
        self._network = network
        self._monitor = WeightMonitor(network)
        self._functions: dict[np.dtype, tuple[Backend, int]] = {}
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
    def _current(self, dtype: np.dtype) -> tuple[Backend, int]:
        with self._lock:
            if self._monitor.changed():
                self._functions.clear()
            if dtype not in self._functions:
                self._functions[dtype] = self._compile(dtype)
            return self._functions[dtype]

    def _compile(self, dtype: np.dtype) -> tuple[Backend, int]:
        """Return a function for images of a dtype, and its batch size."""
        if self._network.count_params() > _MAX_COPIED_WEIGHTS:
            call = prediction_function(self._network, self.views)
        else:
            call = average_over_views(_with_constant_weights(self._network), self.views)
        # The concrete function: TensorFlow counts traces by place in the source, and would warn of
        # retracing after a few estimators.
        spec = tf.TensorSpec(self._network.input_shape, dtype)
        graph = tf.function(call).get_concrete_function(spec)
        return lambda images: graph(tf.constant(images)).numpy(), largest_batch(graph)


def _predict_full_rows(predict: Backend, images: np.ndarray) -> np.ndarray:
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


def prediction_function(
    network: keras.Model, views: str | None
) -> Callable[[tf.Tensor], tf.Tensor]:
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
    limit = _MAX_KEPT_BYTES if keeps_all else _MAX_LIVE_BYTES
    largest = MAX_ARRAY_BYTES / (4 * max(sizes, default=1))
    batch_size = min(largest, limit / (4 * max(sum(sizes), 1)))
    return int(min(max(batch_size, 1), MAX_IMAGES))


def average_over_views(
    function: Callable[[tf.Tensor], tf.Tensor], views: str | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Average a function of images over the copies of each image, see `image_views`."""
    if n_views(views) == 1:
        return function

    def averaged(images: tf.Tensor) -> tf.Tensor:
        copies = [images]
        if views == "ten":
            padding, windows = shifted_windows(*images.shape[1:3])
            padded = tf.pad(images, padding, mode="SYMMETRIC")
            copies += [padded[:, rows, columns] for rows, columns in windows]
        copies += [tf.reverse(copy, axis=[2]) for copy in copies]
        outputs = function(tf.concat(copies, axis=0))
        return tf.reduce_mean(tf.reshape(outputs, (len(copies), -1, outputs.shape[-1])), axis=0)

    return averaged
