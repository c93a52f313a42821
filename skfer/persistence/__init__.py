"""Fitted estimators in files: data without code, and ONNX for other programs."""

from skfer._utils import lazy_names
from skfer.persistence._model_file import PICKLE_SUFFIXES, load, save

__getattr__ = lazy_names({"export_onnx": "skfer.persistence._onnx"})

__all__ = ["PICKLE_SUFFIXES", "export_onnx", "load", "save"]
