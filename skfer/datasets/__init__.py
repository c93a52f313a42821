"""Loaders of facial expression data, drawn faces, and the names of expressions."""

from skfer._labels import (
    EXPRESSION_COLORS,
    EXPRESSION_SETS,
    EXPRESSIONS,
    canonical_label,
    canonical_labels,
    shared_labels,
)
from skfer.datasets._clip_names import ClipNames, clip_names
from skfer.datasets._faces import make_faces
from skfer.datasets._fer2013 import load_fer2013
from skfer.datasets._ferplus import load_ferplus
from skfer.datasets._image_folder import load_image_folder
from skfer.datasets._image_table import load_affect_table, load_image_table

__all__ = [
    "EXPRESSIONS",
    "EXPRESSION_COLORS",
    "EXPRESSION_SETS",
    "ClipNames",
    "canonical_label",
    "canonical_labels",
    "clip_names",
    "load_affect_table",
    "load_fer2013",
    "load_ferplus",
    "load_image_folder",
    "load_image_table",
    "make_faces",
    "shared_labels",
]
