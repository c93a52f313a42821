"""A fitted network compiled for prediction."""

from __future__ import annotations

import threading
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from skfer.training import averaged_over_views

# Images a call: enough to keep the cores busy, few enough to stay in their caches.
_BATCH = 64


class CompiledNetwork:
    """A network as one graph with a fixed signature: traced once for uint8 and for float32.

    Keras's own `predict` builds a data pipeline at every call, which costs more than the
    network itself where images are few.

    Parameters
    ----------
    network : keras.Model
        It is read at every call: training it further changes the answers.
    views : str or None, default=None
        Changed copies of every image to average the answers over, as in `skfer.training`.
    """

    def __init__(self, network: keras.Model, views: str | None = None):
        self.views = views
        self._network = network
        self._graphs: dict[np.dtype, Callable[[tf.Tensor], tf.Tensor]] = {}
        self._tracing = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Outputs for ``(n, height, width, channels)`` images, ``(n, n_outputs)`` float32."""
        graph = self._graph(images.dtype)
        parts = [
            graph(tf.constant(images[start : start + _BATCH])).numpy()
            for start in range(0, len(images), _BATCH)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _graph(self, dtype: np.dtype) -> Callable[[tf.Tensor], tf.Tensor]:
        with self._tracing:
            if dtype not in self._graphs:
                network = self._network

                def answer(images: tf.Tensor) -> tf.Tensor:
                    return network(images, training=False)

                call = averaged_over_views(answer, self.views)
                spec = tf.TensorSpec(network.input_shape, dtype)
                # The concrete function: TensorFlow counts traces by place in the source, and
                # would warn of retracing after a few estimators.
                self._graphs[dtype] = tf.function(call).get_concrete_function(spec)
            return self._graphs[dtype]
