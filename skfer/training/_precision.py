"""Mixed precision for training, decided in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

_POLICIES = {None: "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_CPU_FLAGS = Path("/proc/cpuinfo")


def precision_policy(mixed_precision: str | None) -> str:
    """Name of the Keras dtype policy that `mixed_precision` stands for.

    Parameters
    ----------
    mixed_precision : {None, "auto", "bfloat16", "float16"}
        "auto" is float16 on a GPU, bfloat16 on a CPU with instructions for it, and float32
        anywhere else.
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
def compute_in(policy: str) -> Iterator[None]:
    """Build layers under a dtype policy; Keras's global one is put back afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def set_precision(network: keras.Model, policy: str) -> None:
    """Let a built network compute in another precision from its next trace on.

    Its variables are float32 under every policy, so nothing is lost. Layers that were given a
    precision of their own (a float32 softmax) stay as they are.
    """
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            set_precision(layer, policy)
        elif layer.name not in ("probabilities", "scaling"):
            layer.dtype_policy = policy
