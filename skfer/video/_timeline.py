"""`TimelineDisplay`: expressions over the time of a video."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from skfer._utils import pyplot
from skfer.recognition import expression_hex_color
from skfer.video._face_tables import COLUMNS, read_rows

if TYPE_CHECKING:
    import pandas as pd

_WIDTH, _PANEL_HEIGHT, _LEGEND_HEIGHT = 9.0, 1.9, 0.7
# Lines are interrupted where a face is missing for more than this number of frames.
_MAX_MISSING_FRAMES = 3


class TimelineDisplay:
    """Probabilities of expressions over time, with a panel for each face.

    The strip below a panel has the colour of the most probable expression.

    It is recommended to use `from_table`. Parameters are stored as attributes.

    Parameters
    ----------
    faces : pandas.DataFrame
        Table of a `VideoReport`.
    classes : list of str, default=None
        Columns to draw. None means all classes.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_faces,)
        Panels.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Lines of the classes, face by face.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfer.video import TimelineDisplay
    >>> faces = pd.DataFrame({"frame": [0, 1, 2], "timestamp": [0.0, 0.1, 0.2], "face_id": 1})
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
        """Draw a table of faces from memory or from a file.

        Parameters
        ----------
        faces : pandas.DataFrame or path
            Table of a `VideoReport`, or its ``.csv`` or ``.parquet`` file.
        ax : matplotlib Axes or sequence of them, default=None
            One for each face. None creates a figure.
        classes : list of str, default=None
            Columns to draw. None means all classes.
        n_faces : int, default=4
            Largest number of faces. Those in most frames are drawn.

        Returns
        -------
        TimelineDisplay

        Raises
        ------
        ValueError
            If the table has no faces or lacks a column, or the number of axes is wrong.
        """
        if isinstance(faces, str | os.PathLike):
            faces = read_rows(faces)
        return cls(faces, classes=classes).plot(ax, n_faces=n_faces)

    def plot(self, ax: Any = None, *, n_faces: int = 4) -> TimelineDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax, n_faces
            As for `from_table`.

        Returns
        -------
        TimelineDisplay

        Raises
        ------
        ValueError
            As for `from_table`.
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        classes = self._validate()
        colors = {name: expression_hex_color(name, classes) for name in classes}
        seen = self.faces[self.faces["face_id"].notna()]
        ids = sorted(map(int, seen["face_id"].value_counts().head(n_faces).index))
        if not ids:
            raise ValueError("The table has no face in any frame.")
        new_figure = ax is None
        if new_figure:
            size = (_WIDTH, _PANEL_HEIGHT * len(ids) + _LEGEND_HEIGHT)
            ax = plt.subplots(len(ids), 1, figsize=size, layout="constrained", sharex=True)[1]
            np.ravel(ax)[0].figure.legend(
                handles=[
                    plt.Line2D([], [], color=color, linewidth=4, label=name)
                    for name, color in colors.items()
                ],
                loc="outside upper center",
                ncols=len(classes),
                frameon=False,
                fontsize="small",
                handlelength=1.0,
                columnspacing=1.2,
            )
        self.axes_ = np.array(ax, dtype=object).ravel()
        if len(self.axes_) != len(ids):
            raise ValueError(f"ax has {len(self.axes_)} axes for {len(ids)} faces.")
        self.figure_ = self.axes_[0].figure
        self.lines_: list[Any] = []
        times = np.unique(self.faces["timestamp"].to_numpy(float))
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        for axis, face_id in zip(self.axes_, ids, strict=True):
            self._draw(axis, seen[seen["face_id"] == face_id], colors, step)
            axis.set_title(f"face {face_id}", loc="left", fontsize="medium")
        self.axes_[-1].set_xlabel("seconds")
        if not new_figure:  # the given one may have no room outside of the axes
            self.axes_[0].legend(loc="upper right", fontsize="small")
        return self

    def _validate(self) -> list[str]:
        """Check the columns and return the classes to draw."""
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

    def _draw(self, axis: Any, rows: pd.DataFrame, colors: dict[str, str], step: float) -> None:
        times = rows["timestamp"].to_numpy(float)
        # A missing value in each gap interrupts the line.
        gaps = np.flatnonzero(np.diff(times) > _MAX_MISSING_FRAMES * step) + 1
        for name, color in colors.items():
            values = np.insert(rows[name].to_numpy(float), gaps, np.nan)
            self.lines_ += axis.plot(
                np.insert(times, gaps, np.nan), values, color=color, linewidth=1.6, label=name
            )
        for name in rows["expression"].unique():
            starts = times[(rows["expression"] == name).to_numpy(bool)]
            spans = [(start, 1.02 * step) for start in starts]
            color = expression_hex_color(name, list(colors))
            axis.broken_barh(spans, (-0.14, 0.1), facecolors=color)
        axis.axhline(0, color="0.8", linewidth=0.6, zorder=0)
        axis.set(ylim=(-0.16, 1.03), ylabel="probability", yticks=[0, 0.5, 1])
        axis.spines[["top", "right"]].set_visible(False)
