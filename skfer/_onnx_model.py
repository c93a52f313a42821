"""TensorFlow graphs as ONNX models."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from skfer._extras import not_installed

if TYPE_CHECKING:
    import onnx
    import onnxruntime

# Of 2021: every ONNX Runtime from 1.10 on runs it, and all that the networks need is in it.
OPSET = 15

_CONVERTING = threading.Lock()  # tf2onnx numbers its nodes in one place for all


def require_onnx(needed_by: str, *packages: str) -> None:
    """Raise the error that says what to install, if one of the packages is not there."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise not_installed(missing[0], needed_by, "onnx")


def onnx_model(
    function: Callable[..., dict[str, tf.Tensor]],
    spec: tf.TensorSpec,
    axes: tuple[str, ...] = ("batch",),
) -> onnx.ModelProto:
    """A function of one batch as an ONNX model of opset `OPSET`, silently.

    Parameters
    ----------
    function : tf.function
        From a tensor like `spec` to one output by its name. The variables it reads become
        constants.
    spec : tf.TensorSpec
        Its name is the name of the model's input.
    axes : tuple of str, default=("batch",)
        Names of the first axes, where they are of any length.

    Returns
    -------
    onnx.ModelProto
    """
    with _CONVERTING, _silent():
        import tf2onnx

        model, _ = tf2onnx.convert.from_function(function, [spec], opset=OPSET)
    for value in (model.graph.input[0], model.graph.output[0]):
        for axis, name in zip(value.type.tensor_type.shape.dim, axes, strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    return model


def session(model: bytes | str, n_threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime on that model, on the processor, silent but for errors.

    Parameters
    ----------
    model : bytes or str
        The model, or the path of its file.
    n_threads : int
        Threads for one call.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    # Threads that wait for work do so asleep: they share the cores with TensorFlow's, and with
    # other sessions'.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the notes of tf2onnx, and TensorFlow's on what it optimises."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def only_output(session: Any, images: Any) -> Any:
    """What a session answers to its only input."""
    (answer,) = session.run(None, {session.get_inputs()[0].name: images})
    return answer
