"""Fits that leave nothing behind in TensorFlow once their network is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

# Graphs that Keras makes for itself, and has taken every gradient of when they are done: a
# step of training or validation, and the dry run that finds the shapes of a layer's output.
_GRAPHS_OF_KERAS = ("one_step_on_data", "scratch_graph")


def build_state(network: keras.Model, targets: np.ndarray) -> None:
    """Create the variables of a compiled network's optimiser and metrics, before it is fitted.

    Left to itself, Keras creates them while TensorFlow traces the first step. TensorFlow then
    traces the step a second time, and never lets go of the first trace: twice the start-up
    time of a fit, and half of the memory it leaks.

    Parameters
    ----------
    network : keras.Model
        Compiled; what has been built already is left as it is.
    targets : ndarray of shape (n,) or (n, n_outputs)
        As they are given to the fit.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from skfer.training import build_state
    >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    >>> network.compile("adam", "sparse_categorical_crossentropy")
    >>> build_state(network, targets=np.zeros(8, int))
    >>> network.optimizer.built
    True
    """
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
        outputs = np.ones((1, network.output_shape[-1]), np.float32)
        network.compute_metrics(None, targets[:1], outputs)
        network.reset_metrics()


@contextlib.contextmanager
def no_graphs_left_behind(*, keep_kernels: bool = False) -> Iterator[None]:
    """Let TensorFlow forget the gradient functions that Keras's graphs registered inside.

    TensorFlow keeps every custom gradient traced in a process by name, for good, and with it
    the graph, some 30 MB for a little VGG. Keras's optimisers make one a fit (the sum of the
    gradients over all devices, of which there is one), and activations such as "silu" one a
    use. They were called, if at all, while their graph was traced, and are of no use after.

    Graphs of any other origin keep theirs, in this thread and in others. The cache of kernels,
    which outlive the functions they were made for (6 MB a fit), is emptied too. There is no
    public way to either: in a TensorFlow that keeps them elsewhere, nothing happens.

    Parameters
    ----------
    keep_kernels : bool, default=False
        Leave the cache of kernels. A function that was called before and is called again would
        have its graph optimised again, which takes longer than a step of training.

    Yields
    ------
    None

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skfer.training import no_graphs_left_behind
    >>> with no_graphs_left_behind():
    ...     float(tf.reduce_sum([1.0, 2.0]))
    3.0
    """
    registry = _registered_gradients()
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            entry = registry.get(name, {})  # a fit in another thread may have been faster
            if name.startswith("CustomGradient-") and _of_keras(entry.get("type")):
                registry.pop(name, None)
        if not keep_kernels:
            _clear_kernel_cache()


def _clear_kernel_cache() -> None:
    """Drop the kernels of functions called so far; a live function gets them anew when called."""
    try:
        from tensorflow.python.eager.context import context

        context().clear_kernel_cache()
    except (ImportError, AttributeError):
        pass


def _registered_gradients() -> dict[str, dict[str, Any]]:
    try:
        from tensorflow.python.framework.ops import gradient_registry

        return gradient_registry._registry
    except (ImportError, AttributeError):
        return {}


def _of_keras(gradient: Any) -> bool:
    """Whether a gradient function closes over a result that is in a graph of Keras's own."""
    # TensorFlow registers a function around the one that holds the results.
    for held in _closed_over(gradient):
        for value in _closed_over(held):
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                name = getattr(getattr(tensor, "graph", None), "name", None)
                if isinstance(name, str) and name.startswith(_GRAPHS_OF_KERAS):
                    return True
    return False


def _closed_over(function: Any) -> tuple:
    try:
        return tuple(cell.cell_contents for cell in getattr(function, "__closure__", None) or ())
    except ValueError:  # an empty cell
        return ()
