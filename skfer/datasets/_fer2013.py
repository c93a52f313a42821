"""FER2013 in its usual forms: a csv file, a folder of images, an npz file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skfer._images._batch import read_image, to_gray
from skfer._labels import EXPRESSION_SETS, code_table, decode_label
from skfer._storage import read_npz
from skfer._utils import entries_of, shorten
from skfer.datasets._files import (
    PRIVATE_TEST,
    TEST,
    TRAINING,
    VALIDATION,
    known_split,
    open_table,
    split_of,
    unpacked_limit,
)
from skfer.datasets._image_folder import load_image_folder

FER2013_CLASSES = EXPRESSION_SETS[7]
SIDE = 48
FER2013_SUFFIXES = (".csv", ".csv.gz", ".npz")
_CODES = code_table("fer2013")
_NO_BRACKETS = str.maketrans("[](),;", "      ")
# The images of a table together: twenty times FER2013's.
_MAX_BYTES = 2_000_000_000

_DESCR = """\
FER2013: {n} gray faces of {side} x {side} pixels, {parts}.

Collected with a web search for words of emotion, boxed by a face detector and checked by people
for the ICML 2013 challenges in representation learning. Codes 0 to 6 stand for {classes}.
Human accuracy is about 65 %. Read from {path}.

Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three machine
learning contests. ICONIP. https://arxiv.org/abs/1307.0414
"""


def load_fer2013(
    path: str | os.PathLike | Any,
    *,
    usage: str | Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load FER2013 with its official split.

    PrivateTest is for the final model and is loaded only if `usage` names it.

    Parameters
    ----------
    path : str, os.PathLike or pandas.DataFrame
        One of

        - Kaggle's ``fer2013.csv``, ``.csv.gz``, or a DataFrame, with the columns ``emotion``
          (codes or names), ``pixels`` and optionally ``usage``, in any order and case;
        - a folder with ``train`` and ``test`` (or ``validation``), each with a folder per class;
        - an ``.npz`` with ``images`` (n, 48, 48) uint8, ``target`` (n,) and ``usage`` (n,).
          Pickled arrays are refused.
    usage : str, sequence of str or None, default=None
        Parts to load: "Training", "PublicTest", "PrivateTest"; or "Training", "Validation" and
        "Test" for data with train, val and test. "all" loads every part. None loads all but the
        held-out part: PrivateTest, or Test if there is Validation.
    return_X_y : bool, default=False
        Whether to return ``(images, labels)`` instead of a Bunch.

    Returns
    -------
    faces : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of uint8, shape (n, 48, 48)
            Gray faces.
        labels : ndarray of str, shape (n,)
            Label of each image.
        target : ndarray of int64, shape (n,)
            FER2013's codes, indices into `target_names`.
        target_names : ndarray of str, shape (7,)
            Labels that `target` refers to.
        usage : ndarray of str, shape (n,)
            Part of each image.
        test_fold : ndarray of int64, shape (n,), or None
            For `sklearn.model_selection.PredefinedSplit`: -1 in Training, 0 elsewhere. None with
            the held-out part, on which a PredefinedSplit would train.
        train_index, public_test_index, private_test_index : ndarray of int64
            Indices of the images of each part. Validation or Test counts as public; Test counts
            as private if there is Validation.
        DESCR : str
            Description of the data.

        Further arrays of n rows in an ``.npz``, such as ``votes``, and the ``paths`` of a folder
        are attributes too.
    (images, labels) : tuple of ndarray of shape (n, 48, 48) and (n,)
        If `return_X_y` is True.

    Raises
    ------
    TypeError
        If `path` is neither a path nor a DataFrame.
    ValueError
        If the data have none of these forms or are damaged; the message names the line, path or
        array.

    Notes
    -----
    Test of a folder usually consists of PublicTest and PrivateTest: after a model was selected on
    it, no unseen images are left.

    References
    ----------
    Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three
    machine learning contests. ICONIP, https://arxiv.org/abs/1307.0414.

    Examples
    --------
    >>> from skfer.datasets import load_fer2013
    >>> from sklearn.model_selection import PredefinedSplit
    >>> faces = load_fer2013("fer2013.csv")  # doctest: +SKIP
    >>> faces.images.shape  # doctest: +SKIP
    (32298, 48, 48)
    >>> PredefinedSplit(faces.test_fold).get_n_splits()  # doctest: +SKIP
    1
    """
    content = read_fer2013(path)
    held_out = TEST if VALIDATION in content.usage else PRIVATE_TEST
    wanted = wanted_parts(usage, content.usage, held_out)
    chosen = np.isin(content.usage, wanted)
    if not chosen.all():
        content = content.take(chosen)
    source = "a table" if hasattr(path, "columns") else os.fspath(path)
    return _as_bunch(content, held_out, source, return_X_y)


def _as_bunch(
    content: Content, held_out: str, source: str, return_X_y: bool
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    target = content.target.astype(np.int64)
    target_names = np.array(FER2013_CLASSES)
    if return_X_y:
        return content.images, target_names[target]
    attributes = {
        "images": content.images,
        "labels": target_names[target],
        "target": target,
        "target_names": target_names,
        **content.split(held_out),
        "DESCR": _DESCR.format(
            n=len(target),
            side=SIDE,
            parts=content.parts(),
            classes=", ".join(FER2013_CLASSES),
            path=source,
        ),
    }
    # An npz may have arrays of these names, as one that was made from a Bunch.
    return Bunch(**content.extras | attributes)


def wanted_parts(
    usage: str | Sequence[str] | None, present: np.ndarray, held_out: str
) -> list[str]:
    """Return the parts to load by `usage`; None is all but the held-out part."""
    parts = sorted(set(present.tolist()))
    if usage is None:
        if parts == [held_out]:
            raise ValueError(
                f"All images are of {held_out}, which is loaded only with usage={held_out!r}."
            )
        return [part for part in parts if part != held_out]
    if isinstance(usage, str) and usage == "all":
        return parts
    wanted = [usage] if isinstance(usage, str) else list(usage)
    wanted = [split_of(part) or part for part in wanted]
    unknown = [part for part in wanted if part not in parts]
    if unknown or not wanted:
        raise ValueError(f"usage={usage!r}: the parts here are {', '.join(parts)}; or 'all'.")
    return wanted


@dataclass
class Content:
    """Content of a file or folder."""

    images: np.ndarray
    target: np.ndarray
    usage: np.ndarray
    extras: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, which: np.ndarray) -> Content:
        """Return the images of a mask."""
        return Content(
            self.images[which],
            self.target[which],
            self.usage[which],
            {name: values[which] for name, values in self.extras.items()},
        )

    def split(self, held_out: str) -> dict[str, np.ndarray | None]:
        """Return the attributes of the official split."""
        training, private = self.usage == TRAINING, self.usage == held_out
        return {
            "usage": self.usage,
            "test_fold": None if private.any() else np.where(training, -1, 0).astype(np.int64),
            "train_index": np.flatnonzero(training),
            "public_test_index": np.flatnonzero(~training & ~private),
            "private_test_index": np.flatnonzero(private),
        }

    def parts(self) -> str:
        """Describe the parts and their sizes."""
        parts, counts = np.unique(self.usage, return_counts=True)
        return ", ".join(f"{part} {count}" for part, count in zip(parts, counts, strict=True))


def read_fer2013(source: str | os.PathLike | Any) -> Content:
    """Read a file, a folder or a table of pandas."""
    is_frame = hasattr(source, "itertuples")
    if not is_frame and not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"path is of type {type(source).__name__}; give the path of FER2013 or a whole table "
            "with the columns emotion, pixels and usage, as in load_fer2013(df)."
        )
    content = _read_frame(source) if is_frame else _read_path(Path(source))
    if len(content.target) == 0:
        raise ValueError(f"{'The table' if is_frame else repr(str(source))} holds no images.")
    return content


def _read_path(source: Path) -> Content:
    name = source.name.lower()
    if source.is_dir():
        return _read_folder(source)
    if not source.exists():
        raise ValueError(f"There is no file or folder {str(source)!r}.")
    if name.endswith(".npz"):
        return _read_npz(source)
    if name.endswith(FER2013_SUFFIXES) or not source.suffix:
        return _read_csv(source)
    raise ValueError(
        f"{str(source)!r} is not a form of FER2013: expected a .csv, .csv.gz or .npz file (unpack "
        "other archives first), or a folder with train and test."
    )


def _read_csv(source: Path) -> Content:
    with open_table(source) as lines:
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        rows = csv.reader(chain([first], lines), delimiter=delimiter)
        return _content(next(rows, []), rows)


def _read_frame(table: Any) -> Content:
    """Read a table of pandas with the columns of fer2013.csv."""
    position = -1

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal position
        for row in table.itertuples(index=False, name=None):
            position += 1
            yield row

    try:
        return _content([str(column) for column in table.columns], rows())
    except ValueError as error:
        where = "The table" if position < 0 else f"The table, row {position}"
        raise ValueError(f"{where}: {error}") from error


def _content(header: list[str], rows: Iterable[Sequence[Any]]) -> Content:
    pixels, target, usage = bytearray(), [], []
    columns = _columns(header)
    for row in rows:
        if not any(str(cell).strip() for cell in row):
            continue
        image, label, part = _parse(row, columns)
        pixels += image
        if len(pixels) > _MAX_BYTES:
            raise ValueError(f"a table may have {_MAX_BYTES / 1e6:,.0f} MB of pixels.")
        target.append(label)
        usage.append(part)
    images = np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE)
    return Content(images, np.array(target, int), np.array(usage, str))


def _columns(header: list[str]) -> tuple[int, int, int | None]:
    names = [name.strip().lower() for name in header]
    missing = [name for name in ("emotion", "pixels") if name not in names]
    if missing:
        raise ValueError(
            f"no column {' or '.join(missing)}; the columns are {shorten(names, 200)}. "
            + (
                "Labels are required; test.csv has none."
                if missing == ["emotion"]
                else "load_image_table (skfer train --columns) reads a table with paths of images."
            )
        )
    usage = names.index("usage") if "usage" in names else None
    return names.index("emotion"), names.index("pixels"), usage


def _parse(row: Sequence[Any], columns: tuple[int, int, int | None]) -> tuple[bytes, int, str]:
    emotion, pixels, usage = columns
    if len(row) <= max(emotion, pixels, usage or 0):
        raise ValueError(f"it has only {len(row)} columns.")
    image = _pixels(row[pixels])
    if len(image) != SIDE * SIDE:
        raise ValueError(f"{len(image)} pixels, where {SIDE * SIDE} are expected.")
    if image.min() < 0 or image.max() > 255:
        raise ValueError(f"pixels from {image.min()} to {image.max()}; 0 to 255 are expected.")
    label = _code(row[emotion])
    part = TRAINING if usage is None else known_split(row[usage])
    return image.astype(np.uint8).tobytes(), label, part


def _pixels(cell: Any) -> np.ndarray:
    """Return whole numbers that are separated by blanks or commas, or are a list."""
    if not isinstance(cell, str):
        numbers = np.asarray(cell, dtype=float).ravel()
    else:
        text = cell.translate(_NO_BRACKETS)
        try:
            return np.fromstring(text, np.int64, sep=" ")
        except (ValueError, DeprecationWarning) as error:  # a warning before NumPy 2.3
            try:
                numbers = np.array(text.split(), dtype=float)
            except ValueError:
                raise ValueError(f"a pixel is not a whole number ({error}).") from error
    if not (numbers == np.floor(numbers)).all():
        raise ValueError(
            f"a pixel is not a whole number, {numbers.min():g} to {numbers.max():g}; "
            "whole numbers from 0 to 255 are expected."
        )
    return numbers.astype(np.int64)


def _code(cell: Any) -> int:
    """Return FER2013's code of a code or a name."""
    try:
        return FER2013_CLASSES.index(str(decode_label(cell, _CODES)))
    except ValueError as error:
        text = str(cell).strip()
        shown = text if text.isdigit() and len(text) < 20 else shorten(cell)
        raise ValueError(
            f"emotion is {shown}; the codes are 0 to {len(FER2013_CLASSES) - 1}, for "
            f"{', '.join(FER2013_CLASSES)}."
        ) from error


def _read_npz(source: Path) -> Content:
    arrays = read_npz(source, unpacked_limit(source))
    missing = [name for name in ("images", "target") if name not in arrays]
    if missing:
        raise ValueError(f"{str(source)!r} has no {' or '.join(missing)}; it has {[*arrays]}.")
    images, target = arrays.pop("images"), arrays.pop("target")
    if images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8 or len(images) == 0:
        raise ValueError(
            f"{str(source)!r}: images is {images.shape} {images.dtype}; expected "
            f"(n, {SIDE}, {SIDE}) uint8."
        )
    usage = arrays.pop("usage", np.full(len(images), TRAINING)).astype(str)
    if target.shape != (len(images),) or usage.shape != (len(images),):
        raise ValueError(
            f"{str(source)!r}: {len(images)} images, but target has shape {target.shape} and "
            f"usage {usage.shape}."
        )
    legal = np.isin(target, np.arange(len(FER2013_CLASSES)))
    if not legal.all():
        row = int(np.flatnonzero(~legal)[0])
        raise ValueError(
            f"{str(source)!r}: the label of image {row} is {target[row]}; FER2013's codes are 0 "
            f"to {len(FER2013_CLASSES) - 1}."
        )
    where = f"{str(source)!r}, image "
    parts = [known_split(word, f"{where}{index}: ") for index, word in enumerate(usage.tolist())]
    extras = {name: rows for name, rows in arrays.items() if rows.shape[:1] == (len(images),)}
    return Content(images, target, np.array(parts, str), extras)


def _read_folder(source: Path) -> Content:
    parts = {
        entry: split
        for entry in sorted(entries_of(source))
        if entry.is_dir() and (split := split_of(entry.name))
    }
    if TRAINING not in parts.values():
        found = ", ".join(sorted(entry.name for entry in source.iterdir())[:8]) or "nothing"
        raise ValueError(f"{str(source)!r} has no folder train; it holds {found}.")
    train = next(folder for folder, part in parts.items() if part == TRAINING)
    other = f"If this is another data set, give {str(train)!r} (load_image_folder, skfer train)."
    paths, labels, usage = [], [], []
    for folder, part in parts.items():
        images, names = load_image_folder(folder, return_X_y=True)
        unknown = sorted(set(names) - set(FER2013_CLASSES))
        if unknown:
            raise ValueError(
                f"{str(folder)!r} has classes that are not FER2013's: "
                f"{', '.join(unknown[:8])}. {other}"
            )
        paths.append(images)
        labels += names.tolist()
        usage += [part] * len(images)
    files = np.concatenate(paths)
    return Content(
        _gray_faces(files, other),
        np.array([FER2013_CLASSES.index(label) for label in labels]),
        np.array(usage),
        {"paths": files},
    )


def _gray_faces(paths: Iterable[Path], other: str) -> np.ndarray:
    faces = []
    for index, path in enumerate(paths):
        image = to_gray(read_image(path, index))  # some copies were saved as colour
        if image.shape != (SIDE, SIDE):
            raise ValueError(
                f"{str(path)!r} is {image.shape[0]} x {image.shape[1]} pixels; FER2013's images "
                f"are {SIDE} x {SIDE}. {other}"
            )
        faces.append(image)
    return np.stack(faces)
