"""A fitted network compiled for prediction."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from skfer.networks._keras_settings import standard_keras
from skfer.training import averaged_over_views

# Images a call: enough to keep the cores busy, and few enough for the largest array amid the
# network, in bytes, to stay near the caches.
_MOST_AT_ONCE = 64
_LARGEST_ARRAY = 64e6
# Rows that a processor multiplies together.
_ROWS = 8
# Bytes of all arrays of a call, where a gradient needs them together.
_MOST_KEPT = 1e9
_MOST_ALIVE = 4e9
# Weights that go into the graph; of a larger network, a copy costs more than it saves.
_MOST_COPIED = 10_000_000
# Values of every variable that tell whether it has changed.
_SAMPLED = 1024

Answer = Callable[[np.ndarray], np.ndarray]


class CompiledNetwork:
    """A network as one graph with a fixed signature: traced once for uint8 and for float32.

    Keras's own `predict` builds a data pipeline at every call, which costs more than the
    network itself where images are few. The weights are constants of the graph, which spares
    TensorFlow to read them anew and lets it join layers; it is made again when they change.

    Parameters
    ----------
    network : keras.Model
        Training it further changes the answers. Of a layer with more than a thousand weights, a
        thousand are looked at: changing one of them by hand may go unnoticed, until the
        estimator's next fit or a copy of it.
    views : str or None, default=None
        Changed copies of every image to average the answers over, as in `skfer.training`.
    pixels : tuple of two floats, default=(0, 255)
        Range of the pixels it was fitted on, for what has to know.
    """

    def __init__(
        self,
        network: keras.Model,
        views: str | None = None,
        pixels: tuple[float, float] = (0.0, 255.0),
    ):
        self.views = views
        self.pixels = pixels
        self._network = network
        self._watch = WeightWatch(network)
        self._answers: dict[np.dtype, tuple[Answer, int]] = {}
        self._making = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Outputs for ``(n, height, width, channels)`` images, ``(n, n_outputs)`` float32."""
        answer, at_once = self._current_answer(images.dtype)
        if at_once > _ROWS:
            at_once -= at_once % _ROWS
        parts = [
            _answer_in_full_rows(answer, images[start : start + at_once])
            for start in range(0, len(images), at_once)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @standard_keras()
    def _current_answer(self, dtype: np.dtype) -> tuple[Answer, int]:
        with self._making:
            if self._watch.changed():
                self._answers.clear()
            if dtype not in self._answers:
                self._answers[dtype] = self._made(dtype)
            return self._answers[dtype]

    def _made(self, dtype: np.dtype) -> tuple[Answer, int]:
        """What answers a batch of that kind of number, and how many images it takes at once."""
        if self._network.count_params() > _MOST_COPIED:
            call = prediction(self._network, self.views)
        else:
            call = averaged_over_views(_with_constants(self._network), self.views)
        # The concrete function: TensorFlow counts traces by place in the source, and would warn
        # of retracing after a few estimators.
        spec = tf.TensorSpec(self._network.input_shape, dtype)
        graph = tf.function(call).get_concrete_function(spec)
        return lambda images: graph(tf.constant(images)).numpy(), most_images(graph)


def _answer_in_full_rows(answer: Answer, images: np.ndarray) -> np.ndarray:
    """Return the outputs for a batch that is filled up to a multiple of `_ROWS`.

    The last rows of a batch are multiplied in another order of additions: without this, the last
    bit of an output could depend on the position of its image.
    """
    n_images = len(images)
    missing = -n_images % _ROWS
    if n_images < _ROWS or not missing:
        return answer(images)
    padding = np.zeros((missing, *images.shape[1:]), images.dtype)
    return answer(np.concatenate([images, padding]))[:n_images]


class WeightWatch:
    """Says whether the weights of a network are as they were when last asked.

    It looks at up to a thousand values of each variable: comparing all would take half as long
    as a small network takes for an image.
    """

    def __init__(self, network: keras.Model):
        self._network = network
        self._sample: Callable[[], tf.Tensor] | None = None
        self._seen: np.ndarray | None = None

    def changed(self) -> bool:
        """Whether they have changed since the last call; True at the first."""
        if self._sample is None:
            variables = [variable.value for variable in self._network.weights]
            self._sample = tf.function(lambda: _sample(variables)).get_concrete_function()
        before, self._seen = self._seen, self._sample().numpy()
        return before is None or not np.array_equal(before, self._seen, equal_nan=True)


def prediction(network: keras.Model, views: str | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """What a network says of images, averaged over their views."""
    return averaged_over_views(lambda images: network(images, training=False), views)


def most_images(graph: tf.types.experimental.ConcreteFunction, *, keeps_all: bool = False) -> int:
    """How many images to give to a traced network in one call, by its largest array.

    `keeps_all` tells that arrays stay in memory until the end, as for a gradient.
    """
    shapes = [
        tensor.shape.as_list()
        for operation in graph.graph.get_operations()
        for tensor in operation.outputs
        if tensor.shape.rank
    ]
    sizes = [math.prod(s[1:]) for s in shapes if s[0] is None and None not in s[1:]]
    # At worst, all arrays are alive together.
    limit = _MOST_KEPT if keeps_all else _MOST_ALIVE
    at_once = min(_LARGEST_ARRAY / (4 * max(sizes, default=1)), limit / (4 * max(sum(sizes), 1)))
    return int(min(max(at_once, 1), _MOST_AT_ONCE))


def _with_constants(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    # TensorFlow's own `numpy`: through Keras, NumPy 2 would warn of an array without `copy`.
    trained = [variable.value.numpy() for variable in network.trainable_variables]
    others = [variable.value.numpy() for variable in network.non_trainable_variables]

    def answer(images: tf.Tensor) -> tf.Tensor:
        # Made here, inside the graph: what it captured from outside would not be its constants.
        weights = [[tf.constant(value) for value in values] for values in (trained, others)]
        return network.stateless_call(*weights, images, training=False)[0]

    return answer


def _sample(variables: list[tf.Variable]) -> tf.Tensor:
    parts = []
    for variable in variables:
        # An odd step meets every channel, of which there are mostly a power of 2.
        step = math.prod(variable.shape) // _SAMPLED | 1
        parts.append(tf.cast(tf.reshape(variable, [-1])[::step], tf.float32))
    return tf.concat(parts, axis=0)
