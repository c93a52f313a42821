"""`load_affect_table`: images with ratings of valence and arousal, as AffectNet lists them."""

from __future__ import annotations

import csv
import gzip
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skfer._labels import canonical_label

# AffectNet's codes, in their order; the last three are no expressions.
AFFECTNET_LABELS = (
    *("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"),
    *("none", "uncertain", "no face"),
)

_DESCR = """\
{n} images with ratings of valence and arousal, listed in {table}; the files lie in {folder}.
{n_dropped} rows without a rating are left out.
"""


def load_affect_table(
    table: str | os.PathLike | Any,
    *,
    folder: str | os.PathLike | None = None,
    image: str = "subDirectory_filePath",
    valence: str = "valence",
    arousal: str = "arousal",
    expression: str | None = "expression",
    missing: float | None = -2.0,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    r"""List images with their valence and arousal from a table. No image is read.

    The defaults are the columns of AffectNet's ``training.csv`` and ``validation.csv`` [1]_.

    Parameters
    ----------
    table : str, os.PathLike or pandas.DataFrame
        A ``.csv`` or ``.csv.gz`` with a line of names, or the table itself.
    folder : str or os.PathLike, default=None
        Where the images lie. None is the folder of the file; a DataFrame needs it.
    image, valence, arousal : str
        Columns with the path of each image, relative to `folder`, and its ratings.
    expression : str or None, default="expression"
        Column with the expression: AffectNet's codes from 0 to 10, or names. Not needed; None
        passes over it.
    missing : float or None, default=-2.0
        What stands for no rating, beside empty cells and NaN. Rows that lack one of the ratings
        are left out and counted.
    return_X_y : bool, default=False
        Whether to return ``(paths, affect)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        In the order of the table, with the attributes

        paths : ndarray of pathlib.Path, shape (n,)
            What the estimators take as `X`.
        target : ndarray of float64, shape (n, 2)
            Valence and arousal, on the scale of the table; what `FacialAffectRegressor` takes.
        target_names : ndarray of str, shape (2,)
            "valence" and "arousal".
        valence, arousal : ndarray of float64, shape (n,)
            The two columns of `target`.
        labels : ndarray of str, shape (n,), or None
            Name of the expression, "none", "uncertain" or "no face"; None without such a column.
        row : ndarray of int64, shape (n,)
            Place of each image in the table, counted from 0.
        n_dropped : int
            Rows left out because they lack a rating.
        DESCR : str
            What was read, in words.
    (paths, affect) : tuple of ndarray of shape (n,) and (n, 2)
        If `return_X_y` is True; `affect` is `target`.

    Raises
    ------
    ValueError
        If the table or a column is missing, a rating is no number, an expression is no code, a
        path leads out of `folder` or to no file, or no row has ratings. The message names the row.

    References
    ----------
    .. [1] Mollahosseini, A., Hasani, B. & Mahoor, M. H. (2019). AffectNet: a database for facial
       expression, valence, and arousal computing in the wild. IEEE Transactions on Affective
       Computing 10, 18-31.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfer.datasets import load_affect_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "a.jpg").touch()
    ...     lines = ["path,v,a", "a.jpg,0.5,-0.1", "b.jpg,-2,-2"]
    ...     _ = Path(folder, "ratings.csv").write_text("\n".join(lines))
    ...     data = load_affect_table(
    ...         f"{folder}/ratings.csv", image="path", valence="v", arousal="a"
    ...     )
    >>> [path.name for path in data.paths], data.target.tolist(), data.n_dropped
    (['a.jpg'], [[0.5, -0.1]], 1)
    """
    columns, name = _columns_of(table)
    root = _root(table, folder)
    wanted = [image, valence, arousal]
    absent = [column for column in wanted if column not in columns]
    if absent:
        raise ValueError(f"{name} has no column {absent[0]!r}; it has {list(columns)}.")
    ratings = np.column_stack([_numbers(columns[c], c, name) for c in (valence, arousal)])
    rated = ~np.isnan(ratings).any(axis=1)
    if missing is not None:
        rated &= (ratings != missing).all(axis=1)
    rows = np.flatnonzero(rated).tolist()
    if not rows:
        raise ValueError(f"{name} has {len(ratings)} rows, and none has both ratings.")
    paths = _files(root, [columns[image][row] for row in rows], rows, name)
    target = ratings[rows]
    if return_X_y:
        return paths, target
    labels = None
    if expression is not None and expression in columns:
        labels = np.array([_label(columns[expression][row], row, name) for row in rows])
    n_dropped = len(ratings) - len(rows)
    return Bunch(
        paths=paths,
        target=target,
        target_names=np.array(["valence", "arousal"]),
        valence=target[:, 0],
        arousal=target[:, 1],
        labels=labels,
        row=np.array(rows, np.int64),
        n_dropped=n_dropped,
        DESCR=_DESCR.format(n=len(rows), table=name, folder=root, n_dropped=n_dropped),
    )


def _columns_of(table: Any) -> tuple[Mapping[str, Sequence[Any]], str]:
    """The columns by name, and what an error calls the table."""
    if hasattr(table, "columns"):
        return {str(column): table[column].tolist() for column in table.columns}, "The table"
    source = Path(table)
    if not source.is_file():
        raise ValueError(f"There is no file {str(source)!r}.")
    opened = gzip.open if source.name.lower().endswith(".gz") else open
    with opened(source, "rt", newline="", encoding="utf-8-sig") as lines:
        rows = csv.reader(lines)
        try:
            names = [column.strip() for column in next(rows, [])]
            values = [row for row in rows if row]
        except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
            raise ValueError(f"{str(source)!r}, line {rows.line_num}: {error}") from error
    for place, row in enumerate(values):
        if len(row) != len(names):
            raise ValueError(
                f"{str(source)!r}: row {place} has {len(row)} cells, the first line {len(names)}."
            )
    columns = {name: [row[place] for row in values] for place, name in enumerate(names)}
    return columns, repr(str(source))


def _root(table: Any, folder: str | os.PathLike | None) -> Path:
    if folder is None and hasattr(table, "columns"):
        raise ValueError("folder says where the images of a DataFrame lie: it can't be None.")
    root = Path(table).parent if folder is None else Path(folder)
    if not root.is_dir():
        raise ValueError(f"There is no folder {str(root)!r}.")
    return root


def _numbers(cells: Sequence[Any], column: str, name: str) -> np.ndarray:
    numbers = np.empty(len(cells))
    for row, cell in enumerate(cells):
        empty = cell is None or (isinstance(cell, str) and not cell.strip())
        try:
            numbers[row] = math.nan if empty else float(cell)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}, row {row}: {column} is {cell!r}, no number.") from error
        if math.isinf(numbers[row]):
            raise ValueError(f"{name}, row {row}: {column} is infinite.")
    return numbers


def _label(cell: Any, row: int, name: str) -> str:
    """AffectNet's code, or a name, as the package's name."""
    text = str(cell).strip()
    try:
        code = float(text)
    except ValueError:
        return canonical_label(text)
    if code not in range(len(AFFECTNET_LABELS)):
        raise ValueError(
            f"{name}, row {row}: the expression is {cell!r}; AffectNet's codes are 0 to "
            f"{len(AFFECTNET_LABELS) - 1}. Pass over the column with expression=None."
        )
    return AFFECTNET_LABELS[int(code)]


def _files(root: Path, cells: Sequence[Any], rows: Sequence[int], name: str) -> np.ndarray:
    """The image files; none may lie, or be linked to, outside the folder."""
    real_root = root.resolve()
    inside: dict[Path, bool] = {}  # of folders, of which there are few
    paths = np.empty(len(cells), dtype=object)
    absent = []
    for place, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        path = root / str(cell)
        parent = path.parent
        if parent not in inside:
            inside[parent] = parent.resolve().is_relative_to(real_root)
        leads_out = not inside[parent] or path.name == ".."
        if leads_out or (path.is_symlink() and not path.resolve().is_relative_to(real_root)):
            raise ValueError(
                f"{name}, row {row}: the image {str(cell)!r} is outside of {str(root)!r}. Paths "
                "are relative to folder and stay in it."
            )
        if not path.is_file():
            absent.append((row, path))
        paths[place] = path
    if absent:
        row, path = absent[0]
        raise ValueError(
            f"{name}, row {row}: there is no image {str(path)!r}; {len(absent)} of {len(cells)} "
            "are missing. folder names where they lie."
        )
    return paths
