"""`load_fer2013`: FER2013 in any of the forms it goes around in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skfer.datasets._fer2013_files import (
    FER2013_CLASSES,
    SIDE,
    Content,
    read_fer2013,
)
from skfer.datasets._files import PRIVATE_TEST, TEST, VALIDATION, split_of

_DESCR = """\
FER2013: {n} gray faces of {side} x {side} pixels, {parts}.

Collected with a web search for words of emotion, boxed by a face detector and checked by people
for the ICML 2013 challenges in representation learning. Codes 0 to 6 stand for {classes}.
Human accuracy is about 65 %. Read from {path}.

Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three machine
learning contests. ICONIP. https://arxiv.org/abs/1307.0414
"""


def load_fer2013(
    path: str | os.PathLike | Any,
    *,
    usage: str | Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load FER2013 with its official split.

    PrivateTest, on which the final model is judged, is left out unless `usage` asks for it.

    Parameters
    ----------
    path : str, os.PathLike or pandas.DataFrame
        One of

        - Kaggle's ``fer2013.csv``, or the same compressed, ``.csv.gz``, or as a DataFrame:
          columns ``emotion`` (codes or names), ``pixels`` and, if there is one, ``usage``, in
          any order and case. Commas, semicolons or tabs may separate them;
        - a folder with ``train`` and ``test`` (or ``validation``), in each a folder per class;
        - an ``.npz`` with ``images`` (n, 48, 48) uint8, ``target`` (n,) and ``usage`` (n,).
          Pickled arrays are refused.
    usage : str, sequence of str or None, default=None
        Parts to load: "Training", "PublicTest", "PrivateTest"; where the data call them train,
        val and test, "Training", "Validation" and "Test". "all" loads every part. None loads all
        but the part held out for the end: PrivateTest, or Test if there is a Validation beside
        it.
    return_X_y : bool, default=False
        Whether to return ``(images, labels)`` instead of a Bunch.

    Returns
    -------
    faces : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of uint8, shape (n, 48, 48)
            Gray faces.
        labels : ndarray of str, shape (n,)
            Name of the expression.
        target : ndarray of int64, shape (n,)
            The same as FER2013's codes, indices into `target_names`.
        target_names : ndarray of str, shape (7,)
            The expressions, in the order of the codes.
        usage : ndarray of str, shape (n,)
            The part that each image belongs to.
        test_fold : ndarray of int64, shape (n,), or None
            For `sklearn.model_selection.PredefinedSplit`: -1 in Training, 0 elsewhere. None if
            the held-out part is among the images, for a PredefinedSplit would train on it.
        train_index, public_test_index, private_test_index : ndarray of int64
            Where the images of each part stand. Validation or Test counts as public; Test
            counts as private if there is a Validation beside it.
        DESCR : str
            What was read, in words.

        Further arrays of n rows in an ``.npz``, such as ``votes``, are attributes too, and so
        are the ``paths`` of a folder's images.
    (images, labels) : tuple of ndarray of shape (n, 48, 48) and (n,)
        If `return_X_y` is True.

    Raises
    ------
    TypeError
        If `path` is neither a path nor a DataFrame, such as the column of pixels alone.
    ValueError
        If the data are none of these, or damaged: a label or a word of usage that is unknown,
        pixels missing. The line of a csv file is named, the path of an image, or the array of an
        ``.npz``.

    Notes
    -----
    A folder's Test usually is PublicTest and PrivateTest in one: whoever selects a model on it
    has no unseen images left.

    References
    ----------
    Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three
    machine learning contests. ICONIP, https://arxiv.org/abs/1307.0414.

    Examples
    --------
    >>> from skfer.datasets import load_fer2013
    >>> from sklearn.model_selection import PredefinedSplit
    >>> faces = load_fer2013("fer2013.csv")  # doctest: +SKIP
    >>> faces.images.shape  # doctest: +SKIP
    (32298, 48, 48)
    >>> PredefinedSplit(faces.test_fold).get_n_splits()  # doctest: +SKIP
    1
    """
    content = read_fer2013(path)
    held_out = TEST if VALIDATION in content.usage else PRIVATE_TEST
    wanted = wanted_parts(usage, content.usage, held_out)
    chosen = np.isin(content.usage, wanted)
    if not chosen.all():
        content = content.take(chosen)
    source = "a table" if hasattr(path, "columns") else os.fspath(path)
    return _as_bunch(content, held_out, source, return_X_y)


def _as_bunch(
    content: Content, held_out: str, source: str, return_X_y: bool
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    target = content.target.astype(np.int64)
    target_names = np.array(FER2013_CLASSES)
    if return_X_y:
        return content.images, target_names[target]
    return Bunch(
        images=content.images,
        labels=target_names[target],
        target=target,
        target_names=target_names,
        **content.split(held_out),
        DESCR=_DESCR.format(
            n=len(target),
            side=SIDE,
            parts=content.parts(),
            classes=", ".join(FER2013_CLASSES),
            path=source,
        ),
        **content.extras,
    )


def wanted_parts(
    usage: str | Sequence[str] | None, present: np.ndarray, held_out: str
) -> list[str]:
    parts = sorted(set(present.tolist()))
    if usage is None:
        return [part for part in parts if part != held_out]
    if isinstance(usage, str) and usage == "all":
        return parts
    wanted = [usage] if isinstance(usage, str) else list(usage)
    wanted = [split_of(part) or part for part in wanted]
    unknown = [part for part in wanted if part not in parts]
    if unknown or not wanted:
        raise ValueError(f"usage={usage!r}: the parts here are {', '.join(parts)}; or 'all'.")
    return wanted
