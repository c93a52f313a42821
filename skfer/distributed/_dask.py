"""`on_dask` and `predict_folder`: searches and predictions on a Dask cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import joblib
import numpy as np

from skfer._images._batch import IMAGE_SUFFIXES, read_image
from skfer._pipelines import split_pipeline
from skfer._utils import check_int, import_extra, page
from skfer.recognition import class_columns, set_column_types

if TYPE_CHECKING:
    import pandas as pd


@contextlib.contextmanager
def on_dask(
    *data: Any, folds: Sequence[tuple[np.ndarray, np.ndarray]], client: Any = None
) -> Iterator[None]:
    """Run `GridSearchCV`, `cross_val_score` and the like on the workers of a Dask cluster.

    The data is sent to each worker once, before the first fit, and stays there. With
    ``joblib.parallel_config("dask")`` alone, only one worker holds each larger array, so a worker
    that is lost ends the search.

    Parameters
    ----------
    *data : batch of n images, array-like of shape (n,)
        The arguments of `fit`: the same objects, not copies. Paths that all workers can read are
        faster to send than arrays.
    folds : sequence of (train, test)
        The list that is passed as `cv`, such as ``list(StratifiedKFold(5).split(X, y))``.
    client : distributed.Client, default=None
        Client of the cluster. None means the last one created.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If there is no client.
    ImportError
        If distributed is not installed.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> folds = list(StratifiedKFold(5).split(X, y))  # doctest: +SKIP
    >>> with Client("scheduler:8786"), on_dask(X, y, folds=folds):  # doctest: +SKIP
    ...     search = GridSearchCV(pipeline, candidates, cv=folds).fit(X, y)
    """
    client = _last_client("on_dask") if client is None else client
    rows = [part for fold in folds for part in fold]
    with (
        _keep_copies(client),
        joblib.parallel_config("dask", client=client, scatter=[*data, *rows]),
    ):
        yield


@contextlib.contextmanager
def _keep_copies(client: Any) -> Iterator[None]:
    """Stop Dask's memory manager, which deletes copies of data on all but one worker."""
    managed = client.amm.running()
    client.amm.stop()
    try:
        yield
    finally:
        if managed:
            client.amm.start()


def _last_client(needed_by: str) -> Any:
    distributed = import_extra("distributed", needed_by, "dask")
    try:
        return distributed.get_client()
    except ValueError as error:
        raise ValueError(
            f"{needed_by} found no client of a Dask cluster. Create one and pass it as client: "
            'distributed.Client("scheduler:8786"), or distributed.Client() for this machine. '
            f"See {page('cluster')}"
        ) from error


def predict_folder(
    folder: str | os.PathLike, pipeline: Any, *, client: Any = None, partition_size: int = 256
) -> pd.DataFrame:
    """Classify the expression in every image file of a folder on a Dask cluster.

    The Pipeline is sent to each worker once; the images are sent as paths, which must be the same
    on all workers. If a worker is lost, only its current files are read again.

    Parameters
    ----------
    folder : path
        Folder whose image files are read, with those of subfolders. Names that begin with a dot
        are ignored.
    pipeline : Pipeline, or fitted classifier of face images
        Its `predict_proba` gives one result for each image. For every face of an image, use
        `skfer.recognize`.
    client : distributed.Client, default=None
        Client of the cluster. None means the last one created.
    partition_size : int, default=256
        Number of images that a worker decodes and classifies at a time.

    Returns
    -------
    pandas.DataFrame
        One row for each file, sorted by path.

        image : str
            Path.
        expression, probability, one column for each class
            As by `skfer.recognize`; missing for a file that can't be read.
        error : str
            Reason for a missing result; otherwise missing.

    Raises
    ------
    ValueError
        If the folder holds no images or a folder in it can't be read, there is no client, or the
        Pipeline can't classify faces.
    TypeError, NotFittedError
        If the Pipeline has no `predict_proba`, or is not fitted.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.distributed import predict_folder
    >>> from distributed import Client  # doctest: +SKIP
    >>> with Client("scheduler:8786") as client:  # doctest: +SKIP
    ...     table = predict_folder("/data/photos", load_pretrained(), client=client)
    """
    import pandas as pd

    check_int("partition_size", partition_size)
    parts = split_pipeline(pipeline, None)
    if client is None:
        client = _last_client("predict_folder")
    files = _image_files(folder)

    starts = range(0, len(files), int(partition_size))
    with _keep_copies(client):
        futures = client.map(
            _probabilities,
            [files[start : start + partition_size] for start in starts],
            starts,
            pipeline=client.scatter(pipeline, broadcast=True, hash=False),
            n_classes=len(parts.classes),
            pure=False,  # files may have changed since the last call
        )
        results = client.gather(futures)
    probabilities = np.concatenate([rows for rows, _ in results])
    errors = [error for _, messages in results for error in messages]

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
    """Return the probabilities of files, NaN where they are missing, and the errors."""
    probabilities = np.full((len(files), n_classes), np.nan, np.float32)
    errors: list[str | None] = [None] * len(files)
    images: dict[int, np.ndarray] = {}
    for index, file in enumerate(files):
        try:
            images[index] = read_image(file, start + index)
        except ValueError as error:
            errors[index] = str(error)
    # One by one only if the Pipeline refuses one of them.
    try:
        if images:
            probabilities[list(images)] = pipeline.predict_proba(list(images.values()))
    except ValueError:
        for index, image in images.items():
            try:
                probabilities[index] = pipeline.predict_proba([image])[0]
            except ValueError as error:
                errors[index] = f"{files[index]!r}: {error}"
    return probabilities, errors


def _image_files(folder: str | os.PathLike) -> list[str]:
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"There is no folder {str(root)!r}.")
    files = []

    def refuse(error: OSError) -> NoReturn:
        raise ValueError(f"The folder {error.filename!r} can't be read: {error.strerror}.")

    # By name only: to query millions of files over a network would take hours.
    for parent, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [
            os.path.join(parent, name)
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    if not files:
        raise ValueError(f"The folder {str(root)!r} holds no images ({', '.join(IMAGE_SUFFIXES)}).")
    return sorted(files)
