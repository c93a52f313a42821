"""`CrossDatasetDisplay`: every classifier on every data set, as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfer.inspection._axes import axes_or_new

_CELL = (1.9, 0.95)  # inches
_AROUND = (2.0, 1.3)
# Darker than this share of the scale, what is written in a cell is white.
_DARK = 0.6


class CrossDatasetDisplay:
    """A score of every classifier on every data set, with its interval.

    Parameters
    ----------
    report : DataFrame
        As `skfer.evaluation.cross_dataset_matrix` returns it. Stored as an attribute.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        A row for each classifier and a column for each data set.
    text_ : list of matplotlib Text
        The score, its interval, and of how many labels and images it is, row after row.

    See Also
    --------
    skfer.evaluation.cross_dataset_matrix : Makes the report.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfer.inspection import CrossDatasetDisplay
    >>> report = pd.DataFrame(
    ...     {
    ...         "estimator": ["mine", "mine"],
    ...         "dataset": ["FER2013", "CK+"],
    ...         "metric": "accuracy",
    ...         "value": [0.7, 0.9],
    ...         "low": [0.68, 0.85],
    ...         "high": [0.72, 0.94],
    ...         "images": [3000, 300],
    ...         "n_labels": [7, 5],
    ...     }
    ... )
    >>> display = CrossDatasetDisplay(report).plot()
    >>> display.image_.get_array().tolist()
    [[0.7, 0.9]]
    >>> plt.close(display.figure_)
    """

    def __init__(self, report: Any):
        self.report = report

    def plot(
        self, ax: Any = None, *, metric: str = "accuracy", cmap: Any = "Blues"
    ) -> CrossDatasetDisplay:
        """Draw the heat map, from 0 to 1.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure, as large as the matrix needs.
        metric : str, default="accuracy"
            Which score of the report.
        cmap : str or matplotlib Colormap, default="Blues"

        Returns
        -------
        CrossDatasetDisplay

        Raises
        ------
        ValueError
            If the report has no such score.
        """
        cells = self.report[self.report["metric"] == metric]
        if not len(cells):
            known = list(dict.fromkeys(self.report["metric"]))
            raise ValueError(f"metric={metric!r} is none of the report's: {known}.")
        estimators = list(dict.fromkeys(cells["estimator"]))
        datasets = list(dict.fromkeys(cells["dataset"]))
        values = np.full((len(estimators), len(datasets)), np.nan)
        size = [
            around + cell * n
            for around, cell, n in zip(_AROUND, _CELL, values.shape[::-1], strict=True)
        ]
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", (size[0], size[1]))
        self.figure_ = self.ax_.figure
        self.text_ = []
        for cell in cells.to_dict("records"):
            row, column = estimators.index(cell["estimator"]), datasets.index(cell["dataset"])
            values[row, column] = cell["value"]
            self.text_.append(
                self.ax_.text(
                    column,
                    row,
                    f"{cell['value']:.3f}\n{cell['low']:.3f} \N{EN DASH} {cell['high']:.3f}\n"
                    f"{cell['n_labels']} labels, {cell['images']:,} images",
                    color="white" if cell["value"] > _DARK else "black",
                    horizontalalignment="center",
                    verticalalignment="center",
                    fontsize="small",
                )
            )
        self.image_ = self.ax_.imshow(values, vmin=0, vmax=1, cmap=cmap, aspect="auto")
        self.ax_.set_xticks(range(len(datasets)), datasets)
        self.ax_.set_yticks(range(len(estimators)), estimators)
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.set_title(f"{metric.replace('_', ' ')}, and its interval", fontsize="medium")
        return self
