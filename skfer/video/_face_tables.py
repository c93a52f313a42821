"""Tables of the faces of a video, written to CSV or Parquet frame by frame."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skfer._utils import import_extra
from skfer.recognition import class_columns, escape_formula, set_column_types, unescape_formula
from skfer.video._follow_faces import VideoFrame

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "frame", "timestamp", "face_id", "x", "y", "width", "height",
    "confidence", "detected", "expression", "probability",
)  # fmt: skip
_SUFFIXES = (".csv", ".parquet")
_ROWS_PER_GROUP = 2000  # of a Parquet file

Row = tuple[Any, ...]


def frame_rows(frame: VideoFrame) -> list[Row]:
    """Return a row for each face of a frame, or one row without a face."""
    start = (frame.index, round(frame.timestamp, 6))
    if not frame.faces:
        missing = dict.fromkeys(COLUMNS[2:]) | {"detected": False}
        return [(*start, *missing.values(), *(None for _ in frame.classes))]
    return [
        (
            *start,
            face.face_id,
            *face.box,
            round(face.confidence, 6),
            face.detected,
            face.expression,
            *(round(value, 6) for value in (face.probabilities.max(), *face.probabilities)),
        )
        for face in frame.faces
    ]


def row_writer(path: Path, classes: Sequence[Any]) -> Any:
    """Return a writer to a file of the type of its suffix, with ``write(rows)`` and ``close()``."""
    kind = _ParquetWriter if path.suffix.lower() == ".parquet" else _CSVWriter
    return kind(path, classes)


def validate_suffix(path: Path) -> None:
    """Raise if the suffix of a table is unknown or needs a missing package."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"csv={str(path)!r} must end in {' or '.join(_SUFFIXES)}.")
    if suffix == ".parquet":
        _import_pyarrow()


def read_rows(path: str | os.PathLike, classes: Sequence[Any] | None = None) -> pd.DataFrame:
    """Read a table from a file of a writer; expressions are text unless the classes are numbers."""
    import pandas as pd

    if Path(path).suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    # A class may be named "None": only an empty cell is a missing value. One may be named "1".
    is_text = classes is None or all(isinstance(label, str) for label in classes)
    dtype = {"expression": "string"} if is_text else None
    table = pd.read_csv(path, dtype=dtype, keep_default_na=False, na_values=[""])
    table = table.rename(columns=unescape_formula)
    if is_text and "expression" in table:
        table["expression"] = table["expression"].map(unescape_formula)
    return table


def to_table(rows: list[Row], classes: Sequence[Any]) -> pd.DataFrame:
    """Return rows as a pandas table."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=[*COLUMNS, *class_columns(classes)])
    return set_column_types(table, classes)


class _CSVWriter:
    def __init__(self, path: Path, classes: Sequence[Any]):
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close
        self.close = self._file.close
        self._writer = csv.writer(self._file)
        self.write([(*COLUMNS, *class_columns(classes))])

    def write(self, rows: list[Row]) -> None:
        self._writer.writerows([escape_formula(value) for value in row] for row in rows)


class _ParquetWriter:
    def __init__(self, path: Path, classes: Sequence[Any]):
        self._pyarrow, parquet = _import_pyarrow()
        types: dict[str, Any] = dict.fromkeys(
            (*COLUMNS, *class_columns(classes)), self._pyarrow.float64()
        )
        integers = ("frame", "face_id", "x", "y", "width", "height")
        types |= dict.fromkeys(integers, self._pyarrow.int64())
        types["detected"] = self._pyarrow.bool_()
        types["expression"] = self._pyarrow.array(classes).type
        self._schema = self._pyarrow.schema(list(types.items()))
        self._writer = parquet.ParquetWriter(os.fspath(path), self._schema)
        self._buffer: list[Row] = []

    def write(self, rows: list[Row]) -> None:
        self._buffer += rows
        if len(self._buffer) >= _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        try:
            if self._buffer:
                self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        columns = zip(*self._buffer, strict=True)
        arrays = [
            self._pyarrow.array(values, field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._pyarrow.table(arrays, schema=self._schema))
        self._buffer = []


def _import_pyarrow() -> tuple[Any, Any]:
    needs = ("a Parquet file", "parquet", "use the suffix .csv")
    return import_extra("pyarrow", *needs), import_extra("pyarrow.parquet", *needs)
