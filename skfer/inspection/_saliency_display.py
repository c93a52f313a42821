"""`SaliencyDisplay`: the pixels that a class's score changes most with, over the images."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfer.inspection._axes import pyplot
from skfer.inspection._map_display import MapDisplay
from skfer.inspection._maps import saliency


class SaliencyDisplay(MapDisplay):
    """Images, and below each how strongly the score of a class changes with its pixels.

    Made by `from_estimator`, or from what `saliency` returned. Each map has a scale of its own.
    Attributes are those of `MapDisplay`.

    Parameters
    ----------
    maps, images, target, proba
        As in `MapDisplay`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import SaliencyDisplay
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> display = SaliencyDisplay.from_estimator(load_pretrained(), faces.images, smooth=5)
    >>> len(display.maps_)
    3
    >>> plt.close(display.figure_)
    """

    _label = "gradient"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        target: Any = None,
        smooth: int = 0,
        noise: float = 0.15,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
        n_columns: int = 6,
        cmap: Any = None,
    ) -> SaliencyDisplay:
        """Make the maps and draw them.

        Parameters
        ----------
        estimator, X, target, smooth, noise, random_state
            As in `saliency`.
        ax, n_columns, cmap
            As in `plot`.

        Returns
        -------
        SaliencyDisplay

        Raises
        ------
        ValueError, TypeError
            As by `saliency`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        found = saliency(
            estimator, X, target=target, smooth=smooth, noise=noise, random_state=random_state
        )
        return cls(**found).plot(ax, n_columns=n_columns, cmap=cmap)
