"""`load_ferplus`: the faces of FER2013 with the votes of ten people each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skfer._labels import canonical_labels
from skfer.datasets._fer2013 import wanted_parts
from skfer.datasets._fer2013_files import Content
from skfer.datasets._ferplus_files import EXPRESSIONS_VOTED_FOR, faces_with_votes
from skfer.datasets._files import PRIVATE_TEST

# The classes, sorted as a classifier sorts them, and the column of each.
_CLASSES, _COLUMNS = np.unique(canonical_labels(EXPRESSIONS_VOTED_FOR), return_index=True)

_DESCR = """\
FER+: {n} faces of FER2013 with the votes of ten people each, {parts}.

A vote went to one of {classes},
to "unknown" or to "not a face". {n_dropped} images are left out for which one of the last two had
most votes, or that nobody voted on. Read from {path}.

Barsoum, E. et al. (2016). Training deep networks for facial expression recognition with
crowd-sourced label distribution. ICMI. https://arxiv.org/abs/1608.01041
"""


def load_ferplus(
    path: str | os.PathLike,
    *,
    fer2013: str | os.PathLike | None = None,
    usage: str | Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load FER+: the faces of FER2013, each with the votes of ten people.

    Images that most took for no face or for no known expression are left out. PrivateTest, on
    which the final model is judged, is left out unless `usage` asks for it.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - ``fer2013new.csv`` of the repository microsoft/FERPlus on GitHub, or a folder that holds
          it: columns ``Usage``, ``Image name``, ``neutral``, ``happiness``, ``surprise``,
          ``sadness``, ``anger``, ``disgust``, ``fear``, ``contempt``, ``unknown`` and ``NF``,
          with the rows of ``fer2013.csv`` in the same order;
        - FER2013 as an ``.npz``, see `load_fer2013`, with ``votes`` (n, 10) whose columns are in
          that order, from ``neutral`` to ``NF``.
    fer2013 : str or os.PathLike, default=None
        The images: ``fer2013.csv``, ``.csv.gz`` or an ``.npz``. An ``.npz`` with some of the rows
        names them in an array ``row``. None takes ``fer2013.csv``, ``fer2013.csv.gz`` or
        ``fer2013.npz`` from the folder of ``fer2013new.csv``. Not used if `path` is an ``.npz``.
    usage : str, sequence of str or None, default=None
        Parts to load: "Training", "PublicTest", "PrivateTest". "all" loads every part, None all
        but PrivateTest.
    return_X_y : bool, default=False
        Whether to return ``(images, labels)`` instead of a Bunch.

    Returns
    -------
    faces : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of uint8, shape (n, 48, 48)
            Gray faces.
        labels : ndarray of str, shape (n,)
            Name of the expression with most votes; of several with as many, the first in
            `target_names`.
        votes : ndarray of uint8, shape (n, 8)
            Votes for each of `target_names`, those for "unknown" and "not a face" left out.
        target : ndarray of int64, shape (n,)
            The labels as indices into `target_names`.
        target_names : ndarray of str, shape (8,)
            The expressions, sorted as in a classifier's ``classes_``.
        usage : ndarray of str, shape (n,)
            The part that each image belongs to.
        row : ndarray of int64, shape (n,)
            Where the image stands in ``fer2013.csv``, counted from 0.
        test_fold : ndarray of int64, shape (n,), or None
            For `sklearn.model_selection.PredefinedSplit`: -1 in Training, 0 elsewhere. None if
            PrivateTest is among the images, for a PredefinedSplit would train on it.
        train_index, public_test_index, private_test_index : ndarray of int64
            Where the images of each part stand.
        n_dropped : int
            Images of these parts that are left out.
        DESCR : str
            What was read, in words.
    (images, labels) : tuple of ndarray of shape (n, 48, 48) and (n,)
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If a file is missing or damaged, or if votes and images don't belong together.
    TypeError
        If `path` is a column of pixels instead of the whole table.

    See Also
    --------
    load_fer2013 : The same images with the labels of FER2013.

    Notes
    -----
    An image is left out if "unknown" or "not a face" has more votes than every expression, so
    ``labels`` always is ``target_names[votes.argmax(axis=1)]``. Published figures may be of fewer
    images: the authors' own code doesn't count single votes, and takes the majority as a label
    only where it is more than half of the votes that are left.

    References
    ----------
    Barsoum, E., Zhang, C., Canton Ferrer, C. & Zhang, Z. (2016). Training deep networks for
    facial expression recognition with crowd-sourced label distribution. ICMI, 279-283.
    https://doi.org/10.1145/2993148.2993165

    Examples
    --------
    >>> from skfer.datasets import load_ferplus
    >>> faces = load_ferplus("fer2013new.csv")  # doctest: +SKIP
    >>> faces.images.shape[1:], faces.votes.shape[1:]  # doctest: +SKIP
    ((48, 48), (8,))

    A classifier learns from the votes with
    ``fit(faces.images, faces.labels, votes=faces.votes)``.
    """
    source = Path(path)
    content = faces_with_votes(source, None if fer2013 is None else Path(fer2013))
    chosen = np.isin(content.usage, wanted_parts(usage, content.usage, PRIVATE_TEST))
    kept = chosen & _shows_an_expression(content.extras["votes"])
    faces = content.take(kept)
    if return_X_y:
        return faces.images, _CLASSES[_majority(faces)]
    return _as_bunch(faces, int(chosen.sum() - kept.sum()), source)


def _shows_an_expression(votes: np.ndarray) -> np.ndarray:
    """Whether an expression has as many votes as any choice; shape (n,) for votes (n, 10)."""
    most = votes.max(axis=1)
    return (most > 0) & (votes[:, : len(EXPRESSIONS_VOTED_FOR)].max(axis=1) == most)


def _majority(faces: Content) -> np.ndarray:
    return faces.extras["votes"][:, _COLUMNS].argmax(axis=1)


def _as_bunch(faces: Content, n_dropped: int, source: Path) -> Bunch:
    target = _majority(faces)
    return Bunch(
        images=faces.images,
        labels=_CLASSES[target],
        votes=faces.extras["votes"][:, _COLUMNS],
        target=target,
        target_names=_CLASSES.copy(),
        row=faces.extras["row"],
        **faces.split(PRIVATE_TEST),
        n_dropped=n_dropped,
        DESCR=_DESCR.format(
            n=len(target),
            parts=faces.parts(),
            classes=", ".join(_CLASSES),
            n_dropped=n_dropped,
            path=source,
        ),
    )
