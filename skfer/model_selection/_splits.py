"""Cross-validators: a guard for held-out images, and the split of FER2013."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, PredefinedSplit, check_cv
from sklearn.utils import Bunch, check_array
from sklearn.utils.validation import _num_samples

from skfer._base import is_table
from skfer._images._batch import (
    SMALLEST_SQUARE,
    content_key,
    content_keys,
    float_scale,
    gray_levels,
    image_name,
    image_sequence,
)
from skfer._labels import group_array
from skfer._utils import page

# Flat rows with fewer gray levels are features, not images.
_MIN_GRAY_LEVELS = 16


class HeldOutGuard(BaseCrossValidator):
    """Cross-validator that refuses data with images of the test set.

    The score of a model that was selected on its test set is too high. Passed as `cv`, the guard
    makes a search, cross-validation or learning curve raise if it gets an image of the test set.
    Images are compared by 8-bit gray levels: order, files, floats on [0, 255], [0, 1] or [-1, 1],
    three equal channels and flat rows make no difference.

    Parameters
    ----------
    X_held_out : batch of n images, or array of shape (n, n_features)
        The test set: arrays, paths or bytes, or features computed as those of the data. It is read
        once, and keys of 16 bytes are stored.
    cv : int, cross-validator or iterable, default=5
        As in scikit-learn, but an int is stratified whenever `y` has classes.
    groups_held_out : array-like of shape (n_groups,), default=None
        People or clips of the test set. Data of these groups are refused too, if `split` gets
        ``groups``.
    on_held_out : {"raise", "leave_out"}, default="raise"
        "leave_out" removes such images from all folds, for data sets such as FER2013 whose
        training part contains copies of test images.

    Raises
    ------
    ValueError
        If `on_held_out` is unknown, or an image can't be read.

    See Also
    --------
    skfer.evaluation.leak_audit : Finds near copies too.

    Notes
    -----
    A search that refits uses all its data. With "leave_out", set ``refit=False``, or remove the
    images before with ``X[~guard.held_out(X)]``.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.model_selection import cross_val_score
    >>> from skfer.datasets import make_faces
    >>> from skfer.model_selection import HeldOutGuard
    >>> faces = make_faces(60, classes=["happy", "sad"], random_state=0)
    >>> X, y = faces.images, faces.labels
    >>> guard = HeldOutGuard(X[40:], cv=2)
    >>> len(cross_val_score(DummyClassifier(), X[:40], y[:40], cv=guard))
    2
    >>> cross_val_score(DummyClassifier(), X[:50], y[:50], cv=guard)
    Traceback (most recent call last):
    ...
    ValueError: 10 of the 50 images are held out for the final test, the first of them X[40]...
    """

    # With metadata routing, `split` gets the groups, as that of a GroupKFold does.
    __metadata_request__split = {"groups": True}

    def __init__(
        self,
        X_held_out: Any,
        cv: Any = 5,
        *,
        groups_held_out: Any = None,
        on_held_out: str = "raise",
    ):
        if on_held_out not in ("raise", "leave_out"):
            raise ValueError(f"on_held_out={on_held_out!r} must be 'raise' or 'leave_out'.")
        # A generator could be read only once, and a search asks for the number of folds first.
        self.cv = list(cv) if isinstance(cv, Iterator) else cv
        self.on_held_out = on_held_out
        self._keys = frozenset(key for keys in _keys(X_held_out) for key in keys)
        self._groups = (
            None
            if groups_held_out is None
            else np.unique(group_array(groups_held_out, "groups_held_out"))
        )

    def held_out(self, X: Any, groups: Any = None) -> np.ndarray:
        """Return a mask of the images that are in the test set, or in a group of it.

        Parameters
        ----------
        X : batch of n images
        groups : array-like of shape (n,), default=None

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        mask = np.array([not self._keys.isdisjoint(keys) for keys in _keys(X)])
        if groups is not None and self._groups is not None:
            mask |= np.isin(group_array(groups), self._groups)
        return mask

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and test rows of each fold.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,), default=None
        groups : array-like of shape (n,), default=None

        Yields
        ------
        train, test : ndarray of shape (n_train,) and (n_test,), int

        Raises
        ------
        ValueError
            If `X` contains images of the test set and `on_held_out` is "raise".
        """
        held_out = self.held_out(X, groups)
        if held_out.any() and self.on_held_out == "raise":
            row = int(held_out.argmax())
            name = f"X[{row}]" if is_table(X) else image_name(image_sequence(X), row)
            raise ValueError(
                f"{held_out.sum()} of the {len(held_out)} images are held out for the final test, "
                f"the first of them {name}: no model may be selected on them. Pass "
                "np.asarray(X)[~guard.held_out(X)] and the labels likewise, or "
                "on_held_out='leave_out'. "
                f"See {page('guide/model_selection')}"
            )
        # Cross-validators use only the number of images.
        rows = np.arange(len(held_out))
        for fold in self._cv(y).split(rows, y, groups):
            train, test = (rows[part] for part in fold)  # lists, as an iterable may hold them
            yield train[~held_out[train]], test[~held_out[test]]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : batch of n images, default=None
        y : array-like of shape (n,), default=None
        groups : array-like of shape (n,), default=None

        Returns
        -------
        int
        """
        rows = None if X is None else np.zeros(_num_samples(X))
        return self._cv(y).get_n_splits(rows, y, groups)

    def _cv(self, y: Any) -> Any:
        return check_cv(self.cv, y, classifier=True)


def _keys(X: Any) -> list[set[bytes]]:
    """Return the keys of each image, or of each row of a table."""
    if not is_table(X):
        return [{key} for key in content_keys(image_sequence(X))]
    rows = check_array(X, ensure_all_finite=False)
    keys = [{_row_key(row)} for row in rows]
    side = math.isqrt(rows.shape[1])
    if side * side == rows.shape[1] and side >= SMALLEST_SQUARE:
        # Flat images have many gray levels; features on another scale have few.
        squares = rows.reshape(-1, side, side)
        squares = squares if rows.dtype == np.uint8 else squares.astype(np.float32)
        scale = float_scale(squares)
        for row_keys, square in zip(keys, squares, strict=True):
            gray = gray_levels(square, scale)
            if len(np.unique(gray)) >= _MIN_GRAY_LEVELS:
                row_keys.add(content_key(gray, scale))
    return keys


def _row_key(row: np.ndarray) -> bytes:
    """Return the key of a row of numbers; the dtype and the sign of a zero make no difference."""
    return hashlib.blake2b((row.astype(np.float64) + 0.0).tobytes(), digest_size=16).digest()


def fer2013_split(faces: Bunch) -> PredefinedSplit:
    """Return the split of FER2013 as a cross-validator: fit on Training, select on PublicTest.

    Parameters
    ----------
    faces : Bunch
        Result of `skfer.datasets.load_fer2013` or `load_ferplus`, without the held-out part.

    Returns
    -------
    sklearn.model_selection.PredefinedSplit
        One split of the images in the order of `faces`. A search refits on Training and PublicTest
        together; use ``refit=False`` to keep PublicTest unseen.

    Raises
    ------
    ValueError
        If `faces` contains images of the held-out part, or one of the two parts is missing.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfer.datasets import load_fer2013
    >>> from skfer.model_selection import fer2013_split
    >>> faces = load_fer2013("fer2013.csv")  # doctest: +SKIP
    >>> search = GridSearchCV(pipeline, grid, cv=fer2013_split(faces))  # doctest: +SKIP
    >>> search.fit(faces.images, faces.labels)  # doctest: +SKIP
    """
    if not isinstance(faces, Bunch) or "test_fold" not in faces:
        raise ValueError(
            "faces must be a result of load_fer2013 or load_ferplus, with the parts of the images "
            f"in test_fold; it is of type {type(faces).__name__}."
        )
    if faces.test_fold is None:
        raise ValueError(
            f"faces has {len(faces.private_test_index)} images of the part that is held out for "
            "the final test: no model may be selected on them. Use usage=None to load the rest."
        )
    test_fold = np.asarray(faces.test_fold)
    if len(np.unique(test_fold)) < 2:
        parts = ", ".join(np.unique(faces.usage).tolist())
        raise ValueError(
            f"faces holds {parts} alone: load both Training, for fitting, and PublicTest, for "
            "selection."
        )
    return PredefinedSplit(test_fold)
