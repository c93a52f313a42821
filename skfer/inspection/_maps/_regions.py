"""Regions of a face: where they are, and how much of a map lies in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import Bunch

#: Left, top, width and height of each region, in shares of the image's width and height, where a
#: face is framed as in FER2013, in an aligned crop, or in a detector's box without margin.
FACE_REGIONS = {
    "brows": (0.12, 0.20, 0.76, 0.13),
    "eyes": (0.12, 0.33, 0.76, 0.13),
    "nose": (0.34, 0.46, 0.32, 0.20),
    "mouth": (0.24, 0.66, 0.52, 0.26),
}


def region_masks(
    image_shape: tuple[int, int], regions: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """The pixels of each region.

    Parameters
    ----------
    image_shape : (int, int)
        Height and width in pixels.
    regions : dict of str to box or mask, default=None
        By name: a box (left, top, width, height) in shares of the image's width and height; an
        array of shape (n, 4) of boxes, one for each image; or a bool array of shape (H, W) or
        (n, H, W). Regions may overlap. None is `FACE_REGIONS`: brows, eyes, nose and mouth.

    Returns
    -------
    dict of str to ndarray of bool
        Of shape (H, W), or (n, H, W) where a region differs from image to image. A pixel is in a
        box if its centre is.

    Raises
    ------
    ValueError
        If a region is neither box nor mask, lies outside the image, or holds no pixel.

    Examples
    --------
    >>> from skfer.inspection import region_masks
    >>> masks = region_masks((48, 48))
    >>> {name: int(mask.sum()) for name, mask in masks.items()}
    {'brows': 216, 'eyes': 216, 'nose': 160, 'mouth': 288}
    >>> upper = masks["brows"] | masks["eyes"]
    """
    regions = FACE_REGIONS if regions is None else regions
    if not isinstance(regions, Mapping) or not regions:
        raise ValueError(f"regions={regions!r} must be a dict of at least one region by its name.")
    return {name: _mask(name, region, image_shape) for name, region in regions.items()}


def region_weights(maps: Any, regions: Mapping[str, Any] | None = None) -> Bunch:
    """How much of each map lies in each region of the face.

    Parameters
    ----------
    maps : array-like of shape (n, H, W)
        From any source. Values below zero, with which the class becomes more probable in an
        `occlusion_sensitivity`, count as nothing.
    regions : dict of str to box or mask, default=None
        As in `region_masks`.

    Returns
    -------
    Bunch
        With the attributes

        weights : ndarray of shape (n, n_regions)
            Share of the map's sum that lies in the region; NaN for a map without weight.
        areas : ndarray of shape (n, n_regions)
            Share of the image's pixels that the region holds: the weight of an even map.
        regions : list of str
            Their names.

    Raises
    ------
    ValueError
        If `maps` are no maps, or a region is neither box nor mask of their size.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam, region_weights
    >>> faces = make_faces(20, classes=["surprise"], random_state=0)
    >>> found = region_weights(grad_cam(load_pretrained(), faces.images).maps)
    >>> found.regions, found.weights.shape
    (['brows', 'eyes', 'nose', 'mouth'], (20, 4))
    """
    maps = np.asarray(maps, np.float64)
    if maps.ndim != 3:
        raise ValueError(f"maps has the shape {maps.shape}; it must be (n, height, width).")
    masks = region_masks(maps.shape[1:], regions)
    check_mask_count(masks, len(maps))
    positive = np.maximum(maps, 0)
    total = positive.sum(axis=(1, 2))
    inside = np.stack([(positive * mask).sum(axis=(1, 2)) for mask in masks.values()], axis=1)
    weights = np.full(inside.shape, np.nan)
    np.divide(inside, total[:, None], out=weights, where=total[:, None] > 0)
    return Bunch(weights=weights, areas=mask_areas(masks, len(maps)), regions=list(masks))


def mask_areas(masks: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Share of the pixels that each region holds in each of n images, ``(n, n_regions)``."""
    shares = [np.broadcast_to(mask.mean(axis=(-2, -1)), n) for mask in masks.values()]
    return np.stack(shares, axis=1)


def check_mask_count(masks: Mapping[str, np.ndarray], n: int) -> None:
    """Raise an error if a region has one mask for each of another number of images."""
    for name, mask in masks.items():
        if mask.ndim == 3 and len(mask) != n:
            raise ValueError(
                f"regions[{name!r}] is given for {len(mask)} images, but there are {n}."
            )


def _mask(name: str, region: Any, image_shape: tuple[int, int]) -> np.ndarray:
    given = np.asarray(region)
    if given.dtype == bool:
        mask = given
        if mask.ndim not in (2, 3) or mask.shape[-2:] != tuple(image_shape):
            raise ValueError(
                f"regions[{name!r}] is a mask of shape {mask.shape}; the images the classifier "
                f"gets need {tuple(image_shape)}, or one such mask for each of them."
            )
    elif given.dtype.kind in "iuf" and given.ndim in (1, 2) and given.shape[-1] == 4:
        mask = _inside(name, given.astype(float), image_shape)
    else:
        raise ValueError(
            f"regions[{name!r}] is neither a box (left, top, width, height) nor a bool array "
            f"(height, width), nor one of them for each image: {type(region).__name__} of shape "
            f"{given.shape} and dtype {given.dtype}."
        )
    if not mask.any():
        raise ValueError(f"regions[{name!r}] holds no pixel.")
    return mask


def _inside(name: str, boxes: np.ndarray, image_shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in a box, or in one of n boxes each."""
    left, top, width, height = np.moveaxis(boxes, -1, 0)[..., np.newaxis]
    ends = np.stack([left + width, top + height])
    if boxes.min() < 0 or ends.max() > 1 + 1e-6:
        raise ValueError(
            f"regions[{name!r}]={boxes.tolist()} leaves the image: left, top, width and height "
            "are shares of the image's width and height. Pixels become shares when they are "
            "divided by these."
        )
    y, x = ((np.arange(side) + 0.5) / side for side in image_shape)
    rows, columns = (y >= top) & (y < ends[1]), (x >= left) & (x < ends[0])
    return rows[..., :, np.newaxis] & columns[..., np.newaxis, :]
