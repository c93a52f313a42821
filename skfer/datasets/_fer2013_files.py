"""The forms in which FER2013 goes around: a csv file, a folder of images, an npz file."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from skfer._array_files import read_npz
from skfer._images import read_image
from skfer._labels import EXPRESSION_SETS
from skfer.datasets._image_folder import load_image_folder

FER2013_CLASSES = EXPRESSION_SETS[7]
SIDE = 48
# An image has at most 4 characters a pixel.
_LONGEST_LINE = 65_536
# The arrays of an npz together: twenty times FER2013's.
_MOST_BYTES = 2_000_000_000

TRAINING, PUBLIC_TEST, PRIVATE_TEST = "Training", "PublicTest", "PrivateTest"
# A folder copy names its parts otherwise; its "test" is PublicTest and PrivateTest in one.
VALIDATION, TEST = "Validation", "Test"
_FOLDERS = {
    "train": TRAINING,
    "training": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "publictest": PUBLIC_TEST,
    "test": TEST,
    "privatetest": PRIVATE_TEST,
}


@dataclass
class Content:
    """What a file or folder holds, before anything is chosen from it."""

    images: np.ndarray
    target: np.ndarray
    usage: np.ndarray
    extras: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, which: np.ndarray) -> Content:
        """Some of the images, by a mask, with what is known of them."""
        return Content(
            self.images[which],
            self.target[which],
            self.usage[which],
            {name: values[which] for name, values in self.extras.items()},
        )

    def split(self, held_out: str) -> dict[str, np.ndarray | None]:
        """The official split, as loaders return it; one part of it is held out to the end."""
        training, private = self.usage == TRAINING, self.usage == held_out
        return {
            "usage": self.usage,
            "test_fold": None if private.any() else np.where(training, -1, 0).astype(np.int64),
            "train_index": np.flatnonzero(training),
            "public_test_index": np.flatnonzero(~training & ~private),
            "private_test_index": np.flatnonzero(private),
        }

    def parts(self) -> str:
        """The parts and their sizes in words."""
        parts, counts = np.unique(self.usage, return_counts=True)
        return ", ".join(f"{part} {count}" for part, count in zip(parts, counts, strict=True))


def read_fer2013(source: Path) -> Content:
    """What the file or folder holds; `ValueError` if it is no FER2013, or damaged."""
    name = source.name.lower()
    if source.is_dir():
        return _read_folder(source)
    if not source.exists():
        raise ValueError(f"There is no file or folder {str(source)!r}.")
    if name.endswith((".csv", ".csv.gz")):
        return _read_csv(source)
    if name.endswith(".npz"):
        return _read_npz(source)
    raise ValueError(
        f"{str(source)!r} is no form of FER2013: expected a .csv, .csv.gz or .npz file, or a "
        "folder with train and test."
    )


def _opened(source: Path) -> IO[str]:
    if source.name.lower().endswith(".gz"):
        return gzip.open(source, "rt", newline="", encoding="utf-8")
    return source.open(newline="", encoding="utf-8")


def short_lines(lines: IO[str]) -> Iterator[str]:
    """The lines of a table, none longer than a row of it can be.

    A compressed file of some megabytes may hold a line of gigabytes, which would be read at once.

    Raises
    ------
    ValueError
        If one is longer.
    """
    while line := lines.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise ValueError(f"it is longer than {_LONGEST_LINE:,} characters.")
        yield line


def _read_csv(source: Path) -> Content:
    pixels, target, usage = bytearray(), [], []
    with _opened(source) as lines:
        rows = csv.reader(short_lines(lines))
        try:
            columns = _columns(next(rows, []))
            for row in rows:
                if not row:
                    continue
                image, label, part = _parse(row, columns)
                pixels += image
                target.append(label)
                usage.append(part)
        except (ValueError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{str(source)!r}, line {rows.line_num}: {error}") from error
    if not target:
        raise ValueError(f"{str(source)!r} holds no images.")
    images = np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE)
    return Content(images, np.array(target), np.array(usage))


def _columns(header: list[str]) -> tuple[int, int, int | None]:
    names = [name.strip().lstrip("\ufeff").lower() for name in header]
    missing = [name for name in ("emotion", "pixels") if name not in names]
    if missing:
        raise ValueError(f"no column {' or '.join(missing)}; the columns are {names}.")
    usage = names.index("usage") if "usage" in names else None
    return names.index("emotion"), names.index("pixels"), usage


def _parse(row: list[str], columns: tuple[int, int, int | None]) -> tuple[bytes, int, str]:
    emotion, pixels, usage = columns
    if len(row) <= max(emotion, pixels, usage or 0):
        raise ValueError(f"it has only {len(row)} columns.")
    try:
        image = np.fromstring(row[pixels], np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:  # a warning before NumPy 2.3
        raise ValueError(f"a pixel is no whole number ({error}).") from error
    if len(image) != SIDE * SIDE:
        raise ValueError(f"{len(image)} pixels, where {SIDE * SIDE} are expected.")
    if image.min() < 0 or image.max() > 255:
        raise ValueError(f"pixels from {image.min()} to {image.max()}; 0 to 255 are expected.")
    label = int(row[emotion])
    if not 0 <= label < len(FER2013_CLASSES):
        raise ValueError(f"emotion is {label}; the codes are 0 to {len(FER2013_CLASSES) - 1}.")
    part = TRAINING if usage is None else row[usage].strip()
    return image.astype(np.uint8).tobytes(), label, part


def _read_npz(source: Path) -> Content:
    arrays = read_npz(source, _MOST_BYTES)
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
    extras = {name: rows for name, rows in arrays.items() if rows.shape[:1] == (len(images),)}
    return Content(images, target, usage, extras)


def _read_folder(source: Path) -> Content:
    parts = {
        entry: _FOLDERS[entry.name.lower()]
        for entry in sorted(source.iterdir())
        if entry.is_dir() and entry.name.lower() in _FOLDERS
    }
    if TRAINING not in parts.values():
        found = ", ".join(sorted(entry.name for entry in source.iterdir())) or "nothing"
        raise ValueError(f"{str(source)!r} has no folder train; it holds {found}.")
    paths, labels, usage = [], [], []
    for folder, part in parts.items():
        images, names = load_image_folder(folder, return_X_y=True)
        unknown = sorted(set(names) - set(FER2013_CLASSES))
        if unknown:
            raise ValueError(
                f"{str(folder)!r} has classes that are not FER2013's: {', '.join(unknown)}."
            )
        paths.append(images)
        labels += names.tolist()
        usage += [part] * len(images)
    files = np.concatenate(paths)
    return Content(
        _gray_faces(files),
        np.array([FER2013_CLASSES.index(label) for label in labels]),
        np.array(usage),
        {"paths": files},
    )


def _gray_faces(paths: Iterable[Path]) -> np.ndarray:
    faces = []
    for index, path in enumerate(paths):
        image = read_image(path, index)
        if image.ndim == 3:  # some copies were saved as colour
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if image.shape != (SIDE, SIDE):
            raise ValueError(
                f"{str(path)!r} is {image.shape[0]} x {image.shape[1]} pixels; FER2013's images "
                f"are {SIDE} x {SIDE}."
            )
        faces.append(image)
    return np.stack(faces)
