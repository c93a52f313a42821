"""`layer_table` and `plot_network`: the layers of a network, in a table and in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skfer._extras import import_extra
from skfer.inspection._axes import axes_or_new, pyplot
from skfer.inspection._network_lines import (
    NetworkLine,
    keras_model,
    n_parameters,
    network_lines,
    output_shape,
)

if TYPE_CHECKING:
    import pandas as pd

# Light enough for black text, and each of its own lightness, for print in gray.
_COLORS = {
    "convolution": "#c3daee",
    "dense": "#ffd98a",
    "pooling": "#d9d9d9",
    "merge": "#ffffff",
    "other": "#f2f2f2",
}
_LINE_COLOR = "0.25"
_FONT_SIZE = 9.0
# Inches at that font size: from line to line, a box, a letter, and what is left free.
_PITCH, _BOX_HEIGHT = 0.38, 0.26
_LETTER, _PADDING = 0.078, 0.25
_HALF_BOX = _BOX_HEIGHT / _PITCH / 2
# How far arcs reach out: over one line, and for each line more.
_NEAREST_ARC, _ARC_STEP = 0.22, 0.05
_HEADERS = ("layers", "output", "parameters")


class NetworkDisplay:
    """The layers of a network from input to output, a box for every run of them.

    It is recommended to use `plot_network`. Parameters are stored as attributes.

    Parameters
    ----------
    lines : sequence of NetworkLine
        Named tuples (label, kind, output_shape, parameters, inputs) from input to output;
        `inputs` are the places of the lines that a line takes its input from.
    name : str, default=None
        What the network is called in the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    text_ : list of matplotlib Text
        What is written in the boxes.
    arcs_ : list of matplotlib FancyArrowPatch
        Connections that pass over other lines, such as the skips of a residual network.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import plot_network
    >>> display = plot_network("mini_xception")
    >>> len(display.arcs_)
    8
    >>> plt.close(display.figure_)
    """

    def __init__(self, lines: Sequence[NetworkLine], *, name: str | None = None):
        self.lines = lines
        self.name = name

    def plot(self, ax: Any = None) -> NetworkDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Its text is made as small as the axes demand. None makes a new figure, as large as
            the diagram needs.

        Returns
        -------
        NetworkDisplay
        """
        widths = self._widths()
        arcs = self._arcs()
        left = max((self._reach(source, line) for source, line in arcs), default=0.0) + 0.05
        size = (left + sum(widths) + 0.05, _PITCH * (len(self.lines) + 1.7))
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", size)
        self.figure_ = self.ax_.figure
        self.ax_.set(xlim=(-left, size[0] - left), ylim=(len(self.lines) - 0.5, -2.2))
        self.ax_.axis("off")
        font_size = _FONT_SIZE * _shrinking(self.ax_, size)
        self._write_header(widths, font_size)
        self.text_ = [self._draw_line(place, widths, font_size) for place in range(len(self.lines))]
        self.arcs_ = [self._draw_arc(source, line, font_size) for source, line in arcs]
        return self

    def _widths(self) -> tuple[float, float, float]:
        """Widths in inches of the boxes and of the two columns beside them."""
        columns = ([line.label for line in self.lines], *self._columns())
        widths = [
            max(map(len, (header, *column))) * _LETTER + _PADDING
            for header, column in zip(_HEADERS, columns, strict=True)
        ]
        return widths[0], widths[1], widths[2]

    def _columns(self) -> tuple[list[str], list[str]]:
        shapes = [_times(line.output_shape) for line in self.lines]
        return shapes, [f"{line.parameters:,}" if line.parameters else "" for line in self.lines]

    def _arcs(self) -> list[tuple[int, int]]:
        """Connections that pass over lines; the others are arrows from a line to the next."""
        return [
            (source, place)
            for place, line in enumerate(self.lines)
            for source in line.inputs
            if place - source > 1
        ]

    def _reach(self, source: int, line: int) -> float:
        return _NEAREST_ARC + _ARC_STEP * (line - source - 2)

    def _write_header(self, widths: Sequence[float], font_size: float) -> None:
        total = sum(line.parameters for line in self.lines)
        title = f"{total:,} parameters"
        title = title if self.name is None else f"{self.name}: {title}"
        self.ax_.text(0, -1.7, title, fontsize=font_size + 1, weight="bold", va="center")
        for column in (1, 2):
            self.ax_.text(
                sum(widths[: column + 1]),
                -0.85,
                _HEADERS[column],
                fontsize=font_size,
                color=_LINE_COLOR,
                ha="right",
                va="center",
            )

    def _draw_line(self, place: int, widths: Sequence[float], font_size: float) -> Any:
        """Draw a box with what stands beside it, and the arrow to it; returns its text."""
        from matplotlib.patches import Rectangle

        line = self.lines[place]
        half = _HALF_BOX
        box = Rectangle(
            (0, place - half), widths[0], 2 * half, facecolor=_COLORS[line.kind], edgecolor="black"
        )
        self.ax_.add_patch(box)
        style = {"fontsize": font_size, "va": "center"}
        for column, cells in enumerate(self._columns(), start=1):
            edge = sum(widths[: column + 1])
            self.ax_.text(edge, place, cells[place], ha="right", **style)
        if place - 1 in line.inputs:
            middle = widths[0] / 2
            self.ax_.annotate(
                "",
                (middle, place - half),
                (middle, place - 1 + half),
                arrowprops={"arrowstyle": "-|>", "color": _LINE_COLOR, "shrinkA": 0, "shrinkB": 0},
                fontsize=font_size,
            )
        return self.ax_.text(widths[0] / 2, place, line.label, ha="center", **style)

    def _draw_arc(self, source: int, line: int, font_size: float) -> Any:
        """Draw a bow left of the boxes, from the foot of one to the head of another."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        start, end = source + _HALF_BOX / 2, line - _HALF_BOX / 2
        # A Bezier curve reaches three quarters of the way to its two inner points.
        out = -self._reach(source, line) / 0.75
        path = Path([(0, start), (out, start), (out, end), (0, end)], [1, 4, 4, 4])
        arc = FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=font_size, color=_LINE_COLOR, fill=False
        )
        return self.ax_.add_patch(arc)


def plot_network(
    network: Any,
    ax: Any = None,
    *,
    input_shape: tuple[int, int, int] = (48, 48, 1),
    n_outputs: int = 7,
) -> NetworkDisplay:
    """Draw the layers of a network, from input to output.

    A run of layers that keep the shape, such as convolution, batch normalisation and
    activation, is one box; beside it stand its output's shape and its number of parameters.
    Connections that pass over other boxes, such as those of a residual network, are arcs.

    Parameters
    ----------
    network : str, keras.Model or estimator
        A name from `skfer.networks.list_networks`, a Keras model, or a fitted estimator or a
        Pipeline that ends in one.
    ax : matplotlib Axes, default=None
        None makes a new figure, as large as the diagram needs.
    input_shape : tuple of int, default=(48, 48, 1)
        Height, width and channels, if `network` is a name.
    n_outputs : int, default=7
        Number of classes, if `network` is a name.

    Returns
    -------
    NetworkDisplay

    Raises
    ------
    NotFittedError
        If the estimator has no network yet.
    ValueError
        If the name is unknown, `network` is none of these, or a model has not been built.

    Notes
    -----
    A subclassed Keras model doesn't tell how its layers are connected: they are drawn in the
    order it holds them. A picture is as high as there are boxes, more than a metre for networks
    of hundreds of layers: `layer_table` suits those better.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import plot_network
    >>> display = plot_network("cnn4")
    >>> len(display.text_)
    13
    >>> plt.close(display.figure_)
    """
    pyplot("plot_network")
    model = keras_model(network, input_shape, n_outputs)
    return NetworkDisplay(network_lines(model), name=model.name).plot(ax)


def layer_table(
    network: Any, *, input_shape: tuple[int, int, int] = (48, 48, 1), n_outputs: int = 7
) -> pd.DataFrame:
    """The layers of a network as a table.

    Parameters
    ----------
    network : str, keras.Model or estimator
        As for `plot_network`.
    input_shape : tuple of int, default=(48, 48, 1)
        Height, width and channels, if `network` is a name.
    n_outputs : int, default=7
        Number of classes, if `network` is a name.

    Returns
    -------
    pandas.DataFrame
        A row for every layer: `layer` (its name), `type`, `output_shape` (of one image),
        `parameters` and `trainable` (how many of them training changes).

    Raises
    ------
    ImportError
        If pandas is not installed.
    ValueError
        As for `plot_network`.

    Examples
    --------
    >>> from skfer.inspection import layer_table
    >>> table = layer_table("cnn4")
    >>> table[["type", "output_shape", "parameters", "trainable"]].head(3)
                     type  output_shape  parameters  trainable
    0          InputLayer   (48, 48, 1)           0          0
    1              Conv2D  (48, 48, 64)         640        640
    2  BatchNormalization  (48, 48, 64)         256        128
    >>> int(table["parameters"].sum())
    4478727
    """
    pd = import_extra("pandas", "layer_table", "table")
    model = keras_model(network, input_shape, n_outputs)
    return pd.DataFrame(
        {
            "layer": layer.name,
            "type": type(layer).__name__,
            "output_shape": output_shape(layer),
            "parameters": n_parameters(layer.weights),
            "trainable": n_parameters(layer.trainable_weights),
        }
        for layer in model.layers
    )


def _times(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "?"
    return "\N{MULTIPLICATION SIGN}".join("?" if side is None else str(side) for side in shape)


def _shrinking(axis: Any, size: tuple[float, float]) -> float:
    """How much smaller the axes are than what is drawn needs, in inches; 1 if there is room."""
    area, dpi = axis.get_window_extent(), axis.figure.dpi
    return min(1.0, area.width / dpi / size[0], area.height / dpi / size[1])
