"""Labelled faces, as the command line names them: a folder, a table, or FER2013."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Labelled(NamedTuple):
    """Images, their labels, and what they are."""

    images: Any
    labels: np.ndarray
    description: str


def load_labelled(
    data: Path,
    usage: str | None,
    *,
    names: str | None = None,
    codes: str | None = None,
    columns: tuple[str, str] | None = None,
    images: Path | None = None,
) -> Labelled:
    """Load FER2013, list a folder of images, or list the images of a table.

    Parameters
    ----------
    data : Path
        FER2013 as a file or as its folder copy (``train``, ``test``), any folder of classes, or
        with `columns` a table.
    usage : str or None
        The part of FER2013. None is the public test: PublicTest, or Validation or Test of a copy
        that has no such part.
    names, codes : str, default=None
        As for `load_image_folder`.
    columns : tuple of two str, default=None
        Columns of the table with path and label; numbers in a file without a line of names.
    images : Path, default=None
        Folder of the images of the table.
    """
    from skfer.datasets import load_fer2013, load_image_folder, load_image_table
    from skfer.datasets._fer2013 import FER2013_SUFFIXES
    from skfer.datasets._files import TRAINING, entries_of, split_of

    if columns is not None:
        image, label = (int(column) if column.isdigit() else column for column in columns)
        table: Any = load_image_table(
            data, image=image, label=label, folder=images, names=names, codes=codes
        )
        return Labelled(table.paths, table.labels, f"{len(table.labels)} images")
    if data.is_file() and data.suffix and not data.name.lower().endswith(FER2013_SUFFIXES):
        raise ValueError(
            f"{str(data)!r} is neither FER2013 nor a folder. Columns of a table of images are "
            "named with --columns IMAGE LABEL."
        )
    has_parts = data.is_dir() and any(
        split_of(entry.name) == TRAINING for entry in entries_of(data) if entry.is_dir()
    )
    if data.is_file() or (has_parts and names is None and codes is None):
        faces: Any = load_fer2013(data, usage=usage)
        if usage is not None:
            return Labelled(faces.images, faces.labels, f"{len(faces.labels)} faces, {usage}")
        index = faces.public_test_index
        if len(index) == 0:
            raise ValueError(f"{str(data)!r} has no part to evaluate on: name one with --usage.")
        part = faces.usage[index[0]]
        return Labelled(faces.images[index], faces.labels[index], f"{len(index)} faces, {part}")
    folder: Any = load_image_folder(data, names=names, codes=codes)
    return Labelled(folder.paths, folder.labels, f"{len(folder.labels)} images")
