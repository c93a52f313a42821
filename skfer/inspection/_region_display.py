"""`RegionImportanceDisplay`: what each region of the face is worth to a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skfer.inspection._axes import COLORS, pyplot
from skfer.inspection._maps import region_importance

_SIZE = (6.4, 2.8)  # inches


class RegionImportanceDisplay:
    """The fall of a score for each region of the face, beside the regions on the mean face.

    It is recommended to use `from_estimator`. Parameters are stored as attributes.

    Parameters
    ----------
    importances : array-like of shape (n_regions, n_repeats)
        Falls of the score.
    regions : sequence of str
        Their names.
    masks : dict of str to ndarray of shape (H, W) or (n, H, W), bool, default=None
        The pixels of each region.
    mean_image : ndarray of shape (H, W), default=None
        What the regions are drawn on. None leaves the face out.
    score : float, default=None
        Score of the images as they are.
    score_name : str, default="score"

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the bars.
    face_ax_ : matplotlib Axes or None
        With the face.
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer

    See Also
    --------
    region_importance : Measures it.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import RegionImportanceDisplay
    >>> faces = make_faces(30, classes=["happy", "surprise"], random_state=0)
    >>> display = RegionImportanceDisplay.from_estimator(
    ...     load_pretrained(), faces.images, faces.labels, n_repeats=2, random_state=0
    ... )
    >>> len(display.bars_)
    4
    >>> plt.close(display.figure_)
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
        regions: Mapping[str, Any] | None = None,
        n_repeats: int = 5,
        scoring: str | Callable | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
    ) -> RegionImportanceDisplay:
        """Measure the importances and draw them.

        Parameters
        ----------
        estimator, X, y, regions, n_repeats, scoring, random_state
            As in `region_importance`.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        RegionImportanceDisplay

        Raises
        ------
        ValueError, TypeError
            As by `region_importance`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        found = region_importance(
            estimator,
            X,
            y,
            regions=regions,
            n_repeats=n_repeats,
            scoring=scoring,
            random_state=random_state,
        )
        name = scoring.replace("_", " ") if isinstance(scoring, str) else "score"
        display = cls(
            found.importances,
            found.regions,
            masks=found.masks,
            mean_image=found.mean_image,
            score=found.score,
            score_name="accuracy" if scoring is None else name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> RegionImportanceDisplay:
        """Draw a bar for each region, as long as the mean, with the standard deviation.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Gets the bars; the face is left out. None makes a new figure with both.

        Returns
        -------
        RegionImportanceDisplay
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        self.face_ax_: Any = None
        if ax is None and self.mean_image is not None and self.masks is not None:
            _, (self.face_ax_, ax) = plt.subplots(
                1, 2, figsize=_SIZE, width_ratios=(1, 1.6), layout="constrained"
            )
        elif ax is None:
            _, ax = plt.subplots(figsize=_SIZE, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        values = np.asarray(self.importances)
        colors = [COLORS[place % len(COLORS)] for place in range(len(self.regions))]
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
        of = "" if self.score is None else f" from {self.score:.3f}"
        ax.set_xlabel(f"fall in {self.score_name}{of}")
        if self.face_ax_ is not None:
            self._draw_face(colors)
        return self

    def _draw_face(self, colors: Sequence[str]) -> None:
        axis = self.face_ax_
        axis.imshow(self.mean_image, cmap="gray")
        for name, color in zip(self.regions, colors, strict=True):
            mask = np.asarray(self.masks[name], float)  # type: ignore[index]
            # Of regions that differ from image to image, where they mostly are; the border lets
            # the line close at the edge of the image.
            mean = np.pad(mask if mask.ndim == 2 else mask.mean(axis=0), 1)
            height, width = mean.shape
            axis.contour(
                np.arange(width) - 1, np.arange(height) - 1, mean, [0.5], colors=[color],
                linewidths=2,
            )  # fmt: skip
        axis.axis("off")
