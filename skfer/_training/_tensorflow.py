"""Workarounds for Keras and TensorFlow: seeds, memory, threads, warnings, precision.

Each function names the behaviour that it works around, and the version in which it was observed. If
a later version moves the internals that a workaround uses, the workaround has no effect.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.random import seed_generator

from skfer._utils import require_usable_tensorflow, tensorflow_in_use, threads_allowed
from skfer.networks._layers import all_layers


def prepare_tensorflow() -> None:
    """Limit TensorFlow to the threads that this process may use, unless it has started already.

    TensorFlow (2.21) ignores ``OMP_NUM_THREADS``, which joblib and Dask set in their workers.
    """
    require_usable_tensorflow()
    allowed = threads_allowed()
    if allowed is None or tensorflow_in_use():
        return
    for kind in ("intra", "inter"):
        # A limit that other code has set stays.
        if getattr(tf.config.threading, f"get_{kind}_op_parallelism_threads")() == 0:
            getattr(tf.config.threading, f"set_{kind}_op_parallelism_threads")(allowed)


class _ThreadLocalRandom:
    """The module `random`, except in a thread that has a generator of its own."""

    def __init__(self) -> None:
        self.local = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self.local, "generator", None) or random, name)


# Keras (3.15) draws the seeds of layers from Python's global generator. Other threads may draw from
# it at any time, as the event loop of a Dask worker does, and would shift the numbers.
_keras_random = _ThreadLocalRandom()
if getattr(seed_generator, "python_random", None) is random:
    seed_generator.python_random = _keras_random
_random_lock = threading.RLock()


@contextlib.contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed the generator that Keras draws from, and restore its state at the end.

    Keras layers draw the seeds of their initial weights and dropout masks when they are built.
    TensorFlow's global seed is left alone: no fit depends on it.
    """
    with _random_lock:
        state, outer = random.getstate(), getattr(_keras_random.local, "generator", None)
        random.seed(seed)
        _keras_random.local.generator = random.Random(seed)
        try:
            yield
        finally:
            random.setstate(state)
            _keras_random.local.generator = outer


def build_optimizer_state(network: keras.Model, targets: np.ndarray) -> None:
    """Create the variables of the optimizer and the metrics of a compiled network.

    Keras (3.15) creates them while TensorFlow traces the first step. TensorFlow then traces the
    step a second time and never releases the first graph, which doubles the start-up time of a fit
    and half of the memory that it leaks.
    """
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
        outputs = np.ones((1, network.output_shape[-1]), np.float32)
        network.compute_metrics(None, targets[:1], outputs)
        network.reset_metrics()


# Names of the graphs that Keras makes for a step of training or validation, and to find the shapes
# of a layer's outputs.
_KERAS_GRAPHS = ("one_step_on_data", "scratch_graph")


@contextlib.contextmanager
def release_graphs(*, keep_kernels: bool = False) -> Iterator[None]:
    """Release the gradient functions and kernels that Keras's graphs registered in this context.

    TensorFlow (2.21) keeps every custom gradient of a process by name, and with it the graph, about
    30 MB for a little VGG. Keras's optimizers make one in each fit, and activations such as
    "silu" one for each use. They are not called again after their graph is traced. Gradients of
    other graphs are kept. The cache of kernels (6 MB a fit) is emptied too, unless `keep_kernels`:
    a function that is called again is then optimised again, which takes longer than a step.
    """
    registry = _gradient_registry()
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            entry = registry.get(name, {})  # another thread may have removed it
            if name.startswith("CustomGradient-") and _is_keras_gradient(entry.get("type")):
                registry.pop(name, None)
        if not keep_kernels:
            _clear_kernel_cache()


def _clear_kernel_cache() -> None:
    try:
        from tensorflow.python.eager.context import context

        context().clear_kernel_cache()
    except (ImportError, AttributeError):
        pass


def _gradient_registry() -> dict[str, dict[str, Any]]:
    try:
        from tensorflow.python.framework.ops import gradient_registry

        return gradient_registry._registry
    except (ImportError, AttributeError):
        return {}


def _is_keras_gradient(gradient: Any) -> bool:
    """Return whether a gradient function closes over a tensor of one of Keras's graphs."""
    # TensorFlow registers a wrapper around the function that holds the tensors.
    for function in _closure(gradient):
        for value in _closure(function):
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                name = getattr(getattr(tensor, "graph", None), "name", None)
                if isinstance(name, str) and name.startswith(_KERAS_GRAPHS):
                    return True
    return False


def _closure(function: Any) -> tuple:
    try:
        return tuple(cell.cell_contents for cell in getattr(function, "__closure__", None) or ())
    except ValueError:  # an empty cell
        return ()


class _RetracingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def ignore_retracing_warnings() -> Iterator[None]:
    """Suppress TensorFlow's warning of repeated tracing during a fit.

    TensorFlow (2.21) counts the training steps of all networks as one function, by their place in
    Keras's source. Every fit traces its own step once, so that short fits in a search warn.
    """
    logger = logging.getLogger("tensorflow")
    own = _RetracingFilter()  # one for each fit: fits in threads must not share it
    logger.addFilter(own)
    try:
        yield
    finally:
        logger.removeFilter(own)


_KERAS_MOMENTUM = 0.99
_EPOCHS_AVERAGED = 0.25
_LOWEST_MOMENTUM = 0.5


@contextlib.contextmanager
def short_fit_momentum(network: keras.Model, steps_per_epoch: int) -> Iterator[None]:
    """Lower the momentum of batch normalisation during a fit with few steps per epoch.

    Keras's default of 0.99 averages statistics over several hundred steps. A shorter fit predicts
    with statistics of the initial weights. The lower momentum averages over a quarter of an epoch.
    From 400 steps per epoch on, 0.99 stays. A layer with a momentum below 0.99 keeps it.
    """
    momentum = max(_LOWEST_MOMENTUM, 1.0 - 1.0 / max(1.0, _EPOCHS_AVERAGED * steps_per_epoch))
    layers = [
        layer
        for layer in all_layers(network)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum >= _KERAS_MOMENTUM
    ]
    if layers and getattr(network, "_skfer_momentum", momentum) != momentum:
        network.train_function = None  # the momentum is a constant of its graph
    network._skfer_momentum = momentum
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = min(layer.momentum, momentum)
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.momentum = own


_POLICIES = {None: "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_CPU_FLAGS = Path("/proc/cpuinfo")


def dtype_policy(mixed_precision: str | None) -> str:
    """Return the Keras dtype policy for a `mixed_precision` parameter.

    "auto" is float16 on a GPU, bfloat16 on a CPU with instructions for it, float32 otherwise.
    """
    if mixed_precision == "auto":
        return _POLICIES[_fastest_precision()]
    return _POLICIES[mixed_precision]


def _fastest_precision() -> str | None:
    if tf.config.list_physical_devices("GPU"):
        return "float16"
    if _CPU_FLAGS.exists():
        flags = _CPU_FLAGS.read_text()
        if "avx512_bf16" in flags or "amx_bf16" in flags:
            return "bfloat16"
    return None


@contextlib.contextmanager
def use_dtype_policy(network: keras.Model, policy: str) -> Iterator[None]:
    """Switch the layers of a built network to another dtype policy in this context.

    Keras (3.15) takes the policy of a layer when it is built, from a process-wide setting. Here
    the policy is set on the layers, so that other networks are not affected. Variables are
    float32 under every policy. The last layer with weights and those after it keep their policy:
    probabilities in bfloat16 do not sum to 1.
    """
    if policy == "float32":
        yield
        return
    layers = list(all_layers(network))
    last = max((index for index, layer in enumerate(layers) if layer.weights), default=0)
    layers = [network, *layers[:last]]
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.dtype_policy = own
