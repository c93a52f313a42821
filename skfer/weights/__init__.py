"""Weights that this project trained: ONNX models, checked before they are used."""

from skfer.weights._files import (
    WeightsRecord,
    list_weights,
    read_model,
    read_record,
    write_weights,
)

__all__ = ["WeightsRecord", "list_weights", "read_model", "read_record", "write_weights"]
