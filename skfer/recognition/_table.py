"""The columns of a table of faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skfer._extras import import_extra

# A file's rows and a Python table's have them in this order, then a column for each class.
PHOTO_COLUMNS = (
    "image",
    "face",
    "x",
    "y",
    "width",
    "height",
    "confidence",
    "expression",
    "probability",
)
WHOLE_NUMBERS = ("frame", "face", "face_id", "x", "y", "width", "height")
_OWN = {*PHOTO_COLUMNS, *WHOLE_NUMBERS, "timestamp", "detected", "error"}


def class_columns(classes: Sequence[Any]) -> list[str]:
    """Names of the classes' columns: the class itself, if no other column has that name.

    Examples
    --------
    >>> from skfer.recognition._table import class_columns
    >>> class_columns(["happy", "face"]), class_columns([0, 1])
    (['happy', 'p_face'], ['0', '1'])
    """
    names: list[str] = []
    taken = _OWN | {str(label) for label in classes if str(label) not in _OWN}
    for label in classes:
        name = str(label)
        while name in _OWN or (name != str(label) and name in taken):
            name = f"p_{name}"
        names.append(name)
    return names


def typed(table: Any, classes: Sequence[Any]) -> Any:
    """The pandas table with the types that let a row without a face stand in it."""
    import pandas as pd

    types: dict[str, Any] = {name: "Int64" for name in WHOLE_NUMBERS if name in table}
    measured = ("timestamp", "confidence", "probability", *class_columns(classes))
    types |= {name: "float64" for name in measured if name in table}
    if all(isinstance(label, str) for label in classes):
        types["expression"] = pd.StringDtype()
    elif all(isinstance(label, int) for label in classes):
        types["expression"] = "Int64"
    if "detected" in table:
        types["detected"] = "bool"
    return table.astype(types)


def import_pandas(caller: str) -> Any:
    """`pandas`, or an error that says what to install."""
    return import_extra("pandas", caller, "table")
