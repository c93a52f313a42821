"""`OcclusionDisplay`: what a class's probability loses when a part is covered, over the images."""

from __future__ import annotations

from typing import Any

from skfer.inspection._axes import pyplot
from skfer.inspection._map_display import MapDisplay
from skfer.inspection._maps import occlusion_sensitivity


class OcclusionDisplay(MapDisplay):
    """Images, and below each how much a class's probability falls where a patch covers it.

    Made by `from_estimator`, or from what `occlusion_sensitivity` returned. All maps have the same
    scale: red where the probability falls, blue where it rises. Attributes are those of
    `MapDisplay`.

    Parameters
    ----------
    maps, images, target, proba
        As in `MapDisplay`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import OcclusionDisplay
    >>> faces = make_faces(2, classes=["happy"], random_state=0)
    >>> display = OcclusionDisplay.from_estimator(load_pretrained(), faces.images, patch_size=12)
    >>> plt.close(display.figure_)
    """

    _label = "fall in probability"
    _signed = True
    _one_scale = True

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        target: Any = None,
        patch_size: int | tuple[int, int] | None = None,
        stride: int | None = None,
        fill: str | float = "mean",
        ax: Any = None,
        n_columns: int = 6,
        cmap: Any = None,
    ) -> OcclusionDisplay:
        """Make the maps and draw them.

        Parameters
        ----------
        estimator, X, target, patch_size, stride, fill
            As in `occlusion_sensitivity`.
        ax, n_columns, cmap
            As in `plot`.

        Returns
        -------
        OcclusionDisplay

        Raises
        ------
        ValueError, TypeError
            As by `occlusion_sensitivity`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        found = occlusion_sensitivity(
            estimator, X, target=target, patch_size=patch_size, stride=stride, fill=fill
        )
        return cls(**found).plot(ax, n_columns=n_columns, cmap=cmap)
