"""Prediction with a fitted network: TensorFlow graphs and ONNX Runtime behind one interface."""

from skfer._inference._keras import VIEWS, KerasBackend
from skfer._inference._onnx import OnnxBackend, QuantizedBackend

# Values of the parameter `backend`.
BACKENDS: dict[str, type[KerasBackend]] = {
    "keras": KerasBackend,
    "onnx": OnnxBackend,
    "onnx-int8": QuantizedBackend,
}

__all__ = ["BACKENDS", "VIEWS", "KerasBackend"]
