"""`leak_audit`: which test images, or people, were there in training already."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Bunch, check_consistent_length, column_or_1d

from skfer._base import ImageEstimator
from skfer._extras import import_extra
from skfer._image_content import content_key, float_scale
from skfer.evaluation._near_copies import Thumbnails, candidates, likeness

if TYPE_CHECKING:
    import pandas as pd

COPY, NEAR_COPY, MIRRORED = "copy", "near copy", "mirrored copy"


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
    """Find what a test set shares with a training set: images, and people.

    Parameters
    ----------
    X_train, X_test : batch of n_train and of n_test images
        Arrays, paths or bytes, of any sizes. Files are read once, one at a time; 3.3 kB are kept
        of each image.
    y_train, y_test : array-like of shape (n_train,) and (n_test,), default=None
        Labels; with both, the pairs tell whether one photo has two.
    groups_train, groups_test : array-like of shape (n_train,) and (n_test,), default=None
        The person or clip of each image, such as `skfer.datasets.clip_names` reads off the names
        of files.
    similarity : float, default=0.85
        How alike near copies are at least, from above 0 to 1: the correlation of their detail,
        the highest over shifts of up to a sixth of the side and scales from 0.9 to 1.1.
    n_candidates : int, default=8
        Training images that each test image is compared with in detail: those most alike at
        16 x 16 pixels. More find more and take longer.
    mirror : bool, default=True
        Whether to look for mirrored copies too.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        pairs : DataFrame
            A row for every test image that has a copy in training, with the columns ``test`` and
            ``train``, rows of the two sets; ``kind``, "copy" (the same gray levels in 8 bits),
            "near copy" or "mirrored copy"; ``similarity``; ``copies``, how many training images
            have the same gray levels, or come up to `similarity` among the candidates; and with
            labels,
            ``label_test`` and ``label_train``. The training image is the one most alike.
        counts : dict of str to int
            Images of both sets (``train``, ``test``), test images of each kind, those of
            a group that is on both sides (``group``), and those of any kind (``leaked``).
        groups : DataFrame
            Groups on both sides: ``group``, ``train`` and ``test``, images of each.
        leaked : ndarray of bool, shape (n_test,)
            Test images with a copy of any kind, or of a group that is on both sides:
            ``X_test[~audit.leaked]`` is unseen.

    Raises
    ------
    ValueError
        If a set is no batch of images, lengths differ, or an argument is out of its range.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skfer.inspection.LeakDisplay : The pairs as a contact sheet.
    skfer.model_selection.HeldOutGuard : Refuses to select on images held out.

    Notes
    -----
    On FER2013 every pair drawn by lot that was at least 0.85 alike showed one photo, and between
    0.75 and 0.85 some showed two; few are that near the bound. What has no copy by this measure
    may still be another photo of the same moment. Time grows with the product of the sets' sizes
    at 16 x 16 pixels, and with the test set's in detail.

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
    pd = import_extra("pandas", "leak_audit", "evaluation")
    if not isinstance(similarity, Real) or not 0 < similarity <= 1:
        raise ValueError(f"similarity={similarity!r} must be above 0 and at most 1, such as 0.85.")
    if not isinstance(n_candidates, Integral) or n_candidates < 1:
        raise ValueError(f"n_candidates={n_candidates!r} must be an int of at least 1.")
    train, test = (ImageEstimator()._images(X, reset=True) for X in (X_train, X_test))
    check_consistent_length(train, y_train, groups_train)
    check_consistent_length(test, y_test, groups_test)
    rows = _pairs(_Known(train), _Known(test), float(similarity), int(n_candidates), mirror)
    pairs = pd.DataFrame(rows, columns=["test", "train", "kind", "similarity", "copies"])
    if y_train is not None and y_test is not None:
        pairs["label_test"] = column_or_1d(y_test)[pairs["test"]]
        pairs["label_train"] = column_or_1d(y_train)[pairs["train"]]
    shared, of_shared = _shared_groups(pd, groups_train, groups_test, len(test))
    leaked = of_shared.copy()
    leaked[pairs["test"].to_numpy(int)] = True
    kinds = {kind: int((pairs["kind"] == kind).sum()) for kind in (COPY, NEAR_COPY, MIRRORED)}
    counts = {
        "train": len(train),
        "test": len(test),
        **kinds,
        "group": int(of_shared.sum()),
        "leaked": int(leaked.sum()),
    }
    return Bunch(pairs=pairs, counts=counts, groups=shared, leaked=leaked)


class _Known:
    """What is kept of the images of a set, which are read once."""

    def __init__(self, images: Any):
        self.keys: list[bytes] = []
        self.thumbnails = Thumbnails(self._seen(images))

    def _seen(self, images: Any) -> Any:
        scale = float_scale(images)
        for image in images:
            self.keys.append(content_key(image, scale))
            yield image


def _pairs(
    train: _Known, test: _Known, similarity: float, n_candidates: int, mirror: bool
) -> list[tuple[int, int, str, float, int]]:
    places: dict[bytes, list[int]] = {}
    for place, key in enumerate(train.keys):
        places.setdefault(key, []).append(place)
    wanted, among = test.thumbnails, train.thumbnails
    nearest = candidates(wanted.coarse, among.coarse, n_candidates)
    mirrored = candidates(wanted.mirrored(), among.coarse, n_candidates) if mirror else None
    rows = []
    for row, key in enumerate(test.keys):
        if key in places:
            same = places[key]
            rows.append((row, same[0], COPY, 1.0, len(same)))
            continue
        looks = [(NEAR_COPY, wanted.pixels[row], nearest[row])]
        if mirrored is not None:
            looks.append((MIRRORED, wanted.pixels[row][:, ::-1], mirrored[row]))
        found = []
        for kind, thumbnail, chosen in looks:
            alike = np.array(likeness(thumbnail, among.pixels[chosen]))
            best = int(alike.argmax())
            copies = int((alike >= similarity).sum())
            found.append((row, int(chosen[best]), kind, float(alike[best]), copies))
        best_look = max(found, key=lambda look: look[3])
        if best_look[3] >= similarity:
            rows.append(best_look)
    return rows


def _shared_groups(
    pd: Any, groups_train: Any, groups_test: Any, n_test: int
) -> tuple[pd.DataFrame, np.ndarray]:
    columns = ["group", "train", "test"]
    if groups_train is None and groups_test is None:
        return pd.DataFrame(columns=columns), np.zeros(n_test, bool)
    if groups_train is None or groups_test is None:
        missing = "groups_train" if groups_train is None else "groups_test"
        raise ValueError(f"{missing} is None: groups are compared, so give them for both sets.")
    train, test = column_or_1d(groups_train), column_or_1d(groups_test)
    shared = np.intersect1d(train, test)
    rows = [(group, int((train == group).sum()), int((test == group).sum())) for group in shared]
    return pd.DataFrame(rows, columns=columns), np.isin(test, shared)
