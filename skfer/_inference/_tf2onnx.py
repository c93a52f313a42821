"""Conversion of TensorFlow functions to ONNX models, by tf2onnx."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from skfer._inference._onnx import silent_loggers
from skfer._inference._onnx_graph import OPSET

if TYPE_CHECKING:
    import onnx

_LOCK = threading.Lock()  # all conversions of tf2onnx share one counter of node names


def convert_to_onnx(
    function: Callable[..., dict[str, tf.Tensor]],
    spec: tf.TensorSpec,
    axes: tuple[str, ...] = ("batch",),
) -> onnx.ModelProto:
    """Convert a TensorFlow function of a batch to an ONNX model."""
    with _LOCK, silent_loggers("tf2onnx", "tensorflow"):
        import tf2onnx

        model, _ = tf2onnx.convert.from_function(function, [spec], opset=OPSET)
    for value in (model.graph.input[0], model.graph.output[0]):
        for axis, name in zip(value.type.tensor_type.shape.dim, axes, strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    return model
