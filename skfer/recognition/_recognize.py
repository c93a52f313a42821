"""`recognize`: the faces of many photos as a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skfer._images import IMAGE_SUFFIXES
from skfer._utils import printable
from skfer.detection import FaceDetector
from skfer.recognition._face_reader import FaceReader, FaceReading, Region, as_reader
from skfer.recognition._progress import progress_bar
from skfer.recognition._table import PHOTO_COLUMNS, class_columns, import_pandas, typed

if TYPE_CHECKING:
    import pandas as pd


def recognize(
    images: Any,
    pipeline: Any = None,
    *,
    detector: str | FaceDetector | None = None,
    on_error: str = "raise",
    batch_size: int = 32,
    progress: bool = False,
    region: Region | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Find every face of every image and name its expression.

    Parameters
    ----------
    images : batch of n images, or path of a folder
        Arrays (gray or RGB), paths or bytes; of a folder, the image files in it, sorted by name.
    pipeline : Pipeline, classifier or FaceReader, default=None
        As for `FaceReader`; None stands for ``skfer.load_pretrained()``. Load it once and pass
        it on if you call this more than once.
    detector : str or FaceDetector, default=None
        Finds the faces in place of the detector of the Pipeline's cropper.
    on_error : {"raise", "keep"}, default="raise"
        What to do with an image that can't be read, searched or named: raise, or keep a row
        without a face, and say why in a column `error`, which there is with "keep" only.
    batch_size : int, default=32
        Images whose faces are named in one call, while the next are searched.
    progress : bool, default=False
        Whether to show a bar on standard error.
    region : tuple of 4 numbers, default=None
        Part of the image in which faces are looked for, as for `FaceReader`.
    n_jobs : int, default=None
        Threads that decode and detect. None and -1 take one for each core.

    Returns
    -------
    pandas.DataFrame
        A row for each face, images in the order given and the faces of an image from the largest
        to the smallest. An image without a face has one row, with nothing from `face` on.

        image : str or int
            The path, or the place in the batch if there is none. Parts of a path that are not
            UTF-8 are escaped.
        face : Int64
            Number of the face in its image, from 0.
        x, y, width, height : Int64
            Its box in pixels, as the detector found it.
        confidence : float64
            The detector's, on its own scale.
        expression
            The most probable class; of a Pipeline with an `AbstainingClassifier`, its label of
            abstention ("unsure") where none is probable enough.
        probability : float64
            That of the most probable class.
        one column for each class : float64
            Its probability. The column is named as the class is, or with ``p_`` before it if
            another column has that name (``p_face``).

    Raises
    ------
    ValueError
        If an image can't be read (its index and path are named), the folder has no images, or
        the Pipeline can't read faces.
    TypeError, NotFittedError
        If the Pipeline gives no probabilities, or is not fitted.
    ImportError
        If pandas is not installed.

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
    0      0     0 ...
    1      1     0 ...
    >>> table.columns[-4:].tolist()
    ['expression', 'probability', 'happy', 'sad']
    """
    pd = import_pandas("recognize")
    if isinstance(images, str | os.PathLike) and Path(images).is_dir():
        images = image_files(Path(images))
    reader = as_reader(pipeline, detector, n_jobs, region)

    batches = reader.read_batches(images, batch_size=batch_size, on_error=on_error)
    readings: list[FaceReading] = []
    with progress_bar("recognize", len(images), "images", shown=progress) as bar:
        for batch in batches:
            readings += batch
            bar.update(len(batch))
    rows = [
        (_name(images, place), *row)
        for place, reading in enumerate(readings)
        for row in face_rows(reading, reader)
    ]
    columns = [*PHOTO_COLUMNS, *class_columns(reader.classes)]
    table = typed(pd.DataFrame(rows, columns=columns), reader.classes)
    if on_error == "keep":
        repeated = [reading.error for reading in readings for _ in range(max(len(reading), 1))]
        table["error"] = pd.array(repeated, dtype=pd.StringDtype())
    return table


def face_rows(reading: FaceReading, reader: FaceReader) -> list[tuple[Any, ...]]:
    """A row from `face` on for each face, or one of missing values."""
    if len(reading) == 0:
        return [(None,) * (len(PHOTO_COLUMNS) - 1 + len(reader.classes))]
    faces = reading.detections
    return [
        (face, *box, score, expression, max(row), *row)
        for face, (box, score, expression, row) in enumerate(
            zip(
                faces.boxes.tolist(),
                faces.scores.tolist(),
                reader.expressions(reading.probabilities),
                reading.probabilities.tolist(),
                strict=True,
            )
        )
    ]


def image_files(folder: Path) -> list[Path]:
    """The image files that lie in a folder, sorted by name.

    Parameters
    ----------
    folder : Path
        Folders inside it, and names that begin with a dot, are passed over. HEIC files are
        listed even if they can't be read, so that no photo is missing from a table.

    Returns
    -------
    list of Path

    Raises
    ------
    ValueError
        If there are none, one is a link that leads out of the folder, or the folder can't be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfer.recognition import image_files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.jpg", "a.PNG", "notes.txt"):
    ...         _ = Path(folder, name).write_bytes(b"")
    ...     [file.name for file in image_files(Path(folder))]
    ['a.PNG', 'b.jpg']
    """
    from skfer.datasets._files import entries_of, refuse_link_out

    # A link that leads nowhere is a photo that can't be read, not one that is left out.
    files = sorted(
        file
        for file in entries_of(folder)
        if file.suffix.lower() in IMAGE_SUFFIXES
        and not file.name.startswith(".")
        and (file.is_file() or (file.is_symlink() and not file.exists()))
    )
    for file in files:
        refuse_link_out(file, folder)
    if not files:
        raise ValueError(
            f"The folder {str(folder)!r} holds no images ({', '.join(IMAGE_SUFFIXES)}). Those in "
            "folders inside it are not looked for: give their paths in a list."
        )
    return files


def _name(images: Any, place: int) -> Any:
    item = images.iloc[place] if hasattr(images, "iloc") else images[place]
    if isinstance(item, str | os.PathLike):
        return printable(os.fspath(item), controls=False)
    return place
