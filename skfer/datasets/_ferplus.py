"""FER+: the faces of FER2013 with the votes of ten people each."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skfer._labels import canonical_labels
from skfer.datasets._fer2013 import Content, read_fer2013, wanted_parts
from skfer.datasets._files import (
    PRIVATE_TEST,
    PUBLIC_TEST,
    TEST,
    TRAINING,
    VALIDATION,
    known_split,
    open_table,
)

# In the order of the columns.
EXPRESSIONS_VOTED_FOR = (
    "neutral", "happiness", "surprise", "sadness",
    "anger", "disgust", "fear", "contempt",
)  # fmt: skip
CHOICES = (*EXPRESSIONS_VOTED_FOR, "unknown", "NF")

_VOTES_FILE = "fer2013new.csv"
_FACES_FILES = ("fer2013.csv", "fer2013.csv.gz", "fer2013.npz")
_SOURCE = f"{_VOTES_FILE} is in the repository microsoft/FERPlus on GitHub"

# The classes, sorted as a classifier sorts them, and the column of each.
_CLASSES, _COLUMNS = np.unique(canonical_labels(EXPRESSIONS_VOTED_FOR), return_index=True)

_DESCR = """\
FER+: {n} faces of FER2013 with the votes of ten people each, {parts}.

A vote went to one of {classes},
to "unknown" or to "not a face". {n_dropped} images are left out for which one of the last two had
most votes, or without votes. Read from {path}.

Barsoum, E. et al. (2016). Training deep networks for facial expression recognition with
crowd-sourced label distribution. ICMI. https://arxiv.org/abs/1608.01041
"""


def load_ferplus(
    path: str | os.PathLike,
    *,
    fer2013: str | os.PathLike | None = None,
    usage: str | Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load FER+: the faces of FER2013 with the votes of ten people each.

    Images with most votes for "unknown" or "not a face" are left out. PrivateTest is loaded only
    if `usage` names it.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - ``fer2013new.csv`` of the repository microsoft/FERPlus on GitHub, or its folder;
        - FER2013 as an ``.npz``, see `load_fer2013`, with ``votes`` (n, 10) whose columns are
          those of ``fer2013new.csv``, from ``neutral`` to ``NF``.
    fer2013 : str or os.PathLike, default=None
        The images: ``fer2013.csv``, ``.csv.gz`` or an ``.npz``. An ``.npz`` with some of the rows
        names them in an array ``row``. None takes ``fer2013.csv``, ``fer2013.csv.gz`` or
        ``fer2013.npz`` from the folder of ``fer2013new.csv``. Not used if `path` is an ``.npz``.
    usage, return_X_y
        As in `load_fer2013`.

    Returns
    -------
    faces : :class:`~sklearn.utils.Bunch`
        The attributes of `load_fer2013`, and

        labels : ndarray of str, shape (n,)
            Expression with most votes; the first in `target_names` if several have as many.
        votes : ndarray of uint8, shape (n, 8)
            Votes for each of `target_names`, without "unknown" and "not a face".
        target_names : ndarray of str, shape (8,)
            The expressions, sorted as in a classifier's ``classes_``.
        row : ndarray of int64, shape (n,)
            Row of the image in ``fer2013.csv``, from 0.
        n_dropped : int
            Number of images of these parts that are left out.
    (images, labels) : tuple of ndarray of shape (n, 48, 48) and (n,)
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If a file is missing or damaged, or votes and images do not match.
    TypeError
        If a path is neither a string nor an `os.PathLike`.

    Notes
    -----
    ``labels`` is ``target_names[votes.argmax(axis=1)]``. Published figures may be of fewer images:
    the authors ignore single votes and use a majority only above half of the other votes.

    References
    ----------
    Barsoum, E., Zhang, C., Canton Ferrer, C. & Zhang, Z. (2016). Training deep networks for
    facial expression recognition with crowd-sourced label distribution. ICMI, 279-283.
    https://doi.org/10.1145/2993148.2993165

    Examples
    --------
    >>> from skfer.datasets import load_ferplus
    >>> faces = load_ferplus("fer2013new.csv")  # doctest: +SKIP
    >>> faces.images.shape[1:], faces.votes.shape[1:]  # doctest: +SKIP
    ((48, 48), (8,))

    A classifier learns from the votes with
    ``fit(faces.images, faces.labels, votes=faces.votes)``.
    """
    source = Path(path)
    content = faces_with_votes(source, None if fer2013 is None else Path(fer2013))
    chosen = np.isin(content.usage, wanted_parts(usage, content.usage, PRIVATE_TEST))
    kept = chosen & _shows_an_expression(content.extras["votes"])
    faces = content.take(kept)
    if return_X_y:
        return faces.images, _CLASSES[_majority(faces)]
    return _as_bunch(faces, int(chosen.sum() - kept.sum()), source)


def _shows_an_expression(votes: np.ndarray) -> np.ndarray:
    """Return whether an expression has the most votes, ``(n,)`` for votes ``(n, 10)``."""
    most = votes.max(axis=1)
    return (most > 0) & (votes[:, : len(EXPRESSIONS_VOTED_FOR)].max(axis=1) == most)


def _majority(faces: Content) -> np.ndarray:
    return faces.extras["votes"][:, _COLUMNS].argmax(axis=1)


def _as_bunch(faces: Content, n_dropped: int, source: Path) -> Bunch:
    target = _majority(faces)
    return Bunch(
        images=faces.images,
        labels=_CLASSES[target],
        votes=faces.extras["votes"][:, _COLUMNS],
        target=target,
        target_names=_CLASSES.copy(),
        row=faces.extras["row"],
        **faces.split(PRIVATE_TEST),
        n_dropped=n_dropped,
        DESCR=_DESCR.format(
            n=len(target),
            parts=faces.parts(),
            classes=", ".join(_CLASSES),
            n_dropped=n_dropped,
            path=source,
        ),
    )


def faces_with_votes(source: Path, fer2013: Path | None) -> Content:
    """Read the images of FER2013 with the extras ``votes`` (n, 10) uint8 and ``row`` (n,)."""
    if source.name.lower().endswith(".npz"):
        if fer2013 is not None:
            raise ValueError(
                f"{str(source)!r} holds images, so fer2013={str(fer2013)!r} can't be used too. "
                f"Give the path of {_VOTES_FILE} instead, or leave fer2013 out."
            )
        return _read_npz_with_votes(source)
    table = source / _VOTES_FILE if source.is_dir() else source
    if not table.exists():
        raise ValueError(f"There is no file {str(table)!r}. {_SOURCE}.")
    return _read_faces_and_votes(table, fer2013 or _faces_beside(table))


def _read_npz_with_votes(source: Path) -> Content:
    content = read_fer2013(source)
    n_images = len(content.images)
    votes = content.extras.get("votes")
    if votes is None:
        raise ValueError(
            f"{str(source)!r} has no votes of {n_images} rows. {_SOURCE}: give its path, and "
            f"fer2013={str(source)!r}."
        )
    expected = (n_images, len(CHOICES))
    if votes.shape != expected or votes.dtype.kind not in "iu":
        raise ValueError(
            f"{str(source)!r}: votes is {votes.shape} {votes.dtype}; expected {expected} whole "
            f"numbers, for {', '.join(CHOICES)}."
        )
    if votes.min() < 0 or votes.max() > 255:
        raise ValueError(
            f"{str(source)!r}: votes from {votes.min()} to {votes.max()}; 0 to 255 are expected."
        )
    row = _rows(content, source)
    content.usage = _official(content.usage)
    content.extras = {**content.extras, "votes": votes.astype(np.uint8), "row": row}
    return content


def _faces_beside(table: Path) -> Path:
    for name in _FACES_FILES:
        if (path := table.parent / name).exists():
            return path
    raise ValueError(
        f"Beside {str(table)!r} there is no {', '.join(_FACES_FILES[:-1])} or {_FACES_FILES[-1]}: "
        "FER+ are votes only, the images are FER2013's. Say where they are with fer2013=path."
    )


def _read_faces_and_votes(table: Path, faces: Path) -> Content:
    if faces.is_dir():
        raise ValueError(
            f"fer2013={str(faces)!r} is a folder, whose images are in no order that the rows of "
            f"{_VOTES_FILE} could follow. Give fer2013.csv or an npz file."
        )
    content = read_fer2013(faces)
    content.usage = _official(content.usage)
    votes, usage = _read_votes(table)
    usage = _official(usage)
    row = _rows(content, faces)
    if "row" not in content.extras and len(votes) != len(row):
        raise ValueError(
            f"{str(table)!r} has {len(votes)} rows and {str(faces)!r} {len(row)} images: FER+ has "
            "a row for each image of fer2013.csv, in its order."
        )
    if row.max() >= len(votes):
        raise ValueError(
            f"{str(faces)!r} has an image of row {row.max()} of fer2013.csv, but {str(table)!r} "
            f"has only {len(votes)} rows."
        )
    usage = usage[row]
    differs = np.flatnonzero(usage != content.usage)
    # A fer2013.csv without a column of usage is read as all Training.
    if len(differs) and (content.usage != TRAINING).any():
        first = differs[0]
        raise ValueError(
            f"Row {row[first]} (counted from 0) is of {usage[first]} in {str(table)!r} and of "
            f"{content.usage[first]} in {str(faces)!r}: their rows are not in the same order."
        )
    return Content(content.images, content.target, usage, {"votes": votes[row], "row": row})


def _official(usage: np.ndarray) -> np.ndarray:
    """Return the parts by FER2013's own names where they are called train, val and test."""
    if VALIDATION not in usage:
        return usage
    names = {VALIDATION: PUBLIC_TEST, TEST: PRIVATE_TEST}
    return np.array([names.get(part, part) for part in usage.tolist()])


def _rows(content: Content, source: Path) -> np.ndarray:
    """Return the rows of the images in fer2013.csv."""
    row = content.extras.get("row", np.arange(len(content.images)))
    if row.ndim != 1 or row.dtype.kind not in "iu" or row.min() < 0:
        raise ValueError(
            f"{str(source)!r}: row is {row.shape} {row.dtype}; expected the rows of the images "
            "in fer2013.csv, whole numbers from 0."
        )
    return row.astype(np.int64)


def _read_votes(table: Path) -> tuple[np.ndarray, np.ndarray]:
    votes, usage = [], []
    with open_table(table) as lines:
        rows = csv.reader(lines)
        part, choices = _columns(next(rows, []))
        for row in rows:
            if not row:
                continue
            if len(row) <= max(part, *choices):
                raise ValueError(f"it has only {len(row)} columns.")
            votes.append(_counts([row[choice] for choice in choices]))
            usage.append(known_split(row[part]))
    if not votes:
        raise ValueError(f"{str(table)!r} holds no votes.")
    return np.array(votes, dtype=np.uint8), np.array(usage)


def _columns(header: list[str]) -> tuple[int, list[int]]:
    names = [name.strip().lower() for name in header]
    missing = [name for name in ("Usage", *CHOICES) if name.lower() not in names]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; the columns are {header}. {_SOURCE}.")
    return names.index("usage"), [names.index(choice.lower()) for choice in CHOICES]


def _counts(cells: list[str]) -> list[int]:
    counts = [int(cell) for cell in cells]
    if min(counts) < 0 or max(counts) > 255:
        raise ValueError(f"votes from {min(counts)} to {max(counts)}; 0 to 255 are expected.")
    return counts
