"""`HeldOutGuard`: a cross-validator that refuses to select on images held out for the end."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _num_samples

from skfer._documentation import page
from skfer._image_content import content_key, content_keys, float_scale, gray_levels
from skfer._images import SMALLEST_SQUARE, image_name, image_sequence

# Rows of features that were squeezed into fewer levels than this are not compared as images.
_FEWEST_LEVELS = 16


class HeldOutGuard(BaseCrossValidator):
    """Split as another cross-validator does, unless images of the test set are among the data.

    A model that was chosen on its test set looks better than it is. Given as `cv`, this makes any
    search, cross-validation or learning curve stop when it is handed an image of the test set.
    Images are compared by their gray levels in 8 bits: in another order, read from a file, as
    floats on [0, 255], [0, 1] or [-1, 1], with three equal channels or as flat rows, they are the
    same.

    Parameters
    ----------
    X_held_out : batch of n images, or array of shape (n, n_features)
        The test set: arrays, paths or bytes, or rows of features made in the same way as those to
        be split. It is read once, and keys of 16 bytes are kept.
    cv : int, cross-validator or iterable, default=5
        How to split. As in scikit-learn, but that an int is stratified wherever `y` has classes.
    groups_held_out : array-like of shape (n_groups,), default=None
        People (or clips) of the test set. Data of one of them are refused too, where ``groups``
        are given to `split`.
    on_held_out : {"raise", "leave_out"}, default="raise"
        "leave_out" leaves such images out of every fold instead: for data sets such as FER2013,
        in whose training part copies of test images stand.

    Raises
    ------
    ValueError
        If `on_held_out` is none of these, or an image can't be read.

    See Also
    --------
    fer2013_split : FER2013's own split.
    skfer.evaluation.leak_audit : Finds near copies too.

    Notes
    -----
    A search that refits does so with all it is given, whatever the folds: with "leave_out", set
    ``refit=False``, or leave the images out with ``X[~guard.held_out(X)]`` before.

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
        self.cv = cv
        self.on_held_out = on_held_out
        self._keys = frozenset(key for keys in _keys(X_held_out) for key in keys)
        self._groups = None if groups_held_out is None else np.unique(column_or_1d(groups_held_out))

    def held_out(self, X: Any, groups: Any = None) -> np.ndarray:
        """Which images are in the test set, or of a group of it.

        Parameters
        ----------
        X : batch of n images
        groups : array-like of shape (n,), default=None

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        found = np.array([not self._keys.isdisjoint(keys) for keys in _keys(X)])
        if groups is not None and self._groups is not None:
            found |= np.isin(column_or_1d(groups), self._groups)
        return found

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows to fit and to choose with, of every fold.

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
            If images of the test set are among them, unless they are to be left out.
        """
        found = self.held_out(X, groups)
        if found.any() and self.on_held_out == "raise":
            place = int(found.argmax())
            first = f"X[{place}]" if _is_table(X) else image_name(image_sequence(X), place)
            raise ValueError(
                f"{found.sum()} of the {len(found)} images are held out for the final test, the "
                f"first of them {first}: nothing may be chosen on them. Pass X[~guard.held_out(X)] "
                "and the labels likewise, or on_held_out='leave_out'. "
                f"See {page('guide/model_selection')}"
            )
        # Only the number of the images matters to cross-validators, whatever form they have.
        rows = np.zeros(_num_samples(X))
        for train, test in self._cv(y).split(rows, y, groups):
            yield train[~found[train]], test[~found[test]]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds.

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
    if not _is_table(X):
        return [{key} for key in content_keys(image_sequence(X))]
    rows = np.asarray(X)
    keys = [{hashlib.blake2b(row.tobytes(), digest_size=16).digest()} for row in rows]
    side = math.isqrt(rows.shape[1])
    if side * side == rows.shape[1] and side >= SMALLEST_SQUARE and rows.dtype.kind in "biuf":
        # Flat images, perhaps: not if they have few gray levels, as features on another scale do.
        squares = rows.reshape(-1, side, side)
        squares = squares if rows.dtype == np.uint8 else squares.astype(np.float32)
        scale = float_scale(squares)
        for own, square in zip(keys, squares, strict=True):
            gray = gray_levels(square, scale)
            if len(np.unique(gray)) >= _FEWEST_LEVELS:
                own.add(content_key(gray, scale))
    return keys


def _is_table(X: Any) -> bool:
    if isinstance(X, list | tuple) and len(X):
        return np.ndim(X[0]) == 1 and not hasattr(X[0], "read")
    return getattr(X, "ndim", None) == 2
