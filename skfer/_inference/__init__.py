"""Prediction with a network: ONNX Runtime, or TensorFlow graphs where it can't be exported."""

from skfer._inference._onnx import VIEWS, Backend, OnnxBackend, OnnxNetwork

# Values of the parameter `backend`.
BACKENDS = ("auto", "keras", "onnx", "onnx-int8")

__all__ = ["BACKENDS", "VIEWS", "Backend", "OnnxBackend", "OnnxNetwork"]
