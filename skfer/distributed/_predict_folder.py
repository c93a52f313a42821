"""`predict_folder`: the image files of a folder, named by the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skfer._images._batch import IMAGE_SUFFIXES, read_image
from skfer._pipelines import split_pipeline
from skfer.distributed._on_dask import copies_kept, last_client
from skfer.recognition import class_columns, set_column_types

if TYPE_CHECKING:
    import pandas as pd


def predict_folder(
    folder: str | os.PathLike,
    pipeline: Any,
    *,
    client: Any = None,
    partition_size: int = 256,
) -> pd.DataFrame:
    """Name the expression in every image file of a folder, on a Dask cluster.

    The Pipeline is sent to each worker once, and then names of files only: the folder must be
    seen under the same path by all of them. A worker that is lost in between costs the time of
    the files it was at.

    Parameters
    ----------
    folder : path
        Image files in it and in folders inside it are read; names that begin with a dot are
        passed over.
    pipeline : Pipeline, or fitted classifier that takes one face an image
        One answer an image, as by its `predict_proba`; `skfer.recognize` finds every face.
    client : distributed.Client, default=None
        Of the cluster; None takes the one made last.
    partition_size : int, default=256
        Files that a worker is given at a time, and holds decoded in memory.

    Returns
    -------
    pandas.DataFrame
        A row for each file, sorted by path.

        image : str
            The path.
        expression
            The most probable class; of a Pipeline with an `AbstainingClassifier`, its label of
            abstention where none is probable enough. Missing for a file that can't be read.
        probability : float64
            That of the most probable class.
        one column for each class : float64
            Its probability, named as by `skfer.recognize`.
        error : str
            Why there is no answer; missing if there is one.

    Raises
    ------
    ValueError
        If the folder holds no images, there is no client, or the Pipeline can't read faces.
    TypeError, NotFittedError
        If the Pipeline gives no probabilities, or is not fitted.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.distributed import predict_folder
    >>> from distributed import Client  # doctest: +SKIP
    >>> with Client("scheduler:8786") as client:  # doctest: +SKIP
    ...     table = predict_folder("/data/photos", load_pretrained(), client=client)
    """
    import pandas as pd

    if not isinstance(partition_size, Integral) or partition_size < 1:
        raise ValueError(f"partition_size must be a positive int; got {partition_size!r}.")
    parts = split_pipeline(pipeline, None)
    if client is None:
        client = last_client("predict_folder")
    files = _image_files(folder)

    starts = range(0, len(files), int(partition_size))
    with copies_kept(client):
        futures = client.map(
            _probabilities,
            [files[start : start + partition_size] for start in starts],
            starts,
            # Unpickled once in each worker, where its graph is traced once.
            pipeline=client.scatter(pipeline, broadcast=True, hash=False),
            n_classes=len(parts.classes),
            pure=False,  # files may have changed since they were read last
        )
        answers = client.gather(futures)
    probabilities = np.concatenate([rows for rows, _ in answers])
    errors = [error for _, texts in answers for error in texts]

    classes = parts.classes.tolist()
    table = pd.DataFrame(probabilities.astype(float), columns=class_columns(classes))
    table.insert(0, "image", files)
    table.insert(1, "expression", pd.Series(parts.expressions(probabilities), dtype=object))
    table.insert(2, "probability", probabilities.max(axis=1).astype(float))
    table["error"] = pd.array(errors, dtype=pd.StringDtype())
    table.loc[table["error"].notna(), "expression"] = None
    return set_column_types(table, classes)


def _probabilities(
    files: Sequence[str], start: int, *, pipeline: Any, n_classes: int
) -> tuple[np.ndarray, list[str | None]]:
    """Probabilities of a partition, NaN for files without an answer, and why they have none."""
    probabilities = np.full((len(files), n_classes), np.nan, np.float32)
    errors: list[str | None] = [None] * len(files)
    images: dict[int, np.ndarray] = {}
    for place, file in enumerate(files):
        try:
            images[place] = read_image(file, start + place)
        except ValueError as error:
            errors[place] = str(error)
    # All at once, or one by one if the Pipeline refuses one of them.
    try:
        if images:
            probabilities[list(images)] = pipeline.predict_proba(list(images.values()))
    except ValueError:
        for place, image in images.items():
            try:
                probabilities[place] = pipeline.predict_proba([image])[0]
            except ValueError as error:
                errors[place] = f"{files[place]!r}: {error}"
    return probabilities, errors


def _image_files(folder: str | os.PathLike) -> list[str]:
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"There is no folder {str(root)!r}.")
    files = []
    # Names alone: looking at each of ten million files would take hours over a network.
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [
            os.path.join(place, name)
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    if not files:
        raise ValueError(f"The folder {str(root)!r} holds no images ({', '.join(IMAGE_SUFFIXES)}).")
    return sorted(files)
