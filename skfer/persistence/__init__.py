"""Fitted estimators in files that other programs read."""

from skfer.persistence._onnx import export_onnx

__all__ = ["export_onnx"]
