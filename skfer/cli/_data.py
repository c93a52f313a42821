"""Labelled faces, as the command line names them: a folder, or FER2013's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_FER2013_FILES = (".csv", ".gz", ".npz")


class Labelled(NamedTuple):
    """Images, their labels, and what they are."""

    images: Any
    labels: np.ndarray
    description: str


def load_labelled(data: Path, usage: str) -> Labelled:
    """The images of FER2013 or of a folder with a folder for each class.

    Parameters
    ----------
    data : Path
        FER2013 as a file or as its folder copy (``train``, ``test``), or any folder of classes.
    usage : str
        The part of FER2013; a folder of classes has no parts.
    """
    from skfer.datasets import load_fer2013, load_image_folder

    if data.suffix.lower() in _FER2013_FILES or (data / "train").is_dir():
        faces: Any = load_fer2013(data, usage=usage)
        return Labelled(faces.images, faces.labels, f"{len(faces.labels)} faces, {usage}")
    folder: Any = load_image_folder(data)
    return Labelled(folder.paths, folder.labels, f"{len(folder.labels)} images")
