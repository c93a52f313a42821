"""`LabelReportDisplay`: the most doubtful labels as a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from skfer._base import ImageEstimator
from skfer._utils import shorten
from skfer.inspection._axes import pyplot
from skfer.inspection._image_grid import ImageGridDisplay, shrunk


class LabelReportDisplay(ImageGridDisplay):
    r"""The images whose labels are most doubtful, a row for each label given.

    Below every image stands what it is suggested to show. It is recommended to use
    `from_report`. Attributes are those of `ImageGridDisplay`.

    Parameters
    ----------
    images, classes
        As in `ImageGridDisplay`.
    counts : sequence of n_classes int, default=None
        How many images of the label are flagged.
    y_pred : list of lists of labels, default=None
        What every image is suggested to show.
    indices
        As in `ImageGridDisplay`.

    See Also
    --------
    skfer.evaluation.label_report : Makes the report.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import label_report
    >>> from skfer.inspection import LabelReportDisplay
    >>> images = make_faces(5, random_state=0).images
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]
    >>> report = label_report(["happy", "happy", "sad", "sad", "sad"], proba)
    >>> display = LabelReportDisplay.from_report(report, images)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['sad\nn = 1']
    >>> display.y_pred, [rows.tolist() for rows in display.indices]
    ([['happy']], [[4]])
    >>> plt.close(display.figure_)
    """

    @classmethod
    def from_report(
        cls,
        report: Any,
        X: Any,
        *,
        n_images: int = 8,
        classes: Sequence[Any] | None = None,
        ax: Any = None,
        cmap: Any = "gray",
    ) -> LabelReportDisplay:
        """Draw the worst of each label, the most doubtful to the left.

        Parameters
        ----------
        report : DataFrame
            As `skfer.evaluation.label_report` returns it.
        X : batch of n images
            Those that the report's column `row` counts. Only the images shown are read.
        n_images : int, default=8
            Images a label; a label that has fewer flagged shows all it has.
        classes : sequence of labels, default=None
            The labels to show, in this order; None is all that have flagged images, sorted.
        ax : matplotlib Axes, default=None
            As for `plot`.
        cmap : str or matplotlib Colormap, default="gray"
            As for `plot`.

        Returns
        -------
        LabelReportDisplay

        Raises
        ------
        ValueError
            If no label is flagged, one in `classes` isn't, or `X` is not what the report is of.
        """
        pyplot(f"{cls.__name__}.from_report")
        if not isinstance(n_images, Integral) or n_images < 1:
            raise ValueError(f"n_images={n_images!r} must be an int of at least 1.")
        batch = ImageEstimator()._images(X, reset=True)
        if len(report) and report["row"].max() >= len(batch):
            raise ValueError(
                f"X holds {len(batch)} images, but the report names row {report['row'].max()}: "
                "give the images that the report was made of."
            )
        flagged = report[report["issue"]].sort_values("rank")
        counts = flagged["given"].value_counts().to_dict()
        if not counts:
            raise ValueError("The report flags no label: there is nothing to show.")
        shown = sorted(counts) if classes is None else list(classes)
        missing = [label for label in shown if label not in counts]
        if missing or not shown:
            raise ValueError(
                f"classes={shorten(shown)} must be some of the labels with flags, "
                f"{shorten(sorted(counts))}."
            )
        worst = [flagged[flagged["given"] == label].head(n_images) for label in shown]
        display = cls(
            [[shrunk(batch[place]) for place in rows["row"]] for rows in worst],
            classes=shown,
            counts=[counts[label] for label in shown],
            y_pred=[rows["suggested"].tolist() for rows in worst],
            indices=[rows["row"].to_numpy() for rows in worst],
        )
        display.plot(ax, cmap=cmap)
        return display
