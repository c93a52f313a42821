"""Facial expression recognition as scikit-learn estimators."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # without `typing`, whose import takes longer than this module
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Public name -> module. Loaded when first used (PEP 562): importing skfer is quick and
# imports no TensorFlow.
_PUBLIC = {
    "AbstainingClassifier": "skfer.estimators._abstaining",
    "ConformalClassifier": "skfer.estimators._conformal",
    "ExpressionEmbedder": "skfer.estimators._embedder",
    "FaceCropper": "skfer.preprocessing",
    "FaceReader": "skfer.recognition",
    "FacialAffectRegressor": "skfer.estimators._regressor",
    "FacialExpressionClassifier": "skfer.estimators._classifier",
    "GrayscaleResizer": "skfer.preprocessing",
    "HOGDescriptor": "skfer.preprocessing",
    "ImageResizer": "skfer.preprocessing",
    "LBPDescriptor": "skfer.preprocessing",
    "annotate": "skfer.recognition",
    "export_onnx": "skfer.persistence._onnx",
    "expressions_to_affect": "skfer.metrics._affect",
    "list_pretrained": "skfer.pretrained",
    "load": "skfer.persistence",
    "load_pretrained": "skfer.pretrained",
    "recognize": "skfer.recognition",
    "save": "skfer.persistence",
}

__all__ = [*sorted(_PUBLIC), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
