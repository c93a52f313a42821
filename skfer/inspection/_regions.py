"""Regions of the face: their pixels, their share of a map, and their importance for a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_consistent_length, check_random_state

from skfer._labels import label_array
from skfer._utils import check_int, pyplot
from skfer.inspection._maps import prepare_images
from skfer.inspection._plotting import COLORS

#: Left, top, width and height of each region, as fractions of the image's width and height. They
#: suit faces framed as in FER2013, aligned crops, and boxes of a detector without margin.
FACE_REGIONS = {
    "brows": (0.12, 0.20, 0.76, 0.13),
    "eyes": (0.12, 0.33, 0.76, 0.13),
    "nose": (0.34, 0.46, 0.32, 0.20),
    "mouth": (0.24, 0.66, 0.52, 0.26),
}

_FIGURE_SIZE = (6.4, 2.8)  # inches


def region_masks(
    image_shape: tuple[int, int], regions: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Return the pixels of each region as masks.

    Parameters
    ----------
    image_shape : (int, int)
        Height and width in pixels.
    regions : dict of str to box or mask, default=None
        A box (left, top, width, height) in fractions of the image's width and height; an array of
        shape (n, 4) of boxes, one for each image; or a bool array of shape (H, W) or (n, H, W).
        Regions may overlap. None is `FACE_REGIONS`: brows, eyes, nose and mouth.

    Returns
    -------
    dict of str to ndarray of bool
        Of shape (H, W), or (n, H, W) for a region that differs between images. A pixel belongs to
        a box if its centre lies inside.

    Raises
    ------
    ValueError
        If a region is neither a box nor a mask, leaves the image, or is empty.

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
        raise ValueError(f"regions={regions!r} must be a dict of at least one named region.")
    return {name: _mask(name, region, image_shape) for name, region in regions.items()}


def region_weights(maps: Any, regions: Mapping[str, Any] | None = None) -> Bunch:
    """Compute the share of each map that lies in each region of the face.

    Parameters
    ----------
    maps : array-like of shape (n, H, W)
        Maps from any source. Negative values count as zero.
    regions : dict of str to box or mask, default=None
        As in `region_masks`.

    Returns
    -------
    Bunch
        With the attributes

        weights : ndarray of shape (n, n_regions)
            Share of the map's sum that lies in the region; NaN for a map without positive values.
        areas : ndarray of shape (n, n_regions)
            Fraction of the pixels in the region, which is the weight of a constant map.
        regions : list of str
            Names of the regions.

    Raises
    ------
    ValueError
        If `maps` has another shape, or a region is neither a box nor a mask of their size.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam, region_weights
    >>> faces = make_faces(20, classes=["surprise"], random_state=0)
    >>> result = region_weights(grad_cam(load_pretrained(), faces.images).maps)
    >>> result.regions, result.weights.shape
    (['brows', 'eyes', 'nose', 'mouth'], (20, 4))
    """
    maps = np.asarray(maps, np.float64)
    if maps.ndim != 3:
        raise ValueError(f"maps has the shape {maps.shape}; it must be (n, height, width).")
    masks = region_masks(maps.shape[1:], regions)
    areas = _areas(masks, len(maps))
    positive = np.maximum(maps, 0)
    total = positive.sum(axis=(1, 2))[:, None]
    inside = np.stack([(positive * mask).sum(axis=(1, 2)) for mask in masks.values()], axis=1)
    weights = np.full(inside.shape, np.nan)
    np.divide(inside, total, out=weights, where=total > 0)
    return Bunch(weights=weights, areas=areas, regions=list(masks))


def _areas(masks: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Return the fraction of pixels of each region in n images, (n, n_regions)."""
    for name, mask in masks.items():
        if mask.ndim == 3 and len(mask) != n:
            raise ValueError(
                f"regions[{name!r}] is given for {len(mask)} images, but there are {n}."
            )
    areas = [np.broadcast_to(mask.mean(axis=(-2, -1)), n) for mask in masks.values()]
    return np.stack(areas, axis=1)


def _mask(name: str, region: Any, image_shape: tuple[int, int]) -> np.ndarray:
    array = np.asarray(region)
    if array.dtype == bool:
        mask = array
        if mask.ndim not in (2, 3) or mask.shape[-2:] != tuple(image_shape):
            raise ValueError(
                f"regions[{name!r}] is a mask of shape {mask.shape}; the images that the "
                f"classifier gets need {tuple(image_shape)}, or one such mask for each image."
            )
    elif array.dtype.kind in "iuf" and array.ndim in (1, 2) and array.shape[-1] == 4:
        mask = _box_mask(name, array.astype(float), image_shape)
    else:
        raise ValueError(
            f"regions[{name!r}] is neither a box (left, top, width, height) nor a bool array "
            f"(height, width), nor one of them for each image: {type(region).__name__} of shape "
            f"{array.shape} and dtype {array.dtype}."
        )
    if not mask.any():
        raise ValueError(f"regions[{name!r}] holds no pixel.")
    return mask


def _box_mask(name: str, boxes: np.ndarray, image_shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centres lie in a box, or in n boxes."""
    left, top, width, height = np.moveaxis(boxes, -1, 0)[..., np.newaxis]
    ends = np.stack([left + width, top + height])
    if boxes.min() < 0 or ends.max() > 1 + 1e-6:
        raise ValueError(
            f"regions[{name!r}]={boxes.tolist()} leaves the image: left, top, width and height "
            "are fractions of the image's width and height. Divide pixels by these."
        )
    y, x = ((np.arange(side) + 0.5) / side for side in image_shape)
    rows, columns = (y >= top) & (y < ends[1]), (x >= left) & (x < ends[0])
    return rows[..., :, np.newaxis] & columns[..., np.newaxis, :]


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
    """Compute the permutation importance of regions of the face.

    One region of the images, such as the eyes, is permuted at random, while each image keeps its
    label [1]_. The score decreases if the region informs about the label. The counterpart for
    columns is `sklearn.inspection.permutation_importance`.

    Parameters
    ----------
    estimator : classifier or Pipeline that ends in one
        Fitted, of any kind. Regions are exchanged in the output of its last cropper or resizer.
        An abstaining classifier is scored without abstention.
    X : batch of n images
        Images that the estimator was not fitted on.
    y : array-like of shape (n,)
    regions : dict of str to box or mask, default=None
        As in `region_masks`. Boxes or masks for each image suit faces that are not aligned: the
        content is resized to the region it replaces. None is `FACE_REGIONS`.
    n_repeats : int, default=5
        Number of permutations of each region.
    scoring : str or callable, default=None
        As in `sklearn.model_selection.cross_val_score`; None is accuracy, the classifier's `score`.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations, which are the same for every region.

    Returns
    -------
    Bunch
        With the attributes

        importances : ndarray of shape (n_regions, n_repeats)
            Decrease of the score.
        importances_mean, importances_std : ndarray of shape (n_regions,)
            Over the repeats.
        regions : list of str
            Names of the regions.
        areas : ndarray of shape (n_regions,)
            Fraction of the image in the region.
        score : float
            Score of the unchanged images.
        masks : dict of str to ndarray of bool
            The pixels of each region.
        mean_image : ndarray of shape (H, W)
            Mean of the images and channels.

    Raises
    ------
    ValueError
        If a region is neither a box nor a mask, lengths differ, or there are fewer than 2 images.
    TypeError
        If the estimator has no `predict_proba`.

    Notes
    -----
    If two regions carry the same information, as mouth and eyes do in a smile, the importance of
    each is small. Exchanged regions have seams, to which a network may react.

    References
    ----------
    .. [1] Breiman, L. (2001). Random forests. Machine Learning 45, 5-32.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import region_importance
    >>> faces = make_faces(50, classes=["happy", "surprise"], random_state=0)
    >>> result = region_importance(
    ...     load_pretrained(), faces.images, faces.labels, n_repeats=2, random_state=0
    ... )
    >>> result.regions, result.importances.shape
    (['brows', 'eyes', 'nose', 'mouth'], (4, 2))
    """
    check_int("n_repeats", n_repeats)
    images, classifier = prepare_images(estimator, X)
    y = label_array(y)
    check_consistent_length(images, y)
    if len(images) < 2:
        raise ValueError("X holds 1 image, but regions are exchanged between at least 2.")
    masks = region_masks(images.shape[1:3], regions)
    areas = _areas(masks, len(images)).mean(axis=0)
    scorer = check_scoring(classifier, scoring=scoring)
    score = scorer(classifier, images, y)
    rng = check_random_state(random_state)
    permutations = [rng.permutation(len(images)) for _ in range(n_repeats)]
    importances = np.array(
        [
            [
                score - scorer(classifier, _exchange(images, mask, order), y)
                for order in permutations
            ]
            for mask in masks.values()
        ]
    )
    return Bunch(
        importances=importances,
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        regions=list(masks),
        areas=areas,
        score=float(score),
        masks=masks,
        mean_image=images.mean(axis=(0, 3)),
    )


def _exchange(images: np.ndarray, mask: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the images, each with the region of the image that `order` names."""
    if mask.ndim == 2:
        return np.where(mask[..., np.newaxis], images[order], images)
    mixed = images.copy()
    for target, source in enumerate(order):
        if mask[target].any() and mask[source].any():
            rows, columns = _bounds(mask[target])
            size = (columns.stop - columns.start, rows.stop - rows.start)
            content = images[source][_bounds(mask[source])]
            content = cv2.resize(content, size, interpolation=cv2.INTER_LINEAR)
            content = content.reshape(size[1], size[0], images.shape[-1])
            inside = mask[target][rows, columns]
            mixed[target][rows, columns][inside] = content[inside]
    return mixed


def _bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


class RegionImportanceDisplay:
    """Permutation importance of the regions of the face.

    A bar for each region is drawn next to the regions on the mean face.

    Parameters
    ----------
    importances : array-like of shape (n_regions, n_repeats)
    regions : sequence of str
    masks : dict of str to ndarray of shape (H, W) or (n, H, W), bool, default=None
        The pixels of each region.
    mean_image : ndarray of shape (H, W), default=None
        Image that the regions are drawn on. None draws no face.
    score : float, default=None
        Score of the unchanged images.
    score_name : str, default="score"

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the bars.
    face_ax_ : matplotlib Axes or None
        Axes of the face.
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import RegionImportanceDisplay
    >>> faces = make_faces(30, classes=["happy", "surprise"], random_state=0)
    >>> display = RegionImportanceDisplay.from_estimator(
    ...     load_pretrained(), faces.images, faces.labels, n_repeats=2, random_state=0
    ... )
    >>> len(display.bars_)
    4
    """

    def __init__(
        self,
        importances: Any,
        regions: Sequence[str],
        *,
        masks: Mapping[str, np.ndarray] | None = None,
        mean_image: np.ndarray | None = None,
        score: float | None = None,
        score_name: str = "score",
    ):
        self.importances = importances
        self.regions = regions
        self.masks = masks
        self.mean_image = mean_image
        self.score = score
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: str | Callable | None = None,
        ax: Any = None,
        **options: Any,
    ) -> RegionImportanceDisplay:
        """Compute the importances and plot them.

        Parameters
        ----------
        estimator, X, y, scoring
            As in `region_importance`.
        ax : matplotlib Axes, default=None
            As in `plot`.
        **options : dict
            Other parameters of `region_importance`.

        Returns
        -------
        RegionImportanceDisplay

        Raises
        ------
        ValueError, TypeError
            As by `region_importance`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        result = region_importance(estimator, X, y, scoring=scoring, **options)
        name = scoring.replace("_", " ") if isinstance(scoring, str) else "score"
        display = cls(
            result.importances,
            result.regions,
            masks=result.masks,
            mean_image=result.mean_image,
            score=result.score,
            score_name="accuracy" if scoring is None else name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> RegionImportanceDisplay:
        """Draw the mean importance of each region as a bar, with its standard deviation.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes for the bars, without the face. None makes a new figure with both.

        Returns
        -------
        RegionImportanceDisplay
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        self.face_ax_: Any = None
        if ax is None and self.mean_image is not None and self.masks is not None:
            _, (self.face_ax_, ax) = plt.subplots(
                1, 2, figsize=_FIGURE_SIZE, width_ratios=(1, 1.6), layout="constrained"
            )
        elif ax is None:
            _, ax = plt.subplots(figsize=_FIGURE_SIZE, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        values = np.asarray(self.importances)
        colors = [COLORS[number % len(COLORS)] for number in range(len(self.regions))]
        self.bars_ = ax.barh(
            range(len(self.regions)),
            values.mean(axis=1),
            xerr=values.std(axis=1),
            color=colors,
            ecolor="0.4",
        )
        ax.set_yticks(range(len(self.regions)), self.regions)
        ax.invert_yaxis()
        ax.axvline(0, color="0.6", linewidth=0.8)
        ax.grid(axis="x", alpha=0.3)
        ax.set_axisbelow(True)
        start = "" if self.score is None else f" from {self.score:.3f}"
        ax.set_xlabel(f"decrease of {self.score_name}{start}")
        if self.face_ax_ is not None:
            self._draw_face(colors)
        return self

    def _draw_face(self, colors: Sequence[str]) -> None:
        self.face_ax_.imshow(self.mean_image, cmap="gray")
        for name, color in zip(self.regions, colors, strict=True):
            mask = np.asarray(self.masks[name], float)  # type: ignore[index]
            # Regions that differ between images are drawn where most of them are. The border
            # closes the line at the edge of the image.
            mean = np.pad(mask if mask.ndim == 2 else mask.mean(axis=0), 1)
            y, x = (np.arange(side) - 1 for side in mean.shape)
            self.face_ax_.contour(x, y, mean, [0.5], colors=[color], linewidths=2)
        self.face_ax_.axis("off")
