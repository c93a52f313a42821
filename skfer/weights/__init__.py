"""Weights that this project trained, with checksums."""

from skfer.weights._files import (
    StoredWeights,
    WeightsRecord,
    list_weights,
    read_record,
    read_weights,
    write_weights,
)

__all__ = [
    "StoredWeights",
    "WeightsRecord",
    "list_weights",
    "read_record",
    "read_weights",
    "write_weights",
]
