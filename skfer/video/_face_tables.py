"""Rows of faces to CSV, Parquet or memory, one frame after another."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from skfer._utils import import_extra
from skfer.recognition import (
    class_columns,
    escape_formula,
    set_column_types,
    unescape_formula,
)
from skfer.video._follow_faces import VideoFrame

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "frame",
    "timestamp",
    "face_id",
    "x",
    "y",
    "width",
    "height",
    "confidence",
    "detected",
    "expression",
    "probability",
)
SUFFIXES = (".csv", ".parquet")
# Rows that Parquet keeps together: a few hundred kilobytes.
_ROW_GROUP = 2000

Row = tuple[Any, ...]


class RowSink(Protocol):
    """Takes rows as they come."""

    def write(self, rows: list[Row]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is still held back."""


def frame_rows(frame: VideoFrame) -> list[Row]:
    """A row for each face of a frame, or one without a face."""
    start = (frame.index, round(frame.timestamp, 6))
    if not frame.faces:
        missing = len(COLUMNS) - 2 + len(frame.classes)
        # `detected` says whether the frame was searched, which it was, in vain.
        return [(*start, *(None if place != 6 else False for place in range(missing)))]
    return [
        (
            *start,
            face.face_id,
            *face.box,
            round(face.confidence, 6),
            face.detected,
            face.expression,
            *(round(share, 6) for share in (face.probabilities.max(), *face.probabilities)),
        )
        for face in frame.faces
    ]


def row_sink(path: str | os.PathLike | None, suffix: str, classes: Sequence[Any]) -> RowSink:
    """Writer of rows to a file of the kind of its suffix, or to memory."""
    columns = [*COLUMNS, *class_columns(classes)]
    if path is None:
        return RowsInMemory(columns, classes)
    if suffix == ".parquet":
        return _ParquetRows(path, columns, classes)
    return _CsvRows(path, columns)


def suffix_of(path: str | os.PathLike) -> str:
    """The kind of table that a path asks for.

    Raises
    ------
    ValueError
        If it is none of `SUFFIXES`.
    ImportError
        If what writes it isn't installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"csv={os.fspath(path)!r}: the name says how rows are written, and has to end in "
            f"{' or '.join(SUFFIXES)}."
        )
    if suffix == ".parquet":
        _import_pyarrow()
    return suffix


def read_rows(path: str | os.PathLike, caller: str) -> pd.DataFrame:
    """The table of a file that was written here."""
    import pandas as pd

    if Path(path).suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    # "None" may be the name of a class: only an empty cell is a missing value.
    table = pd.read_csv(path, keep_default_na=False, na_values=[""]).rename(
        columns=unescape_formula
    )
    if table["expression"].dtype.kind not in "biuf":
        table["expression"] = table["expression"].map(unescape_formula)
    return table


class RowsInMemory:
    """Rows that become a pandas table."""

    def __init__(self, columns: list[str], classes: Sequence[Any]):
        self._columns, self._classes = columns, classes
        self._rows: list[Row] = []

    def write(self, rows: list[Row]) -> None:
        """Add rows."""
        self._rows += rows

    def close(self) -> None:
        """Nothing is held back."""

    def table(self) -> pd.DataFrame:
        """All rows."""
        import pandas as pd

        return set_column_types(pd.DataFrame(self._rows, columns=self._columns), self._classes)


class _CsvRows:
    def __init__(self, path: str | os.PathLike, columns: list[str]):
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close
        self._writer = csv.writer(self._file)
        self._writer.writerow(map(escape_formula, columns))

    def write(self, rows: list[Row]) -> None:
        self._writer.writerows([escape_formula(value) for value in row] for row in rows)

    def close(self) -> None:
        self._file.close()


class _ParquetRows:
    def __init__(self, path: str | os.PathLike, columns: list[str], classes: Sequence[Any]):
        self._pyarrow, parquet = _import_pyarrow()
        text = all(isinstance(label, str) for label in classes)
        kinds: dict[str, Any] = {name: self._pyarrow.float64() for name in columns}
        whole = ("frame", "face_id", "x", "y", "width", "height")
        kinds |= dict.fromkeys(whole, self._pyarrow.int64())
        kinds["detected"] = self._pyarrow.bool_()
        kinds["expression"] = self._pyarrow.string() if text else self._pyarrow.int64()
        self._schema = self._pyarrow.schema(list(kinds.items()))
        self._writer = parquet.ParquetWriter(os.fspath(path), self._schema)
        self._held: list[Row] = []

    def write(self, rows: list[Row]) -> None:
        self._held += rows
        if len(self._held) >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        try:
            if self._held:
                self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        columns = list(zip(*self._held, strict=True))
        arrays = [
            self._pyarrow.array(values, field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._pyarrow.table(arrays, schema=self._schema))
        self._held = []


def _import_pyarrow() -> tuple[Any, Any]:
    needs = ("a Parquet file", "parquet", "give a name that ends in .csv")
    return import_extra("pyarrow", *needs), import_extra("pyarrow.parquet", *needs)
