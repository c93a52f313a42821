"""`GradCAMDisplay`: where the network sees what speaks for a class, over the images."""

from __future__ import annotations

from typing import Any

from skfer.inspection._axes import pyplot
from skfer.inspection._map_display import MapDisplay
from skfer.inspection._maps import grad_cam


class GradCAMDisplay(MapDisplay):
    """Images, and below each where the network sees what speaks for a class.

    Made by `from_estimator`, or from what `grad_cam` returned. Each map has a scale of its own.
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
    >>> from skfer.inspection import GradCAMDisplay
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> display = GradCAMDisplay.from_estimator(load_pretrained(), faces.images)
    >>> plt.close(display.figure_)
    """

    _label = "activation"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        target: Any = None,
        layer: str | None = None,
        ax: Any = None,
        n_columns: int = 6,
        cmap: Any = None,
    ) -> GradCAMDisplay:
        """Make the maps and draw them.

        Parameters
        ----------
        estimator, X, target, layer
            As in `grad_cam`.
        ax, n_columns, cmap
            As in `plot`.

        Returns
        -------
        GradCAMDisplay

        Raises
        ------
        ValueError, TypeError
            As by `grad_cam`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        found = grad_cam(estimator, X, target=target, layer=layer)
        return cls(**found).plot(ax, n_columns=n_columns, cmap=cmap)
