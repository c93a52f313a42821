"""Loaders of images that a table lists with labels, or with ratings of valence and arousal."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skfer._labels import EXPRESSION_CODES, canonical_label, code_table, decode_label, is_missing
from skfer._utils import real_path, shorten
from skfer.datasets._clip_names import name_pattern
from skfer.datasets._files import known_split, open_table
from skfer.datasets._image_folder import attributes_of_names

# AffectNet's codes, in their order; the last three are not expressions.
_AFFECTNET_LABELS = (*filter(None, EXPRESSION_CODES["affectnet"].values()),)
_AFFECTNET_LABELS += ("none", "uncertain", "no face")

# Name of a DataFrame in errors.
_DATAFRAME = "The table"
# Texts of an empty cell.
_MISSING = ("", "nan", "none", "<na>")
_AFFECT_DESCR = """\
{n} images with ratings of valence and arousal, listed in {table}, in the folder {folder}.
{n_dropped} rows without a rating are left out.
"""


def load_image_table(
    table: str | os.PathLike | Any,
    *,
    image: str | int,
    label: str | int | Sequence[str],
    folder: str | os.PathLike | None = None,
    subject: str | int | None = None,
    usage: str | int | None = None,
    names: str | None = None,
    codes: str | Mapping[Any, str | None] | None = None,
    classes: Sequence[str] | None = None,
    normalize: bool = True,
    file_name: Callable[[str], str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    r"""List images with their labels from a table. No image is read.

    Parameters
    ----------
    table : str, os.PathLike or pandas.DataFrame
        Text file, compressed (``.gz``) or not, with columns separated by commas, semicolons, tabs
        or blanks; or the table.
    image : str or int
        Column with the path of each image, relative to `folder`. Numbers, from 0, are for files
        without a header: all columns are then given by number.
    label : str, int or sequence of str
        Column with the label of each image, a name or a code; or one-hot columns, one for each
        class.
    folder : str or os.PathLike, default=None
        Folder of the images, which no path may leave. None is the folder of the file; for a
        DataFrame, None uses the paths unchanged.
    subject : str or int, default=None
        Column with the person or another group of each image.
    usage : str or int, default=None
        Column with the part of the data set, such as train, val or test.
    names
        As in `load_image_folder`.
    codes : {"affectnet", "ck+", "fer2013", "raf-db"} or dict, default=None
        As in `load_image_folder`. Rows with a code of None, such as AffectNet's "uncertain", are
        left out.
    classes : sequence of str, default=None
        Classes in the order of `target`; rows of other classes are left out. None is all, sorted.
    normalize
        As in `load_image_folder`.
    file_name : callable, default=None
        Function from a cell to the path, such as ``lambda cell: f"{cell}.jpg"``.
    return_X_y : bool, default=False
        Whether to return ``(paths, labels)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        In the order of the table, with the attributes

        paths : ndarray of pathlib.Path, shape (n,)
            Paths of the images.
        labels : ndarray of str, shape (n,)
            Label of each image.
        target : ndarray of int64, shape (n,)
            Labels as indices into `target_names`.
        target_names : ndarray of str, shape (n_classes,)
            Labels that `target` refers to.
        row : ndarray of int64, shape (n,)
            Row of each image in the table, from 0.
        n_dropped : int
            Number of rows left out.
        subjects, usage : ndarray of str, shape (n,)
            Groups and parts of the data set, with `subject` and `usage` or from `names`.
        DESCR : str
            Description of the data.
    (paths, labels) : tuple of ndarray of shape (n,)
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If the table or a column is missing, a label, usage or path is wrong, or no row is left.
        The message names the row.

    Examples
    --------
    The file of RAF-DB has no header:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfer.datasets import load_image_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train_00001_aligned.jpg", "test_0001_aligned.jpg"):
    ...         Path(folder, name).touch()
    ...     table = Path(folder, "list_patition_label.txt")
    ...     _ = table.write_text("train_00001.jpg 5\ntest_0001.jpg 4\n")
    ...     data = load_image_table(
    ...         table, image=0, label=1, codes="raf-db", names="raf-db",
    ...         file_name=lambda name: name.replace(".jpg", "_aligned.jpg"),
    ...     )
    >>> data.labels.tolist(), data.usage.tolist()
    (['sad', 'happy'], ['Training', 'Test'])
    """
    label_columns = [label] if isinstance(label, str | int) else list(label)
    wanted = [image, *label_columns, *(c for c in (subject, usage) if c is not None)]
    columns, name = _read_columns(table, wanted)
    coded = None if codes is None else code_table(codes)
    cells = (
        columns[label_columns[0]]
        if isinstance(label, str | int)
        else _one_hot({column: columns[column] for column in label_columns}, name)
    )
    found = []
    for row, cell in enumerate(cells):
        try:
            found.append(decode_label(cell, coded, normalize=normalize))
        except ValueError as error:
            raise ValueError(f"{name}, row {row}: {error}.") from error
    known = {text for text in found if text is not None}
    if isinstance(classes, str):
        raise ValueError(f"classes={classes!r} must be a list, such as [{classes!r}].")
    if classes is None:
        class_names = sorted(known)
    else:
        # A name of `codes` stays as it is, even if it is a synonym.
        class_names = [
            text if text in known else str(decode_label(text, normalize=normalize))
            for text in classes
        ]
        missing = [text for text in class_names if text not in known]
        if missing or len(set(class_names)) < len(class_names):
            problem = (
                f"no row has the label {missing[0]!r}" if missing else "classes names one twice"
            )
            raise ValueError(f"{name}: {problem}; the labels are {shorten(sorted(known))}.")
    codes_of = {text: code for code, text in enumerate(class_names)}
    rows = [row for row, text in enumerate(found) if text in codes_of]
    if not rows:
        raise ValueError(f"{name} has {len(found)} rows, and none with a label.")
    files = [str(columns[image][row]) for row in rows]
    if file_name is not None:
        files = [file_name(cell) for cell in files]
    paths = _files(_root(table, folder), files, rows, name)
    labels = np.array([found[row] for row in rows], str)
    if return_X_y:
        return paths, labels
    attributes: dict[str, np.ndarray] = {}
    if names is not None:
        attributes = attributes_of_names(paths.tolist(), name_pattern(names), names)
    if subject is not None:
        attributes["subjects"] = _texts(columns[subject], rows, subject, name)
    if usage is not None:
        words = columns[usage]
        splits = [known_split(words[row], f"{name}, row {row}: ") for row in rows]
        attributes["usage"] = np.array(splits, str)
    counts = Counter(labels.tolist())
    n_dropped = len(found) - len(rows)
    return Bunch(
        paths=paths,
        labels=labels,
        target=np.array([codes_of[text] for text in labels.tolist()], np.int64),
        target_names=np.array(class_names, str),
        row=np.array(rows, np.int64),
        n_dropped=n_dropped,
        DESCR=(
            f"{len(rows)} images listed in {_name_in_sentence(name)}: "
            f"{', '.join(f'{text} {counts[text]}' for text in class_names)}."
            + (f" {n_dropped} rows of other labels are left out." if n_dropped else "")
        ),
        **attributes,
    )


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
        A ``.csv`` or ``.csv.gz`` with a header, or the table.
    folder : str or os.PathLike, default=None
        Folder of the images. None is the folder of the file; it is required for a DataFrame.
    image, valence, arousal : str
        Columns with the path of each image, relative to `folder`, and its ratings.
    expression : str or None, default="expression"
        Optional column with the expression: AffectNet's codes from 0 to 10, or names. None
        ignores it.
    missing : float or None, default=-2.0
        Value of a missing rating, besides empty cells and NaN. Rows without both ratings are left
        out.
    return_X_y : bool, default=False
        Whether to return ``(paths, affect)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        In the order of the table, with the attributes

        paths : ndarray of pathlib.Path, shape (n,)
            Paths of the images.
        target : ndarray of float64, shape (n, 2)
            Valence and arousal, on the scale of the table.
        target_names : ndarray of str, shape (2,)
            "valence" and "arousal".
        valence, arousal : ndarray of float64, shape (n,)
            The columns of `target`.
        labels : ndarray of str, shape (n,), or None
            Name of the expression, "none", "uncertain" or "no face"; None without such a column.
        row : ndarray of int64, shape (n,)
            Row of each image in the table, from 0.
        n_dropped : int
            Number of rows left out.
        DESCR : str
            Description of the data.
    (paths, affect) : tuple of ndarray of shape (n,) and (n, 2)
        If `return_X_y` is True; `affect` is `target`.

    Raises
    ------
    ValueError
        If the table or a column is missing, or a cell is wrong. The message names the row.

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
    if folder is None and hasattr(table, "columns"):
        raise ValueError("folder is the folder of the images of a DataFrame and must not be None.")
    root = _root(table, folder)
    columns, name = _read_columns(table, [image, valence, arousal], expression)
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
        DESCR=_AFFECT_DESCR.format(
            n=len(rows), table=_name_in_sentence(name), folder=root, n_dropped=n_dropped
        ),
    )


def _read_columns(
    table: Any, wanted: Sequence[str | int], optional: str | None = None
) -> tuple[dict[str | int, Sequence[Any]], str]:
    """Return the cells of columns, and what an error calls the table."""
    asked = wanted if optional is None else (*wanted, optional)
    cells: Sequence[Sequence[Any]]
    if hasattr(table, "columns"):
        name = _DATAFRAME
        names = [str(column) for column in table.columns]
        cells = [table.iloc[:, column].tolist() for column in range(len(names))]
    else:
        name = repr(os.fspath(table))
        names, cells = _read_cells(Path(table), wanted, {*map(_key, asked)})
    # Case and blanks around a name make no difference, unless two columns differ in nothing else.
    by_key = {_key(column): values for column, values in zip(names, cells, strict=True)}
    exact = dict(zip(names, cells, strict=True))
    found: dict[str | int, Sequence[Any]] = {}
    for column in asked:
        values = exact.get(str(column), by_key.get(_key(column)))
        if values is not None:
            found[column] = values
        elif column in wanted:
            raise ValueError(f"{name} has no column {column!r}; it has {shorten(names, 400)}.")
    return found, name


def _name_in_sentence(name: str) -> str:
    return "a DataFrame" if name == _DATAFRAME else name


def _key(column: str | int) -> str:
    return str(column).strip().casefold()


def _read_cells(
    source: Path, wanted: Sequence[str | int], keys: set[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the column names, which are numbers without a header, and the cells of `keys`."""
    if not source.exists():
        raise ValueError(f"There is no file {str(source)!r}.")
    numbered = [column for column in wanted if isinstance(column, int)]
    has_names = len(numbered) < len(wanted)
    with open_table(source) as lines:
        first = next(lines, "")
        delimiter = _delimiter(first, wanted)
        text: Iterator[str] = chain([first], lines)
        if delimiter == " ":
            text = (line.strip() for line in text)
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
        names = [str(column) for column in range(max(numbered, default=-1) + 1)]
        if has_names:
            names = [column.strip() for column in next(reader, [])]
        cells: list[list[str]] = [[] for _ in names]
        kept = [index for index, column in enumerate(names) if _key(column) in keys]
        for number, row in enumerate(row for row in reader if row):
            if len(row) < len(names) or (has_names and len(row) > len(names)):
                raise ValueError(
                    f"row {number} has {len(row)} cells, the first line {len(names)}."
                    if has_names
                    else f"row {number} has {len(row)} cells; column {len(names) - 1} is asked for."
                )
            for index in kept:
                cells[index].append(row[index])
    return names, cells


def _delimiter(line: str, wanted: Sequence[str | int]) -> str:
    """Return the delimiter with which the first line has the most wanted columns."""

    def n_found(delimiter: str) -> int:
        cells = next(csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True), [])
        keys = {*map(_key, cells), *map(str, range(len(cells)))}
        return sum(_key(column) in keys for column in wanted)

    return max(",;\t ", key=n_found)


def _one_hot(columns: Mapping[str | int, Sequence[Any]], name: str) -> list[str]:
    """Return for each row the column that is not 0."""
    values = np.column_stack([_numbers(cells, str(c), name) for c, cells in columns.items()])
    n_set = (np.nan_to_num(values) != 0).sum(axis=1)
    if (n_set != 1).any():
        row = int(np.flatnonzero(n_set != 1)[0])
        raise ValueError(
            f"{name}, row {row}: {n_set[row]} of the columns {list(columns)} are set; a label is "
            "one of them."
        )
    keys = [str(column) for column in columns]
    return [keys[index] for index in np.nan_to_num(values).argmax(axis=1)]


def _texts(cells: Sequence[Any], rows: Sequence[int], column: Any, name: str) -> np.ndarray:
    texts = [str(cells[row]).strip() for row in rows]
    for row, text in zip(rows, texts, strict=True):
        if text.casefold() in _MISSING:
            raise ValueError(f"{name}, row {row}: {column!r} is missing.")
    return np.array(texts, str)


def _root(table: Any, folder: str | os.PathLike | None) -> Path | None:
    """Return the folder that paths are relative to; None for a DataFrame without one."""
    if folder is None and hasattr(table, "columns"):
        return None
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
            raise ValueError(f"{name}, row {row}: {column} is {cell!r}, not a number.") from error
        if math.isinf(numbers[row]):
            raise ValueError(f"{name}, row {row}: {column} is infinite.")
    return numbers


def _label(cell: Any, row: int, name: str) -> str:
    """Return the canonical name of AffectNet's code or a name."""
    text = str(cell).strip()
    if is_missing(cell) or not text:
        raise ValueError(
            f"{name}, row {row}: the expression is missing. expression=None ignores the column."
        )
    try:
        code = float(text)
    except ValueError:
        return canonical_label(text)
    if code not in range(len(_AFFECTNET_LABELS)):
        raise ValueError(
            f"{name}, row {row}: the expression is {cell!r}; AffectNet's codes are 0 to "
            f"{len(_AFFECTNET_LABELS) - 1}. Ignore the column with expression=None."
        )
    return _AFFECTNET_LABELS[int(code)]


def _files(root: Path | None, cells: Sequence[Any], rows: Sequence[int], name: str) -> np.ndarray:
    """Return the image files; refuse paths and links out of the folder."""
    inside: dict[Path, bool] = {}  # by folder
    real_root = None if root is None else real_path(root)
    paths = np.empty(len(cells), dtype=object)
    absent = []
    for index, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        text = str(cell).strip()
        if text.casefold() in _MISSING:
            raise ValueError(f"{name}, row {row}: the path is missing.")
        path = Path(text) if root is None else root / text
        if "\\" in text and not os.path.exists(path):  # a table made on Windows
            text = text.replace("\\", "/")
            path = Path(text) if root is None else root / text
        if real_root is not None and _leads_out(path, real_root, inside):
            raise ValueError(
                f"{name}, row {row}: the image {shorten(text)} is outside of {str(root)!r}. "
                "Paths are relative to folder and stay in it: give a folder that holds them all."
            )
        if not os.path.isfile(path):  # Path.is_file raises an error if the name is too long
            absent.append((row, path))
        paths[index] = path
    if absent:
        row, path = absent[0]
        raise ValueError(
            f"{name}, row {row}: there is no image {shorten(str(path), 300)}; {len(absent)} of "
            f"{len(cells)} are missing. folder is the folder of the images."
        )
    return paths


def _leads_out(path: Path, root: Path, inside: dict[Path, bool]) -> bool:
    """Return whether a path leaves the resolved folder, itself or through a link."""
    parent = path.parent
    if parent not in inside:
        inside[parent] = real_path(parent).is_relative_to(root)
    return (
        not inside[parent]
        or path.name == ".."
        or (os.path.islink(path) and not real_path(path).is_relative_to(root))
    )
