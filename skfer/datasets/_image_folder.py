"""`load_image_folder`: images in one folder per class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skfer._documentation import page
from skfer._images import readable_suffixes
from skfer._labels import canonical_label
from skfer.datasets._clip_names import clip_names


def load_image_folder(
    path: str | os.PathLike,
    *,
    classes: Sequence[str] | None = None,
    normalize: bool = True,
    extensions: Sequence[str] | None = None,
    names: str | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """List the images of a folder that has one subfolder per class. No image is read.

    Parameters
    ----------
    path : str or os.PathLike
        The folder. Images may lie deeper inside a class's folder. Names that start with a dot
        are passed over, and files with other extensions.
    classes : sequence of str, default=None
        Classes to list, in the order that `target` shall number them. None lists every
        subfolder, sorted by class name.
    normalize : bool, default=True
        Whether "Anger", "happiness" and the like get their usual name, "angry" and "happy", as
        by `canonical_label`, in the folders and in `classes`; two folders of one name then are
        one class. Names that are no expression stay as they are.
    extensions : sequence of str, default=None
        Suffixes of image files, in any case. None takes every kind that the package reads; HEIC
        is one if pillow-heif is installed (extra `heif`).
    names : str, default=None
        What the names of files tell of people: "ck+" for ``S010_004_00000017.png``, or a regular
        expression, see `clip_names`.
    return_X_y : bool, default=False
        Whether to return ``(paths, labels)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        paths : ndarray of pathlib.Path, shape (n,)
            Sorted within each class; what the estimators take as `X`.
        labels : ndarray of str, shape (n,)
            Name of each image's class.
        target : ndarray of int64, shape (n,)
            The same as an index into `target_names`.
        target_names : ndarray of str, shape (n_classes,)
            The names of the folders, sorted.
        DESCR : str
            What was found, in words.
        subjects, clips, frames : ndarray of shape (n,)
            With `names` only: the person and the clip of each image, as groups for
            `sklearn.model_selection.StratifiedGroupKFold`, and its place in the clip.
    (paths, labels) : tuple of ndarray of shape (n,)
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If there is no such folder, it has no class folders or no images, a class of `classes`
        has no folder, a file doesn't fit `names`, or a symbolic link is to a folder or leads out
        of `path`.

    Warns
    -----
    UserWarning
        If a class has no images.

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
    name_of = canonical_label if normalize else str
    folders: dict[str, list[Path]] = {}
    for folder in _class_folders(root):
        folders.setdefault(name_of(folder.name), []).append(folder)
    class_names = _class_names(root, folders, None if classes is None else [*map(name_of, classes)])

    endings = tuple(map(str.lower, readable_suffixes() if extensions is None else extensions))
    paths: list[Path] = []
    target: list[int] = []
    for code, name in enumerate(class_names):
        images = [
            file
            for folder in folders[name]
            for file in _files(folder, root)
            if file.name.lower().endswith(endings)
        ]
        if not images:
            where = ", ".join(repr(str(folder)) for folder in folders[name])
            warnings.warn(f"The class {name!r} has no images: {where}.", UserWarning, stacklevel=2)
        paths += images
        target += [code] * len(images)
    if not paths:
        raise ValueError(
            f"The class folders of {str(root)!r} hold no images ({', '.join(endings)})."
        )

    target_names = np.array(class_names)
    codes = np.array(target, np.int64)
    path_array = np.empty(len(paths), dtype=object)
    path_array[:] = paths
    if return_X_y:
        return path_array, target_names[codes]
    people = {}
    if names is not None:
        subjects, clips, frames = clip_names(paths, names)
        people = {"subjects": subjects, "clips": clips, "frames": frames}
    counts = ", ".join(
        f"{name} {codes.tolist().count(code)}" for code, name in enumerate(class_names)
    )
    return Bunch(
        paths=path_array,
        labels=target_names[codes],
        target=codes,
        target_names=target_names,
        DESCR=f"{len(paths)} image files under {root}, a folder per class: {counts}.",
        **people,
    )


def _class_folders(root: Path) -> list[Path]:
    entries = _visible(root, root)
    folders = [entry for entry in entries if entry.is_dir()]
    if folders:
        return folders
    found = f"{len(entries)} files" if entries else "nothing"
    raise ValueError(
        f"{str(root)!r} has no class folders, it holds {found}. Images are expected in one "
        f"subfolder per class, as in happy/1.jpg. See {page('guide/own_photos')}"
    )


def _class_names(
    root: Path, folders: dict[str, list[Path]], classes: list[str] | None
) -> list[str]:
    if classes is None:
        return sorted(folders)
    missing = [name for name in classes if name not in folders]
    if missing or not classes or len(set(classes)) < len(classes):
        problem = f"{missing} have no folder" if missing else "classes is empty or repeats a name"
        raise ValueError(
            f"{problem}. The classes in {str(root)!r} are: {', '.join(sorted(folders))}."
        )
    return classes


def _files(folder: Path, root: Path) -> Iterator[Path]:
    for entry in _visible(folder, root):
        if entry.is_dir():
            yield from _files(entry, root)
        elif entry.is_file():  # a pipe, which a device or socket is like, would be waited for
            yield entry


def _visible(folder: Path, root: Path) -> list[Path]:
    """What lies in the folder, sorted, without hidden names; links are looked through."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            raise _not_followed(entry, root)
        refuse_link_out(entry, root)
    return entries


def refuse_link_out(entry: Path, root: Path) -> None:
    """Refuse a link that leads out of a folder: who made the folder may not have made the link.

    Raises
    ------
    ValueError
    """
    if entry.is_symlink() and not entry.resolve().is_relative_to(root.resolve()):
        raise _not_followed(entry, root)


def _not_followed(link: Path, root: Path) -> ValueError:
    return ValueError(
        f"{str(link)!r} is a link to {str(link.resolve())!r}. Links to folders and out of "
        f"{str(root)!r} are not followed."
    )
