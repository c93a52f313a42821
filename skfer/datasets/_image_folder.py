"""`load_image_folder`: images labelled by folders or file names."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skfer._images._batch import HEIC_SUFFIXES, readable_suffixes
from skfer._labels import canonical_label, code_table, decode_label
from skfer._utils import entries_of, leads_out, link_refusal, page, printable
from skfer.datasets._clip_names import (
    clips_of,
    misfit,
    name_pattern,
    parts_of_name,
    parts_of_names,
)
from skfer.datasets._files import known_split, looks_like_split

# Attributes of the Bunch that the loaders return; groups of a pattern must have other names.
_ATTRIBUTES = {"paths", "labels", "target", "target_names", "row", "n_dropped", "DESCR"}


def load_image_folder(
    path: str | os.PathLike,
    *,
    classes: Sequence[str] | None = None,
    normalize: bool = True,
    extensions: Sequence[str] | None = None,
    names: str | None = None,
    codes: str | Mapping[Any, str | None] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """List the images of a folder that has one subfolder per class. No image is read.

    A pattern in `names` with a label takes the classes from file names instead.

    Parameters
    ----------
    path : str or os.PathLike
        Folder of the classes; images may be in subfolders of a class. Hidden names and files with
        other extensions are ignored. Folders such as ``train``, ``test`` or ``PublicTest`` are
        parts of a data set, not classes: give one of them.
    classes : sequence of str, default=None
        Classes in the order of `target`. None is all classes, sorted by name. A class that is
        called "train" has to be named here.
    normalize : bool, default=True
        Whether to use the canonical names of expressions, see `canonical_label`. Two folders with
        one canonical name are one class.
    extensions : sequence of str, default=None
        Suffixes of image files, in any case. None is all that the package reads, with HEIC if
        pillow-heif is installed (extra `heif`).
    names : str, default=None
        Pattern of file names: "kdef" for ``AF01ANS.JPG`` (subject, label, session, view), "jaffe"
        for ``KA.AN1.39.tiff`` (subject, label), "ck+" for ``S010_004_00000017.png`` (subject,
        clip, frame), "raf-db" for ``train_00001.jpg`` (usage), or a regular expression for the
        beginning of file names. Its named groups become attributes. With a group ``label``,
        images may be in any folders, and names that do not match are left out.
    codes : {"affectnet", "ck+", "fer2013", "raf-db"} or dict, default=None
        Labels of numbered folders or of codes in file names: those of a data set, or a dict such
        as ``{1: "happy", 2: "sad"}``. Images with a code of None are left out.
    return_X_y : bool, default=False
        Whether to return ``(paths, labels)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of pathlib.Path, shape (n,)
            Sorted within each class.
        labels : ndarray of str, shape (n,)
            Label of each image.
        target : ndarray of int64, shape (n,)
            Labels as indices into `target_names`.
        target_names : ndarray of str, shape (n_classes,)
            Labels that `target` refers to.
        DESCR : str
            Number of images in each class, and of ignored files by suffix.
        subjects, clips, frames : ndarray of shape (n,)
            With a group ``subject`` in `names`: person, clip, and index in the clip.
        usage : ndarray of str, shape (n,)
            With a group ``usage`` in `names`: "Training", "Test" and so on.
        other names : ndarray of str, shape (n,)
            Further groups of `names`, such as ``view`` and ``session`` of "kdef".
    (paths, labels) : tuple of ndarray of shape (n,)
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If the folder does not exist or has no classes or images, if it contains the parts of a
        data set, if `classes`, `codes` or `names` do not match, or if a symbolic link leads to a
        folder or out of `path`.

    Warns
    -----
    UserWarning
        If a class has no images, or images are left out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfer.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("Happiness/a.png", "anger/b.jpg", "anger/notes.txt"):
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(exist_ok=True)
    ...         file.touch()
    ...     data = load_image_folder(folder)
    >>> [path.name for path in data.paths], data.labels.tolist()
    (['b.jpg', 'a.png'], ['angry', 'happy'])
    """
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"There is no folder {str(root)!r}.")
    if codes is None and names in ("jaffe", "kdef"):
        codes = names
    table = None if codes is None else code_table(codes)

    def label_of(text: str) -> str | None:
        return decode_label(printable(text, controls=False), table, normalize=normalize)

    if isinstance(extensions, str):
        raise ValueError(f"extensions={extensions!r} must be a list, such as [{extensions!r}].")
    if isinstance(classes, str):
        raise ValueError(f"classes={classes!r} must be a list, such as [{classes!r}].")
    wanted = None
    if classes is not None:  # a name of `codes` stays as it is, even if it is a synonym
        own = set() if table is None else {*table.values()}
        wanted = [c if c in own else decode_label(c, normalize=normalize) for c in classes]
    endings = tuple(map(str.lower, readable_suffixes() if extensions is None else extensions))
    ignored: Counter[str] = Counter()
    pattern = None if names is None else name_pattern(names)
    folder_names = {folder.name for folder in _folders(root)}
    folder_names |= {canonical_label(name) for name in folder_names}
    if wanted is None or not {*wanted} <= folder_names:
        _refuse_splits(root)
    if pattern is not None and "label" in pattern.groupindex:
        images = _labelled_by_name(root, pattern, str(names), label_of, endings, ignored)
        folders = {}
    else:
        folders = _class_folders(root, label_of)
        images = {}
    class_names = _class_names(root, sorted(images or folders), wanted)
    for name in class_names:
        if name in images:
            continue
        images[name] = [
            file for folder in folders[name] for file in _images(folder, root, endings, ignored)
        ]
        if not images[name]:
            where = ", ".join(repr(str(folder)) for folder in folders[name])
            warnings.warn(f"The class {name!r} has no images: {where}.", UserWarning, stacklevel=2)
    paths = [file for name in class_names for file in images[name]]
    if not paths:
        found = f"; they hold {_counted(ignored)}" if ignored else ""
        raise ValueError(
            f"The class folders of {str(root)!r} hold no images ({', '.join(endings)}){found}."
        )
    _warn_of_heic(root, ignored)
    ignored.update(_suffix(entry) for entry in _entries(root, root) if folders and entry.is_file())

    target_names = np.array(class_names)
    target = np.repeat(np.arange(len(class_names)), [len(images[name]) for name in class_names])
    path_array = np.empty(len(paths), dtype=object)
    path_array[:] = paths
    if return_X_y:
        return path_array, target_names[target]
    counts = ", ".join(f"{name} {len(images[name])}" for name in class_names)
    how = "a folder per class" if folders else "labelled by file name"
    note = f" Ignored: {_counted(ignored)}." if ignored else ""
    return Bunch(
        paths=path_array,
        labels=target_names[target],
        target=target,
        target_names=target_names,
        DESCR=f"{len(paths)} image files under {root}, {how}: {counts}.{note}",
        **({} if pattern is None else attributes_of_names(paths, pattern, str(names))),
    )


def attributes_of_names(
    paths: Sequence[Path], pattern: re.Pattern, names: str
) -> dict[str, np.ndarray]:
    """Return what the groups of a pattern say of each file, as attributes of a Bunch."""
    found = parts_of_names(paths, pattern, names)
    attributes: dict[str, np.ndarray] = {}
    groups = set(pattern.groupindex) - {"label"}
    if taken := groups & _ATTRIBUTES:
        raise ValueError(f"names={names!r}: call the group {sorted(taken)[0]!r} something else.")
    if "subject" in groups:
        attributes = dict(zip(("subjects", "clips", "frames"), clips_of(found), strict=True))
        groups -= {"subject", "clip", "frame"}
    for group in sorted(groups):
        values = [parts[group] for parts in found]
        if group == "usage":
            values = [
                known_split(word, f"{str(path)!r}: ")
                for word, path in zip(values, paths, strict=True)
            ]
        attributes[group] = np.array(values, str)
    return attributes


def _labelled_by_name(
    root: Path,
    pattern: re.Pattern,
    names: str,
    label_of: Callable[[str], str | None],
    endings: tuple[str, ...],
    ignored: Counter[str],
) -> dict[str, list[Path]]:
    """Return the images by the labels in their names."""
    images: dict[str, list[Path]] = {}
    misfits = []
    for file in _images(root, root, endings, ignored):
        parts = parts_of_name(file, pattern)
        if parts is None:
            misfits.append(file)
            continue
        try:
            label = label_of(parts["label"])
        except ValueError as error:
            raise ValueError(f"{str(file)!r}: {error}.") from error
        if label is not None:
            images.setdefault(label, []).append(file)
    if misfits and images:
        warnings.warn(
            f"{len(misfits)} image files are left out: {str(misfits[0])!r} {misfit(names)}",
            UserWarning,
            stacklevel=3,
        )
        ignored["with another name"] += len(misfits)
    elif misfits:
        raise ValueError(f"No image has a label: {str(misfits[0])!r} {misfit(names)}")
    elif not images:
        raise ValueError(
            f"{str(root)!r} holds no images ({', '.join(endings)})"
            + (f"; it holds {_counted(ignored)}." if ignored else ".")
        )
    return images


def _refuse_splits(root: Path) -> None:
    """Refuse folders that are the parts of a data set, and name the folder to give."""
    inside = _folders(root)
    splits = [folder for folder in inside if looks_like_split(folder.name)]
    if not splits:
        # data/images/train/happy: one level deeper than what was given.
        deeper = [f for outer in inside for f in _folders(outer) if looks_like_split(f.name)]
        splits = [folder for folder in deeper if _folders(folder)]
    if not splits:
        return
    chosen = _training_of(splits)
    while (inner := _folders(chosen)) and all(looks_like_split(f.name) for f in inner):
        chosen = _training_of(inner)
    found = ", ".join(sorted({repr(folder.relative_to(root).as_posix()) for folder in splits}))
    message = (
        f"{str(root)!r} holds {found}: these look like the parts of a data set, not like classes."
    )
    if inner:
        shown = ", ".join(folder.name for folder in inner[:8])
        way = f"Give {str(chosen)!r}, with the classes {shown}."
    else:
        way = (
            f"{str(chosen)!r} has no class folders: load_image_table reads labels from a table, "
            "names= from file names."
        )
    if len(splits) < len(inside) and splits[0] in inside:
        way += " Beside classes, name those to list in classes=."
    raise ValueError(f"{message} {way} See {page('guide/own_photos')}")


def _training_of(splits: Sequence[Path]) -> Path:
    return next((folder for folder in splits if "train" in folder.name.casefold()), splits[0])


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without links and hidden names."""
    return sorted(
        entry
        for entry in entries_of(folder)
        if not entry.name.startswith(".") and entry.is_dir() and not entry.is_symlink()
    )


def _class_folders(root: Path, label_of: Callable[[str], str | None]) -> dict[str, list[Path]]:
    """Return the folders of each class."""
    entries = _entries(root, root)
    folders = [entry for entry in entries if entry.is_dir()]
    if not folders:
        found = f"{len(entries)} files" if entries else "nothing"
        raise ValueError(
            f"{str(root)!r} has no class folders, it holds {found}. Images are expected in one "
            f"subfolder per class, as in happy/1.jpg; load_image_table reads labels from a table, "
            f"names= from file names. See {page('guide/own_photos')}"
        )
    classes: dict[str, list[Path]] = {}
    for folder in folders:
        try:
            label = label_of(folder.name)
        except ValueError as error:
            raise ValueError(f"The folder {str(folder)!r}: {error}.") from error
        if label is not None:
            classes.setdefault(label, []).append(folder)
    return classes


def _class_names(root: Path, found: list[str], classes: list[str | None] | None) -> list[str]:
    if classes is None:
        return found
    missing = [name for name in classes if name not in found]
    if missing or not classes or len(set(classes)) < len(classes):
        problem = f"{missing} have no folder" if missing else "classes is empty or repeats a name"
        raise ValueError(f"{problem}. The classes in {str(root)!r} are: {', '.join(found)}.")
    return [str(name) for name in classes]


def _images(
    folder: Path, root: Path, endings: tuple[str, ...], ignored: Counter[str]
) -> Iterator[Path]:
    """Yield the image files of a folder and those inside it; count the others by suffix."""
    for entry in _entries(folder, root):
        if entry.is_dir():
            yield from _images(entry, root, endings, ignored)
        elif entry.is_file():  # opening a pipe or socket would wait for its other end
            if entry.name.lower().endswith(endings):
                yield entry
            else:
                ignored[_suffix(entry)] += 1
        elif entry.is_symlink():  # its target is missing
            ignored["broken link"] += 1


def _suffix(file: Path) -> str:
    return file.suffix.lower() or "without a suffix"


def _counted(ignored: Counter[str]) -> str:
    """Return the counts of files, the most frequent first: "12 .heic, 1 .txt"."""
    ordered = sorted(ignored.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {suffix}" for suffix, count in ordered)


def _warn_of_heic(root: Path, ignored: Counter[str]) -> None:
    n_heic = sum(ignored[suffix] for suffix in HEIC_SUFFIXES)
    if n_heic and "heif" not in str(readable_suffixes()):
        warnings.warn(
            f"{n_heic} HEIC files under {str(root)!r} are ignored: "
            'pip install "skfer[heif]" reads them.',
            UserWarning,
            stacklevel=3,
        )


def _entries(folder: Path, root: Path) -> list[Path]:
    """Return the sorted entries of a folder without hidden names; refuse links that lead out."""
    entries = sorted(entry for entry in entries_of(folder, root) if not entry.name.startswith("."))
    for entry in entries:
        if leads_out(entry, root) or (entry.is_symlink() and entry.is_dir()):
            raise link_refusal(entry, root)
    return entries
