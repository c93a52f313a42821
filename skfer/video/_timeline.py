"""`TimelineDisplay`: how expressions change over a video."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from skfer.inspection._plotting import pyplot
from skfer.recognition import expression_hex_color
from skfer.video._face_tables import COLUMNS, read_rows

if TYPE_CHECKING:
    import pandas as pd

_WIDTH, _PANEL_HEIGHT, _LEGEND_HEIGHT = 9.0, 1.9, 0.7
# A line is broken where a face was away for this many steps between frames.
_GAP_STEPS = 3


class TimelineDisplay:
    """Probabilities of expressions over the seconds of a video, a panel for each face.

    The strip at the foot of a panel has the colour of the most probable expression.

    It is recommended to use `from_table`. Parameters are stored as attributes.

    Parameters
    ----------
    faces : pandas.DataFrame
        The table of a `VideoReport`.
    classes : list of str, default=None
        Columns to draw; None draws every class.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_faces,)
        A panel for every face.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Face after face, in each the classes in order.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfer.video import TimelineDisplay
    >>> faces = pd.DataFrame({"frame": [0, 1, 2], "timestamp": [0.0, 0.1, 0.2], "face_id": 0})
    >>> faces[["x", "y", "width", "height", "confidence"]] = 1
    >>> faces[["detected", "expression", "probability"]] = True, "happy", 0.9
    >>> faces["happy"], faces["sad"] = [0.7, 0.8, 0.9], [0.3, 0.2, 0.1]
    >>> display = TimelineDisplay.from_table(faces)
    >>> [line.get_label() for line in display.lines_]
    ['happy', 'sad']
    >>> plt.close(display.figure_)
    """

    def __init__(self, faces: pd.DataFrame, *, classes: list[str] | None = None):
        self.faces = faces
        self.classes = classes

    @classmethod
    def from_table(
        cls,
        faces: pd.DataFrame | str | os.PathLike,
        *,
        ax: Any = None,
        classes: list[str] | None = None,
        n_faces: int = 4,
    ) -> TimelineDisplay:
        """Draw a table of faces, or the file that holds it.

        Parameters
        ----------
        faces : pandas.DataFrame or path
            The table of a `VideoReport`, or the ``.csv`` or ``.parquet`` that was written.
        ax : matplotlib Axes or sequence of them, default=None
            One for every face. None makes a new figure.
        classes : list of str, default=None
            Columns to draw; None draws every class.
        n_faces : int, default=4
            At most so many faces are drawn, those that are seen in most frames.

        Returns
        -------
        TimelineDisplay

        Raises
        ------
        ValueError
            If the table has not what is drawn, or there are more or fewer axes than faces.
        """
        pyplot(f"{cls.__name__}.from_table")
        if isinstance(faces, str | os.PathLike):
            faces = read_rows(faces, f"{cls.__name__}.from_table")
        return cls(faces, classes=classes).plot(ax, n_faces=n_faces)

    def plot(self, ax: Any = None, *, n_faces: int = 4) -> TimelineDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One for every face. None makes a new figure.
        n_faces : int, default=4
            At most so many faces are drawn, those that are seen in most frames.

        Returns
        -------
        TimelineDisplay

        Raises
        ------
        ValueError
            If the table has not what is drawn, or there are more or fewer axes than faces.
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        classes = self._classes()
        seen = self.faces[self.faces["face_id"].notna()]
        often = seen["face_id"].value_counts().head(n_faces).index
        ids = sorted(int(face_id) for face_id in often)
        if not ids:
            raise ValueError("The table has no face in any frame: there is nothing to draw.")
        if ax is None:
            size = (_WIDTH, _PANEL_HEIGHT * len(ids) + _LEGEND_HEIGHT)
            ax = plt.subplots(len(ids), 1, figsize=size, layout="constrained", sharex=True)[1]
            ax = np.array(ax, dtype=object).ravel()
            ax[0].figure.legend(
                handles=[self._key(plt, name, classes) for name in classes],
                loc="outside upper center",
                ncols=len(classes),
                frameon=False,
                fontsize="small",
                handlelength=1.0,
                columnspacing=1.2,
            )
        self.axes_ = np.array(ax, dtype=object).ravel()
        if len(self.axes_) != len(ids):
            raise ValueError(
                f"ax holds {len(self.axes_)} axes, but {len(ids)} are needed, one for each face."
            )
        self.figure_ = self.axes_[0].figure
        self.lines_: list[Any] = []
        step = self._step()
        for axis, face_id in zip(self.axes_, ids, strict=True):
            self._draw(axis, seen[seen["face_id"] == face_id], face_id, classes, step)
        self.axes_[-1].set_xlabel("seconds")
        return self

    def _classes(self) -> list[str]:
        names = list(self.faces.columns)
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise ValueError(
                f"The table has no column {missing[0]!r}: give VideoReport.faces, or its file."
            )
        known = names[names.index("probability") + 1 :]
        if self.classes is None:
            return known
        unknown = [name for name in self.classes if name not in known]
        if unknown or not self.classes:
            raise ValueError(f"classes={self.classes!r} must be a list of some of {known}.")
        return list(self.classes)

    def _step(self) -> float:
        """Seconds from frame to frame, usually."""
        moments = np.unique(self.faces["timestamp"].to_numpy(float))
        return float(np.median(np.diff(moments))) if len(moments) > 1 else 1.0

    def _key(self, plt: Any, name: str, classes: list[str]) -> Any:
        color = expression_hex_color(name, classes)
        return plt.Line2D([], [], color=color, linewidth=4, label=name)

    def _draw(
        self, axis: Any, rows: pd.DataFrame, face_id: int, classes: list[str], step: float
    ) -> None:
        seconds = rows["timestamp"].to_numpy(float)
        breaks = np.flatnonzero(np.diff(seconds) > _GAP_STEPS * step) + 1
        for name in classes:
            # A missing value in each gap, so that no line leads across it.
            values = np.insert(rows[name].to_numpy(float), breaks, np.nan)
            moments = np.insert(seconds, breaks, np.nan)
            self.lines_ += axis.plot(
                moments,
                values,
                color=expression_hex_color(name, classes),
                linewidth=1.6,
                label=name,
            )
        for name in rows["expression"].unique():
            at = seconds[(rows["expression"] == name).to_numpy(bool)]
            spans = [(moment, 1.02 * step) for moment in at]
            axis.broken_barh(spans, (-0.14, 0.1), facecolors=expression_hex_color(name, classes))
        axis.axhline(0, color="0.8", linewidth=0.6, zorder=0)
        axis.set(ylim=(-0.16, 1.03), ylabel="probability", yticks=[0, 0.5, 1])
        axis.set_title(f"face {face_id}", loc="left", fontsize="medium")
        axis.spines[["top", "right"]].set_visible(False)
