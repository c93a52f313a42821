"""Fitted estimators in files: data without code, and ONNX for other programs."""

from skfer.persistence._model_file import PICKLE_SUFFIXES, load, save
from skfer.persistence._onnx import export_onnx

__all__ = ["PICKLE_SUFFIXES", "export_onnx", "load", "save"]
