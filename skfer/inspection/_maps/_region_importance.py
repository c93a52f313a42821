"""`region_importance`: what a score loses when a region of the face tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_consistent_length, check_random_state

from skfer._labels import label_array
from skfer.inspection._maps._regions import check_mask_count, mask_areas, region_masks
from skfer.inspection._maps._seen_images import seen_images


def region_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    regions: Mapping[str, Any] | None = None,
    n_repeats: int = 5,
    scoring: str | Callable | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """How much a score falls when a region of the face is exchanged among the images.

    Permutation importance [1]_ of regions instead of features: every image keeps its label and
    gets the eyes, or another region, of an image drawn by lot. A region that tells the label makes
    the score fall. What `sklearn.inspection.permutation_importance` is to columns, this is to
    parts of faces.

    Parameters
    ----------
    estimator : classifier or Pipeline that ends in one
        Fitted; any kind. Regions are exchanged in what comes out of its last cropper or resizer.
        What abstains is asked for the answer it would have given.
    X : batch of n images
        Images that the estimator was not fitted on.
    y : array-like of shape (n,)
        Their labels.
    regions : dict of str to box or mask, default=None
        As in `region_masks`; a box or mask for each image where faces are not aligned, and the
        content is then resized to the region that it comes into. None is `FACE_REGIONS`.
    n_repeats : int, default=5
        How many times a region is exchanged.
    scoring : str or callable, default=None
        As in `sklearn.model_selection.cross_val_score`; None is the classifier's own, accuracy.
    random_state : int, RandomState instance or None, default=None
        Decides whose regions an image gets; the same for every region.

    Returns
    -------
    Bunch
        With the attributes

        importances : ndarray of shape (n_regions, n_repeats)
            Fall of the score.
        importances_mean, importances_std : ndarray of shape (n_regions,)
            Over the repeats.
        regions : list of str
            Their names.
        areas : ndarray of shape (n_regions,)
            Share of the image that the region holds.
        score : float
            Score of the images as they are.
        masks : dict of str to ndarray of bool
            The pixels of each region.
        mean_image : ndarray of shape (H, W)
            Mean of the images, in gray, on which the masks lie.

    Raises
    ------
    ValueError
        If a region is neither box nor mask, lengths differ, or there are fewer than 2 images.
    TypeError
        If the estimator gives no probabilities.

    See Also
    --------
    occlusion_sensitivity : Of each image by itself.
    RegionImportanceDisplay : The result as a picture.

    Notes
    -----
    Where two regions tell the same, as a smile is seen at mouth and eyes, exchanging one may cost
    little: the other still tells. The regions overlap if you give ones that do, and an exchanged
    region has seams, to which a network may react.

    References
    ----------
    .. [1] Breiman, L. (2001). Random forests. Machine Learning 45, 5-32.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import region_importance
    >>> faces = make_faces(50, classes=["happy", "surprise"], random_state=0)
    >>> found = region_importance(
    ...     load_pretrained(), faces.images, faces.labels, n_repeats=2, random_state=0
    ... )
    >>> found.regions, found.importances.shape
    (['brows', 'eyes', 'nose', 'mouth'], (4, 2))
    """
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats={n_repeats!r} must be an int of at least 1.")
    seen = seen_images(estimator, X)
    images, y = seen.images, label_array(y)
    check_consistent_length(images, y)
    if len(images) < 2:
        raise ValueError("X holds 1 image: there is none to exchange regions with.")
    masks = region_masks(images.shape[1:3], regions)
    check_mask_count(masks, len(images))
    score = check_scoring(seen.answering, scoring=scoring)
    whole = score(seen.answering, images, y)
    rng = check_random_state(random_state)
    givers = [rng.permutation(len(images)) for _ in range(n_repeats)]
    importances = np.array(
        [
            [whole - score(seen.answering, _exchanged(images, mask, giver), y) for giver in givers]
            for mask in masks.values()
        ]
    )
    return Bunch(
        importances=importances,
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        regions=list(masks),
        areas=mask_areas(masks, len(images)).mean(axis=0),
        score=float(whole),
        masks=masks,
        mean_image=images.mean(axis=(0, 3)),
    )


def _exchanged(images: np.ndarray, mask: np.ndarray, giver: np.ndarray) -> np.ndarray:
    """The images, each with the region of another."""
    if mask.ndim == 2:
        return np.where(mask[..., np.newaxis], images[giver], images)
    mixed = images.copy()
    for place, other in enumerate(giver):
        if mask[place].any() and mask[other].any():
            (rows, columns), source = _bounds(mask[place]), _bounds(mask[other])
            size = (columns.stop - columns.start, rows.stop - rows.start)
            content = cv2.resize(images[other][source], size, interpolation=cv2.INTER_LINEAR)
            content = content.reshape(size[1], size[0], images.shape[-1])
            inside = mask[place][rows, columns]
            mixed[place][rows, columns][inside] = content[inside]
    return mixed


def _bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
