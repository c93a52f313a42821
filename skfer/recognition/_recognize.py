"""`recognize`: the faces of many photos as a table, with its columns and CSV text."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skfer._images._batch import IMAGE_SUFFIXES
from skfer._utils import entries_of, leads_out, link_refusal, printable
from skfer.detection import FaceDetector
from skfer.recognition._reader import FaceReader, FaceReading, Region, make_reader

if TYPE_CHECKING:
    import pandas as pd

# Columns of a table of photos; the columns of the classes follow.
_COLUMNS = ["image", "face", "x", "y", "width", "height", "confidence", "expression", "probability"]
_INTEGER_COLUMNS = ("frame", "face", "face_id", "x", "y", "width", "height")
_RESERVED_COLUMNS = {*_COLUMNS, *_INTEGER_COLUMNS, "timestamp", "detected", "error"}

# Spreadsheets take a cell that starts with one of these characters, some of them full-width, as a
# formula.
_FORMULA_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(rf"'*\s*[{_FORMULA_SIGNS}]")
_ESCAPED_FORMULA = re.compile(rf"'+\s*[{_FORMULA_SIGNS}]")


def recognize(
    images: Any,
    pipeline: Any = None,
    *,
    detector: str | FaceDetector | None = None,
    on_error: str = "raise",
    on_missing: str = "blank",
    batch_size: int = 32,
    progress: bool = False,
    region: Region | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Detect all faces of all images and recognise their expressions.

    Parameters
    ----------
    images : batch of n images, or path of a folder
        Arrays (gray or RGB), paths or bytes. A folder means its image files, sorted by name.
    pipeline : Pipeline, classifier or FaceReader, default=None
        Fitted Pipeline or classifier, see `FaceReader`. None means ``skfer.load_pretrained()``.
        For several calls, load it once and pass it.
    detector : str or FaceDetector, default=None
        Detector that replaces that of the Pipeline's cropper.
    on_error : {"raise", "keep"}, default="raise"
        Whether to raise the error of an image that can't be read, searched or classified, or to
        keep a row without a face, with the message in an additional column `error`.
    on_missing : {"blank", "image", "raise"}, default="blank"
        Row of an image without a face. "blank": a row with missing values. "image": the
        expression of the whole image, as `Pipeline.predict` returns it by default, with the box
        of the image but without `face` and `confidence`. "raise": an error that names the
        images; with ``on_error="keep"``, it stands in the column `error`.
    batch_size : int, default=32
        Number of images whose faces are classified in one call.
    progress : bool, default=False
        Whether to show a progress bar on standard error.
    region : tuple of 4 numbers, default=None
        Part of the image to search, see `FaceReader`.
    n_jobs : int, default=None
        Number of threads that decode and detect. None and -1 mean one for each core.

    Returns
    -------
    pandas.DataFrame
        One row for each face, in the order of the images, and from the largest to the smallest
        face of an image. An image without a face has one row, see `on_missing`.
        ``attrs["detector"]`` is the name of the detector.

        image : str or int
            Path, or index in the batch if there is no path. Bytes of a path that are not UTF-8
            are escaped.
        face : Int64
            Number of the face in its image, from 1; missing if there is no face.
        x, y, width, height : Int64
            Box of the detector in pixels.
        confidence : float64
            Score of the detector, on its own scale.
        expression
            The most probable class. With an `AbstainingClassifier`, its abstention label
            ("unsure") for probabilities below the threshold.
        probability : float64
            Probability of the most probable class.
        one column for each class : float64
            Probability of the class. The column is named like the class, with the prefix ``p_``
            if another column has that name (``p_face``).

    Raises
    ------
    ValueError
        If an image can't be read (the message names its index and path), if there is no such
        folder or it has no images, if the Pipeline can't classify faces, or if there is no face and
        ``on_missing="raise"``.
    TypeError, NotFittedError
        If the Pipeline has no `predict_proba`, or is not fitted.

    Examples
    --------
    >>> from skfer import FacialExpressionClassifier, recognize
    >>> from skfer.datasets import make_faces
    >>> faces = make_faces(40, classes=["happy", "sad"], random_state=0)
    >>> classifier = FacialExpressionClassifier("mini_xception", epochs=1, random_state=0)
    >>> photos = make_faces(2, scene=True, random_state=0).images
    >>> table = recognize(photos, classifier.fit(faces.images, faces.labels))
    >>> table[["image", "face", "width"]]
       image  face  width
    0      0     1 ...
    1      1     1 ...
    >>> table.columns[-4:].tolist()
    ['expression', 'probability', 'happy', 'sad']
    """
    import pandas as pd

    if isinstance(images, str | os.PathLike):
        if Path(images).is_dir():
            images = image_files(images)
        elif not os.path.lexists(images):
            raise ValueError(
                f"There is no file or folder {os.fspath(images)!r}. Patterns and ~ are not "
                "expanded."
            )
    reader = make_reader(pipeline, detector, n_jobs, region)

    batches = reader.read_batches(
        images, batch_size=batch_size, on_error=on_error, on_missing=on_missing
    )
    readings: list[FaceReading] = []
    with progress_bar("recognize", len(images), "images", shown=progress) as bar:
        for batch in batches:
            readings += batch
            bar.update(len(batch))
    rows = [
        (_image_key(images, index), *row)
        for index, reading in enumerate(readings)
        for row in _face_rows(reading, reader)
    ]
    columns = [*_COLUMNS, *class_columns(reader.classes)]
    table = set_column_types(pd.DataFrame(rows, columns=columns), reader.classes)
    if on_error == "keep":
        errors = [reading.error for reading in readings for _ in range(max(len(reading), 1))]
        table["error"] = pd.array(errors, dtype=pd.StringDtype())
    table.attrs["detector"] = reader.detector
    return table


def _face_rows(reading: FaceReading, reader: FaceReader) -> list[tuple[Any, ...]]:
    """Return the columns after `image` for each face, or one row of missing values."""
    if len(reading) == 0:
        return [(None,) * (len(_COLUMNS) - 1 + len(reader.classes))]
    faces = reading.detections
    whole = reading.whole_image
    return [
        (
            None if whole else number,
            *box,
            None if whole else score,
            expression,
            max(row),
            *row,
        )
        for number, (box, score, expression, row) in enumerate(
            zip(
                faces.boxes.tolist(),
                faces.scores.tolist(),
                reader.expressions(reading.probabilities),
                reading.probabilities.tolist(),
                strict=True,
            ),
            start=1,
        )
    ]


def image_files(folder: str | os.PathLike, *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder, sorted by path.

    Parameters
    ----------
    folder : str or os.PathLike
        Names that begin with a dot are ignored. HEIC files are listed even if they can't be
        read, so that a table contains every photo.
    recursive : bool, default=False
        Whether to list the files of subfolders, but not of links to folders.

    Returns
    -------
    list of Path

    Raises
    ------
    ValueError
        If there are no images, or the folder can't be read.

    Warns
    -----
    UserWarning
        If links that lead out of the folder are left out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfer.recognition import image_files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.jpg", "a.PNG", "notes.txt"):
    ...         _ = Path(folder, name).write_bytes(b"")
    ...     [file.name for file in image_files(folder)]
    ['a.PNG', 'b.jpg']
    """
    folder = Path(folder)
    entries = files_below(folder, IMAGE_SUFFIXES, recursive=recursive)
    links = {entry for entry in entries if leads_out(entry, folder)}
    files = [entry for entry in entries if entry not in links]
    if links:
        refusal = link_refusal(min(links), folder)
        if not files:
            raise refusal
        warnings.warn(
            f"{len(links)} of {len(entries)} images are left out: {refusal}",
            UserWarning,
            stacklevel=2,
        )
    if not files:
        hint = (
            " It has subfolders: skfer predict --recursive and image_files(folder, recursive=True) "
            "search them."
        )
        searchable = not recursive and any(map(os.path.isdir, entries_of(folder)))
        raise ValueError(
            f"The folder {str(folder)!r} holds no images ({', '.join(IMAGE_SUFFIXES)})."
            f"{hint if searchable else ''}"
        )
    return files


def files_below(folder: Path, suffixes: Sequence[str] | None, *, recursive: bool) -> list[Path]:
    """Return the files of a folder with these suffixes, or all for None, sorted by path."""

    def below(parent: Path) -> Iterator[Path]:
        for entry in entries_of(parent, folder):
            if entry.name.startswith("."):
                continue
            # Not Path.is_file and is_dir, which raise an error for a link into a closed folder.
            if recursive and os.path.isdir(entry) and not entry.is_symlink():
                yield from below(entry)
            # Such a link, and a broken one, is listed as a file that can't be read.
            elif (suffixes is None or entry.suffix.lower() in suffixes) and (
                os.path.isfile(entry) or (entry.is_symlink() and not os.path.exists(entry))
            ):
                yield entry

    return sorted(below(folder))


def _image_key(images: Any, index: int) -> Any:
    """Return the path of an image, or its index in the batch."""
    item = images.iloc[index] if hasattr(images, "iloc") else images[index]
    if isinstance(item, str | os.PathLike):
        return printable(os.fspath(item), controls=False)
    return index


def class_columns(classes: Sequence[Any]) -> list[str]:
    """Return the column names of classes, with the prefix ``p_`` for names of other columns."""
    labels = [str(label) for label in classes]
    used = _RESERVED_COLUMNS | set(labels)
    names: list[str] = []
    for name in labels:
        if name in _RESERVED_COLUMNS:
            while name in used:
                name = f"p_{name}"
            used.add(name)
        names.append(name)
    return names


def set_column_types(table: Any, classes: Sequence[Any]) -> Any:
    """Return a pandas table with types that allow rows of missing values."""
    import pandas as pd

    types: dict[str, Any] = {name: "Int64" for name in _INTEGER_COLUMNS if name in table}
    floats = ("timestamp", "confidence", "probability", *class_columns(classes))
    types |= {name: "float64" for name in floats if name in table}
    if all(isinstance(label, str) for label in classes):
        types["expression"] = pd.StringDtype()
    elif all(type(label) is int for label in classes):  # not bool
        # The label of an abstention may be -1.5.
        has_fractions = pd.to_numeric(table["expression"]).mod(1).any()
        types["expression"] = "float64" if has_fractions else "Int64"
    if "detected" in table:
        types["detected"] = "bool"
    return table.astype(types)


def escape_formula(value: Any) -> Any:
    """Escape control characters, and formulas by an apostrophe, for a CSV file."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_formula(value: Any) -> Any:
    """Remove the apostrophe of `escape_formula`; control characters stay escaped."""
    return value[1:] if isinstance(value, str) and _ESCAPED_FORMULA.match(value) else value


def map_text(table: Any, function: Callable[[str], str]) -> Any:
    """Return a pandas table with a function applied to its texts and column names."""

    def convert(cell: Any) -> Any:  # missing, or a label that is no text
        return function(cell) if isinstance(cell, str) else cell

    names = table.select_dtypes(include=["object", "string"]).columns
    mapped = table.assign(**{name: table[name].map(convert) for name in names})
    return mapped.rename(columns=function)


class _NoProgress:
    def update(self, count: int) -> None:
        pass


def progress_bar(
    description: str, total: int | None, unit: str, *, shown: bool
) -> contextlib.AbstractContextManager[Any]:
    """Return a context manager with a method ``update(count)``: a bar of tqdm if `shown`."""
    if not shown:
        return contextlib.nullcontext(_NoProgress())
    import tqdm

    return tqdm.tqdm(total=total, desc=description, unit=f" {unit}")
