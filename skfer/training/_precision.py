"""Mixed precision for training, decided in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

from skfer.networks._anatomy import all_layers

_POLICIES = {None: "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_CPU_FLAGS = Path("/proc/cpuinfo")


def precision_policy(mixed_precision: str | None) -> str:
    """Name of the Keras dtype policy that `mixed_precision` stands for.

    Parameters
    ----------
    mixed_precision : {None, "auto", "bfloat16", "float16"}
        "auto" is float16 on a GPU, bfloat16 on a CPU with instructions for it, and float32
        anywhere else.

    Returns
    -------
    str

    Examples
    --------
    >>> from skfer.training import precision_policy
    >>> precision_policy(None), precision_policy("bfloat16")
    ('float32', 'mixed_bfloat16')
    """
    if mixed_precision == "auto":
        return _POLICIES[_fastest_precision()]
    return _POLICIES[mixed_precision]


def _fastest_precision() -> str | None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return "float16"
    if _CPU_FLAGS.exists():
        flags = _CPU_FLAGS.read_text()
        if "avx512_bf16" in flags or "amx_bf16" in flags:
            return "bfloat16"
    return None


@contextlib.contextmanager
def computing_in(network: keras.Model, policy: str) -> Iterator[None]:
    """Let a built network be traced under another dtype policy for a while.

    Its variables are float32 under every policy, so nothing is lost on the way to and fro.
    From the last layer with weights on, the network stays as it is: sums of bfloat16
    probabilities miss 1.

    Parameters
    ----------
    network : keras.Model
    policy : str
        The name of a dtype policy, as `precision_policy` gives it.

    Yields
    ------
    None

    Examples
    --------
    >>> from skfer.networks import build_network
    >>> from skfer.training import computing_in
    >>> network = build_network("mini_xception", (48, 48, 1), 3)
    >>> with computing_in(network, "mixed_bfloat16"):
    ...     sorted({layer.compute_dtype for layer in network.layers})
    ['bfloat16', 'float32']
    >>> {layer.compute_dtype for layer in network.layers}
    {'float32'}
    """
    if policy == "float32":
        yield
        return
    layers = [network, *_layers_before_the_last_weights(network)]
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.dtype_policy = own


def _layers_before_the_last_weights(network: keras.Model) -> list[keras.Layer]:
    layers = list(all_layers(network))
    with_weights = [place for place, layer in enumerate(layers) if layer.weights]
    return layers[: with_weights[-1]] if with_weights else []
