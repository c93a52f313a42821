"""`leak_audit`: images and people of a test set that are in the training set too."""

from __future__ import annotations

from collections import defaultdict
from numbers import Real
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from sklearn.utils import Bunch, check_consistent_length, column_or_1d

from skfer._base import as_images
from skfer._images._batch import content_key, float_scale, gray_levels
from skfer._labels import group_array
from skfer._utils import check_int

if TYPE_CHECKING:
    import pandas as pd

_COPY, _NEAR_COPY, _MIRRORED_COPY = _KINDS = ("copy", "near copy", "mirrored copy")
# Side of the thumbnails, and of the template that is searched in the other thumbnail. The rest is
# the largest shift, a sixth of the side.
_SIDE, _TEMPLATE_SIDE = 48, 32
# Pixels. Coarser structures, such as lighting, are similar in all faces and are removed.
_DETAIL_SCALE = 4.0
# Ratios of the sizes of a face in two images.
_SCALES = (1.0, 0.9, 0.95, 1.05, 1.1)
# Images with a lower correlation at the first scale are not compared at the others.
_MIN_CORRELATION = 0.5
# Side of the images for the search of candidates, and number of images in a chunk.
_COARSE_SIDE, _CHUNK = 16, 512
# Images with a smaller contrast, in gray levels, are blank, and have no near copies.
_BLANK_CONTRAST = 1.0


def leak_audit(
    X_train: Any,
    X_test: Any,
    *,
    y_train: Any = None,
    y_test: Any = None,
    groups_train: Any = None,
    groups_test: Any = None,
    similarity: float = 0.85,
    n_candidates: int = 8,
    mirror: bool = True,
) -> Bunch:
    """Find images and people that a test set shares with a training set.

    Parameters
    ----------
    X_train, X_test : batch of n_train and of n_test images
        Arrays, paths or bytes, of any sizes. Files are read once, one at a time; 3.3 kB are stored
        for each image.
    y_train, y_test : array-like of shape (n_train,) and (n_test,), default=None
        Labels. With both, the labels of each pair are reported.
    groups_train, groups_test : array-like of shape (n_train,) and (n_test,), default=None
        The person or clip of each image, such as `skfer.datasets.clip_names` returns.
    similarity : float, default=0.85
        Minimum similarity of near copies, above 0 and at most 1: the correlation of details, the
        highest over shifts of up to a sixth of the side and scales from 0.9 to 1.1.
    n_candidates : int, default=8
        Number of training images, those most similar at 16 x 16 pixels, that each test image is
        compared with in detail. More candidates find more copies and take longer.
    mirror : bool, default=True
        If True, also search for mirrored copies.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        pairs : DataFrame
            A row for each test image with a copy in training, with the columns ``test`` and
            ``train`` (row numbers; the most similar training image), ``kind`` ("copy" for equal
            8-bit gray levels, "near copy" or "mirrored copy"), ``similarity``, ``copies`` (number
            of training images with equal gray levels, or of candidates that reach `similarity`),
            and with labels, ``label_test`` and ``label_train``.
        counts : dict of str to int
            Number of images in both sets (``train``, ``test``), and of test images of each kind,
            of shared groups (``group``), and of any of these (``leaked``).
        groups : DataFrame
            Shared groups: ``group``, and numbers of images in ``train`` and ``test``.
        leaked : ndarray of bool, shape (n_test,)
            Test images with a copy of any kind or of a shared group. ``X_test[~audit.leaked]`` is
            unseen.

    Raises
    ------
    ValueError
        If a set is not a batch of images, lengths differ, or an argument is out of range.

    See Also
    --------
    skfer.inspection.LeakDisplay : Plot of the pairs.
    skfer.model_selection.HeldOutGuard : Refuses to select a model on held-out images.

    Notes
    -----
    In a random sample of pairs of FER2013, all with a similarity of at least 0.85 were the same
    photo. Some between 0.75 and 0.85 were two photos; few pairs are in this range. Two photos of
    the same moment may not be found. The time is proportional to the product of the sizes of the
    sets for the search, and to the size of the test set for the detailed comparison.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import leak_audit
    >>> images = make_faces(12, random_state=0).images
    >>> darker = images[[3, 4]] // 2
    >>> audit = leak_audit(images[:8], [images[2], *darker, images[9]])
    >>> audit.pairs[["test", "train", "kind"]]
       test  train       kind
    0     0      2       copy
    1     1      3  near copy
    2     2      4  near copy
    >>> audit.leaked.tolist()
    [True, True, True, False]
    """
    import pandas as pd

    if not isinstance(similarity, Real) or not 0 < similarity <= 1:
        raise ValueError(f"similarity={similarity!r} must be above 0 and at most 1, such as 0.85.")
    check_int("n_candidates", n_candidates)
    train, test = as_images(X_train), as_images(X_test)
    check_consistent_length(train, y_train, groups_train)
    check_consistent_length(test, y_test, groups_test)
    rows = _find_pairs(train, test, float(similarity), int(n_candidates), mirror)
    pairs = pd.DataFrame(rows, columns=["test", "train", "kind", "similarity", "copies"])
    if y_train is not None and y_test is not None:
        pairs["label_test"] = column_or_1d(y_test)[pairs["test"]]
        pairs["label_train"] = column_or_1d(y_train)[pairs["train"]]
    groups, in_shared_group = _shared_groups(pd, groups_train, groups_test, len(test))
    leaked = in_shared_group.copy()
    leaked[pairs["test"].to_numpy(int)] = True
    counts = {
        "train": len(train),
        "test": len(test),
        **{kind: int((pairs["kind"] == kind).sum()) for kind in _KINDS},
        "group": int(in_shared_group.sum()),
        "leaked": int(leaked.sum()),
    }
    return Bunch(pairs=pairs, counts=counts, groups=groups, leaked=leaked)


def _find_pairs(
    train: Any, test: Any, similarity: float, n_candidates: int, mirror: bool
) -> list[tuple[int, int, str, float, int]]:
    train_keys, train_thumbnails = _keys_and_thumbnails(train)
    test_keys, test_thumbnails = _keys_and_thumbnails(test)
    train_rows = defaultdict(list)
    for row, key in enumerate(train_keys):
        train_rows[key].append(row)
    coarse = _coarse_vectors(train_thumbnails)
    searches = {_NEAR_COPY: test_thumbnails}
    if mirror:
        searches[_MIRRORED_COPY] = test_thumbnails[:, :, ::-1]
    candidates = {
        kind: _nearest(_coarse_vectors(thumbnails), coarse, n_candidates)
        for kind, thumbnails in searches.items()
    }
    pairs = []
    for row, key in enumerate(test_keys):
        if key in train_rows:
            copies = train_rows[key]
            pairs.append((row, copies[0], _COPY, 1.0, len(copies)))
            continue
        found = []
        for kind, thumbnails in searches.items():
            nearest = candidates[kind][row]
            similarities = _similarities(thumbnails[row], train_thumbnails[nearest])
            best = int(similarities.argmax())
            n_copies = int((similarities >= similarity).sum())
            found.append((row, int(nearest[best]), kind, float(similarities[best]), n_copies))
        most_similar = max(found, key=lambda pair: pair[3])
        if most_similar[3] >= similarity:
            pairs.append(most_similar)
    return pairs


def _keys_and_thumbnails(images: Any) -> tuple[list[bytes], np.ndarray]:
    """Read each image once; return content keys and gray thumbnails (n, 48, 48), uint8."""
    scale = float_scale(images)
    keys, thumbnails = [], []
    for image in images:
        gray = gray_levels(image, scale)
        keys.append(content_key(gray, scale))
        thumbnails.append(cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
    return keys, np.stack(thumbnails)


def _coarse_vectors(thumbnails: np.ndarray) -> np.ndarray:
    """Return thumbnails of 16 x 16 pixels as vectors of mean 0 and length 1; 0 if blank."""
    factor = _SIDE // _COARSE_SIDE
    shape = (len(thumbnails), _COARSE_SIDE, factor, _COARSE_SIDE, factor)
    means = thumbnails.reshape(shape).mean(axis=(2, 4), dtype=np.float32)
    vectors = means.reshape(len(thumbnails), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    blank = length < _BLANK_CONTRAST * _COARSE_SIDE
    return np.where(blank, 0, vectors / np.maximum(length, 1e-6))


def _nearest(vectors: np.ndarray, others: np.ndarray, n_candidates: int) -> np.ndarray:
    """Return the indices (n, k) of the k most similar of the others, computed in chunks."""
    k = min(n_candidates, len(others))
    nearest = np.empty((len(vectors), k), np.int64)
    for start in range(0, len(vectors), _CHUNK):
        chunk = vectors[start : start + _CHUNK]
        best = np.full((len(chunk), 0), -np.inf, np.float32)
        indices = np.empty((len(chunk), 0), np.int64)
        for first in range(0, len(others), 16 * _CHUNK):
            products = chunk @ others[first : first + 16 * _CHUNK].T
            top = np.argpartition(-products, min(k, products.shape[1]) - 1, axis=1)[:, :k]
            best = np.hstack([best, np.take_along_axis(products, top, axis=1)])
            indices = np.hstack([indices, top + first])
            order = np.argsort(-best, axis=1, kind="stable")[:, :k]
            best = np.take_along_axis(best, order, axis=1)
            indices = np.take_along_axis(indices, order, axis=1)
        nearest[start : start + _CHUNK] = indices
    return nearest


def _similarities(thumbnail: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the similarities of a thumbnail to others, the highest over shifts and scales."""
    edge = (_SIDE - _TEMPLATE_SIDE) // 2
    middle = slice(edge, edge + _TEMPLATE_SIDE)
    template = np.ascontiguousarray(_details(thumbnail)[middle, middle])
    if template.std() < _BLANK_CONTRAST:
        return np.zeros(len(others))
    return np.array([_best_match(template, _details(other)) for other in others])


def _best_match(template: np.ndarray, image: np.ndarray) -> float:
    best = -1.0
    for scale in _SCALES:
        side = round(_SIDE * scale)
        scaled = image if side == _SIDE else cv2.resize(image, (side, side))
        best = max(best, float(cv2.matchTemplate(scaled, template, cv2.TM_CCOEFF_NORMED).max()))
        if best < _MIN_CORRELATION:
            break
    return min(best, 1.0)


def _details(thumbnail: np.ndarray) -> np.ndarray:
    pixels = thumbnail.astype(np.float32)
    return pixels - cv2.GaussianBlur(pixels, (0, 0), _DETAIL_SCALE)


def _shared_groups(
    pd: Any, groups_train: Any, groups_test: Any, n_test: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table of the shared groups, and a mask of the test images in them."""
    columns = ["group", "train", "test"]
    if groups_train is None and groups_test is None:
        return pd.DataFrame(columns=columns), np.zeros(n_test, bool)
    if groups_train is None or groups_test is None:
        missing = "groups_train" if groups_train is None else "groups_test"
        raise ValueError(f"{missing} is None: give the groups of both sets, or of neither.")
    train = group_array(groups_train, "groups_train")
    test = group_array(groups_test, "groups_test")
    shared = np.intersect1d(train, test)
    rows = [(group, int((train == group).sum()), int((test == group).sum())) for group in shared]
    return pd.DataFrame(rows, columns=columns), np.isin(test, shared)
