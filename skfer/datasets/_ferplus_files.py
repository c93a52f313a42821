"""The files of FER+: a table of votes beside FER2013, or both in one npz file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from skfer.datasets._fer2013_files import Content, read_fer2013
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
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
CHOICES = (*EXPRESSIONS_VOTED_FOR, "unknown", "NF")

_VOTES_FILE = "fer2013new.csv"
_FACES_FILES = ("fer2013.csv", "fer2013.csv.gz", "fer2013.npz")
_SOURCE = f"{_VOTES_FILE} is in the repository microsoft/FERPlus on GitHub"


def faces_with_votes(source: Path, fer2013: Path | None) -> Content:
    """The images of FER2013, with ``votes`` (n, 10) uint8 and ``row`` (n,) among the extras.

    Parameters
    ----------
    source : Path
        The table of votes, its folder, or an npz file with both.
    fer2013 : Path or None
        The images, if they are not in `source` or beside it.

    Raises
    ------
    ValueError
        If a file is missing or damaged, or if votes and images don't belong together.
    """
    if source.name.lower().endswith(".npz"):
        if fer2013 is not None:
            raise ValueError(
                f"fer2013={str(fer2013)!r} is one source of images too many: {str(source)!r} holds "
                f"images itself. Give the path of {_VOTES_FILE} with it, or leave fer2013 out."
            )
        return _one_file(source)
    table = source / _VOTES_FILE if source.is_dir() else source
    if not table.exists():
        raise ValueError(f"There is no file {str(table)!r}. {_SOURCE}.")
    return _two_files(table, fer2013 or _faces_beside(table))


def _one_file(source: Path) -> Content:
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


def _two_files(table: Path, faces: Path) -> Content:
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
    """Where the images stand in fer2013.csv."""
    row = content.extras.get("row", np.arange(len(content.images)))
    if row.ndim != 1 or row.dtype.kind not in "iu" or row.min() < 0:
        raise ValueError(
            f"{str(source)!r}: row is {row.shape} {row.dtype}; expected the places of the images "
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
