"""Import of Keras, and its process-wide settings while networks are built or traced."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_n_inside = 0
_outer: tuple[str, str] = ("", "")


@contextlib.contextmanager
def standard_keras() -> Iterator[None]:
    """Work in float32 with channels last, whatever the process has set in `keras.config`.

    A dtype policy, floatx or image data format that a notebook sets for its own networks would
    otherwise change how networks of skfer are built, trained, saved and traced. The settings of
    the process are restored at the end. It also serves as a decorator.

    Floatx and the data format belong to all threads: they are restored when the last thread
    leaves. The dtype policy belongs to one thread.
    """
    import_keras()
    import keras

    global _n_inside, _outer
    policy = keras.config.dtype_policy()
    with _lock:
        if _n_inside == 0:
            _outer = keras.config.floatx(), keras.config.image_data_format()
            keras.config.set_floatx("float32")
            keras.config.set_image_data_format("channels_last")
        _n_inside += 1
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        with _lock:
            _n_inside -= 1
            if _n_inside == 0:
                keras.config.set_floatx(_outer[0])
                keras.config.set_image_data_format(_outer[1])


def import_keras() -> None:
    """Import Keras and TensorFlow without their notes on standard error, and with oneDNN.

    TensorFlow 2.21 writes some notes before it reads its log level. It uses the kernels of oneDNN
    by default on processors with AVX-512 only, but they are faster on others too. A log level and a
    choice of kernels that the user set are kept.
    """
    if not {"keras", "tensorflow"} <= sys.modules.keys():
        _import_silently()
    import keras

    if keras.config.backend() != "tensorflow":
        raise _other_backend(keras.config.backend())


def _import_silently() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        with _silent_stderr():
            import keras  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name in ("jax", "torch", "openvino"):
            raise _other_backend(error.name) from error
        if error.name not in ("keras", "tensorflow"):
            raise
        raise ImportError(
            f"Networks are built and trained with Keras and TensorFlow, and {error.name} is not "
            'installed: pip install "tensorflow>=2.18" "keras>=3.15" "scikeras>=0.13". '
            "Predictions of pretrained and saved models don't need them."
        ) from error


def _other_backend(name: str) -> ImportError:
    return ImportError(
        f"Keras is set to the backend {name}, and skfer trains with TensorFlow: set the "
        "environment variable KERAS_BACKEND=tensorflow before Python starts. Without this "
        'variable, Keras reads "backend" in ~/.keras/keras.json.'
    )


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard what C code writes to standard error."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # standard error is closed
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
