"""Mixed precision for training, decided in one place."""

from __future__ import annotations

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


def set_precision(network: keras.Model, policy: str) -> None:
    """Let a built network compute under another dtype policy from its next trace on.

    Its variables are float32 under every policy, so nothing is lost on the way to and fro.
    The last layer, the softmax, stays float32: sums of bfloat16 probabilities miss 1.
    """
    network.dtype_policy = policy
    for layer in network.layers[:-1]:
        if isinstance(layer, keras.Model):
            set_precision(layer, policy)
        else:
            layer.dtype_policy = policy
