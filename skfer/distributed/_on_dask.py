"""`on_dask`: scikit-learn's searches on a Dask cluster, which a lost worker doesn't end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np

from skfer._utils import import_extra, page


@contextlib.contextmanager
def on_dask(
    *data: Any, folds: Sequence[tuple[np.ndarray, np.ndarray]], client: Any = None
) -> Iterator[None]:
    """Let `GridSearchCV`, `cross_val_score` and the like run on the workers of a Dask cluster.

    Each worker is sent the data once, before the first fit, and keeps it. By
    ``joblib.parallel_config("dask")`` alone, joblib leaves larger arrays, the rows of each fold
    among them, with one worker each, and Dask takes copies away that no task waits for: what a
    lost worker held is lost then, and the search with it.

    Parameters
    ----------
    *data : batch of n images, array-like of shape (n,)
        What is given to `fit`: the same objects, not copies of them. Paths that all workers can
        read are quicker to send than arrays.
    folds : sequence of (train, test)
        The same list as is given as `cv`, such as ``list(StratifiedKFold(5).split(X, y))``.
    client : distributed.Client, default=None
        Of the cluster; None takes the one made last.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If there is no client.
    ImportError
        If Dask's distributed is not installed.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> folds = list(StratifiedKFold(5).split(X, y))  # doctest: +SKIP
    >>> with Client("scheduler:8786"), on_dask(X, y, folds=folds):  # doctest: +SKIP
    ...     search = GridSearchCV(pipeline, candidates, cv=folds).fit(X, y)
    """
    client = last_client("on_dask") if client is None else client
    rows = [part for fold in folds for part in fold]
    with (
        copies_kept(client),
        joblib.parallel_config("dask", client=client, scatter=[*data, *rows]),
    ):
        yield


@contextlib.contextmanager
def copies_kept(client: Any) -> Iterator[None]:
    """Keep Dask's memory manager from taking away what was sent to every worker."""
    managed = client.amm.running()
    client.amm.stop()
    try:
        yield
    finally:
        if managed:
            client.amm.start()


def last_client(needed_by: str) -> Any:
    """The client made last.

    Raises
    ------
    ValueError
        If there is none.
    """
    distributed = import_extra("distributed", needed_by, "dask")
    try:
        return distributed.get_client()
    except ValueError as error:
        raise ValueError(
            f"{needed_by} found no client of a Dask cluster. Make one, and give it as client: "
            'distributed.Client("scheduler:8786"), or distributed.Client() for this machine. '
            f"See {page('cluster')}"
        ) from error
