"""`layer_table` and `plot_network`: the layers of a network as a table and as a diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.exceptions import NotFittedError

from skfer._pipelines import flat_steps
from skfer._utils import pyplot
from skfer.inspection._plotting import Display

if TYPE_CHECKING:
    import keras
    import pandas as pd

# Layers that keep the shape: they share the box of the layer before them.
_SHAPE_KEEPING = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization",
    "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax",
    "Dropout", "SpatialDropout2D",
)  # fmt: skip
_SHORT_NAMES = {"BatchNormalization": "BatchNorm", "InputLayer": "Input"}
# Light colours for black text, with different lightness for print in gray.
_COLORS = {
    "convolution": "#c3daee",
    "dense": "#ffd98a",
    "pooling": "#d9d9d9",
    "merge": "#ffffff",
    "other": "#f2f2f2",
}
_LINE_COLOR = "0.25"
_FONT_SIZE = 9.0
# Inches at that font size: distance of boxes, height of a box, width of a letter, padding.
_PITCH, _BOX_HEIGHT = 0.38, 0.26
_LETTER, _PADDING = 0.078, 0.25
_HALF_BOX = _BOX_HEIGHT / _PITCH / 2
# Horizontal extent of arcs: over one box, and for each further box.
_SHORTEST_ARC, _ARC_STEP = 0.22, 0.05
_HEADERS = ("layers", "output", "parameters")

_Shape = tuple[int | None, ...] | None


class NetworkLine(NamedTuple):
    """Layers that share a box, such as convolution, batch normalisation and activation.

    `inputs` are the indices of the lines that its input comes from.
    """

    label: str
    kind: str
    output_shape: _Shape
    parameters: int
    inputs: tuple[int, ...]


class NetworkDisplay(Display):
    """Diagram of the layers of a network from input to output.

    Parameters
    ----------
    lines : sequence of NetworkLine
        Named tuples (label, kind, output_shape, parameters, inputs), one for each box;
        `inputs` are the indices of the lines that its input comes from.
    name : str, default=None
        Name of the network in the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    text_ : list of matplotlib Text
        Text of the boxes.
    arcs_ : list of matplotlib FancyArrowPatch
        Connections that pass over other boxes, such as those of a residual network.

    Examples
    --------
    >>> from skfer.inspection import plot_network
    >>> display = plot_network("mini_xception")
    >>> len(display.arcs_)
    8
    """

    def __init__(self, lines: Sequence[NetworkLine], *, name: str | None = None):
        self.lines = lines
        self.name = name

    def plot(self, ax: Any = None) -> NetworkDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The font is reduced to fit. None makes a new figure of suitable size.

        Returns
        -------
        NetworkDisplay
        """
        widths = self._widths()
        arcs = [
            (source, line)
            for line, content in enumerate(self.lines)
            for source in content.inputs
            if line - source > 1
        ]
        left = max((_arc_extent(*arc) for arc in arcs), default=0.0) + 0.05
        size = (left + sum(widths) + 0.05, _PITCH * (len(self.lines) + 1.7))
        self._set_axes(ax, size)
        self.ax_.set(xlim=(-left, size[0] - left), ylim=(len(self.lines) - 0.5, -2.2))
        self.ax_.axis("off")
        area, dpi = self.ax_.get_window_extent(), self.figure_.dpi
        font_size = _FONT_SIZE * min(1.0, area.width / dpi / size[0], area.height / dpi / size[1])
        self._draw_header(widths, font_size)
        self.text_ = [self._draw_line(line, widths, font_size) for line in range(len(self.lines))]
        self.arcs_ = [self._draw_arc(*arc, font_size) for arc in arcs]
        return self

    def _widths(self) -> tuple[float, float, float]:
        """Return the widths in inches of the boxes and of the two columns beside them."""
        columns = ([line.label for line in self.lines], *self._columns())
        widths = [
            max(map(len, (header, *column))) * _LETTER + _PADDING
            for header, column in zip(_HEADERS, columns, strict=True)
        ]
        return widths[0], widths[1], widths[2]

    def _columns(self) -> tuple[list[str], list[str]]:
        shapes = [_times(line.output_shape) for line in self.lines]
        return shapes, [f"{line.parameters:,}" if line.parameters else "" for line in self.lines]

    def _draw_header(self, widths: Sequence[float], font_size: float) -> None:
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

    def _draw_line(self, number: int, widths: Sequence[float], font_size: float) -> Any:
        """Draw a box with its two columns and the arrow to it, and return its text."""
        from matplotlib.patches import Rectangle

        line = self.lines[number]
        top, height = number - _HALF_BOX, 2 * _HALF_BOX
        self.ax_.add_patch(
            Rectangle((0, top), widths[0], height, facecolor=_COLORS[line.kind], edgecolor="black")
        )
        style = {"fontsize": font_size, "va": "center"}
        for column, cells in enumerate(self._columns(), start=1):
            edge = sum(widths[: column + 1])
            self.ax_.text(edge, number, cells[number], ha="right", **style)
        if number - 1 in line.inputs:
            middle = widths[0] / 2
            self.ax_.annotate(
                "",
                (middle, top),
                (middle, number - 1 + _HALF_BOX),
                arrowprops={"arrowstyle": "-|>", "color": _LINE_COLOR, "shrinkA": 0, "shrinkB": 0},
                fontsize=font_size,
            )
        return self.ax_.text(widths[0] / 2, number, line.label, ha="center", **style)

    def _draw_arc(self, source: int, line: int, font_size: float) -> Any:
        """Draw an arc on the left of the boxes, from the bottom of one to the top of another."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        start, end = source + _HALF_BOX / 2, line - _HALF_BOX / 2
        # A Bezier curve extends to three quarters of the distance of its inner points.
        out = -_arc_extent(source, line) / 0.75
        path = Path([(0, start), (out, start), (out, end), (0, end)], [1, 4, 4, 4])
        arc = FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=font_size, color=_LINE_COLOR, fill=False
        )
        return self.ax_.add_patch(arc)


def _arc_extent(source: int, line: int) -> float:
    """Return the horizontal extent of an arc over the lines between two lines."""
    return _SHORTEST_ARC + _ARC_STEP * (line - source - 2)


def plot_network(
    network: Any,
    ax: Any = None,
    *,
    input_shape: tuple[int, int, int] = (48, 48, 1),
    n_outputs: int = 7,
) -> NetworkDisplay:
    """Plot the layers of a network from input to output.

    Layers that keep the shape, such as batch normalisation and activation, share the box of the
    layer before them. The output shape and the number of parameters are next to the box.
    Connections that pass over other boxes, such as those of a residual network, are arcs.

    Parameters
    ----------
    network : str, keras.Model or estimator
        A name from `skfer.networks.list_networks`, a Keras model, or a fitted estimator or
        Pipeline.
    ax : matplotlib Axes, default=None
        None makes a new figure of suitable size.
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
        If the name is unknown, `network` has another type, or a model is not built.

    Notes
    -----
    The connections of a subclassed Keras model are unknown: its layers are drawn in their order.
    The height of the figure grows with the number of boxes; `layer_table` is more suitable for
    networks of hundreds of layers.

    Examples
    --------
    >>> from skfer.inspection import plot_network
    >>> display = plot_network("cnn4")
    >>> len(display.text_)
    13
    """
    pyplot("plot_network")
    model = _keras_model(network, input_shape, n_outputs)
    return NetworkDisplay(_network_lines(model), name=model.name).plot(ax)


def layer_table(
    network: Any, *, input_shape: tuple[int, int, int] = (48, 48, 1), n_outputs: int = 7
) -> pd.DataFrame:
    """Return the layers of a network as a table.

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
        A row for each layer with the columns `layer` (its name), `type`, `output_shape` (of one
        image), `parameters` and `trainable` (number of trainable parameters).

    Raises
    ------
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
    import pandas as pd

    model = _keras_model(network, input_shape, n_outputs)
    return pd.DataFrame(
        {
            "layer": layer.name,
            "type": type(layer).__name__,
            "output_shape": _output_shape(layer),
            "parameters": _n_parameters(layer.weights),
            "trainable": _n_parameters(layer.trainable_weights),
        }
        for layer in model.layers
    )


def _times(shape: _Shape) -> str:
    if shape is None:
        return "?"
    return "\N{MULTIPLICATION SIGN}".join("?" if side is None else str(side) for side in shape)


class _Step(NamedTuple):
    """One use of a layer, with the keys of the steps that its input comes from."""

    operation: Any
    output_shape: _Shape
    inputs: tuple[Any, ...]


def _keras_model(network: Any, input_shape: tuple[int, int, int], n_outputs: int) -> keras.Model:
    """Return the Keras model of a name or an estimator, without a scaling layer around it."""
    import keras

    from skfer.networks import build_network

    if isinstance(network, str):
        return build_network(network, input_shape, n_outputs)
    estimator = network if isinstance(network, keras.Model) else flat_steps(network)[-1]
    model = getattr(estimator, "network_", estimator)
    if not isinstance(model, keras.Model):
        if hasattr(model, "fit"):
            raise NotFittedError(
                f"{type(model).__name__} has no network_: call fit first, or give a network name."
            )
        raise ValueError(
            f"network is of type {type(network).__name__}; it must be a keras.Model, a fitted "
            "estimator or Pipeline, or a name from skfer.networks.list_networks()."
        )
    body = _body(model)
    if not body.built:
        raise ValueError(
            f"The network {body.name!r} is not built, so its layers have no shapes: add a "
            "keras.Input, or call build."
        )
    return body


def _body(model: keras.Model) -> keras.Model:
    """Return the model inside a model of only an input, a scaling layer and it; else the model."""
    import keras

    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    others = [layer for layer in model.layers if not isinstance(layer, keras.Model)]
    wraps = all(isinstance(x, keras.layers.InputLayer | keras.layers.Rescaling) for x in others)
    return nested[0] if len(nested) == 1 and wraps else model


def _n_parameters(weights: list[Any]) -> int:
    """Return the total size of weights."""
    return sum(math.prod(weight.shape) for weight in weights)


def _output_shape(layer: Any) -> _Shape:
    """Return the output shape of a layer for one image, or None if Keras does not know it."""
    try:
        output = layer.output
    except AttributeError:  # layers of subclassed models have been called with arrays only
        return None
    return _shape_of_one(output)


def _network_lines(model: keras.Model) -> list[NetworkLine]:
    """Return the lines of a network from input to output, with consecutive lines for a branch."""
    if getattr(model, "outputs", None):
        return _merge_steps(_branch_order(_graph(model), model))
    # The connections of a subclassed model are unknown.
    return _merge_steps(
        {
            number: _Step(layer, _output_shape(layer), (number - 1,) if number else ())
            for number, layer in enumerate(model.layers)
        }
    )


def _graph(model: keras.Model) -> dict[Any, _Step]:
    """Return all uses of layers, searched backwards from the outputs."""
    import keras

    steps: dict[Any, _Step] = {}
    waiting = keras.tree.flatten(model.outputs)
    while waiting:
        tensor = waiting.pop()
        if _key(tensor) in steps:
            continue
        operation, node_index, _ = tensor._keras_history
        sources = operation._inbound_nodes[node_index].input_tensors
        inputs = tuple(dict.fromkeys(map(_key, sources)))
        steps[_key(tensor)] = _Step(operation, _shape_of_one(tensor), inputs)
        waiting += sources
    return steps


def _key(tensor: Any) -> tuple[int, int]:
    operation, node_index, _ = tensor._keras_history
    return id(operation), node_index


def _branch_order(steps: dict[Any, _Step], model: keras.Model) -> dict[Any, _Step]:
    """Sort the steps topologically, and each branch to its end before the next one."""
    # Keras sorts by distance from the output: of two branches, the later one is the shorter.
    operations = getattr(model, "operations", model.layers)
    positions = {id(operation): number for number, operation in enumerate(operations)}
    consumers = _consumers(steps)
    for keys in consumers.values():
        keys.sort(key=lambda key: positions.get(key[0], 0))
    missing = {key: len(step.inputs) for key, step in steps.items()}
    ready = [key for key, number in missing.items() if number == 0]
    ordered: dict[Any, _Step] = {}
    while ready:
        key = ready.pop()
        ordered[key] = steps[key]
        for consumer in consumers[key]:
            missing[consumer] -= 1
            if missing[consumer] == 0:
                ready.append(consumer)
    return ordered


def _consumers(steps: dict[Any, _Step]) -> dict[Any, list[Any]]:
    consumers: dict[Any, list[Any]] = {key: [] for key in steps}
    for key, step in steps.items():
        for source in step.inputs:
            consumers[source].append(key)
    return consumers


def _merge_steps(steps: dict[Any, _Step]) -> list[NetworkLine]:
    """Convert steps to lines; a layer that keeps the shape joins the line of its only input."""
    consumers = _consumers(steps)
    lines: list[list[_Step]] = []
    line_numbers: dict[Any, int] = {}
    last = None
    for key, step in steps.items():
        joins = (
            type(step.operation).__name__ in _SHAPE_KEEPING
            and step.inputs == (last,)
            and len(consumers[last]) == 1
            and type(steps[last].operation).__name__ != "InputLayer"
        )
        if joins:
            lines[-1].append(step)
        else:
            lines.append([step])
        line_numbers[key] = len(lines) - 1
        last = key
    return [
        NetworkLine(
            label=" \N{EN DASH} ".join(_label(step.operation) for step in line),
            kind=_kind(line[0]),
            output_shape=line[-1].output_shape,
            parameters=sum(_n_parameters(getattr(s.operation, "weights", [])) for s in line),
            inputs=tuple(sorted(line_numbers[key] for key in line[0].inputs)),
        )
        for line in lines
    ]


def _shape_of_one(output: Any) -> _Shape:
    first = output[0] if isinstance(output, list | tuple) else output
    return tuple(first.shape[1:])


def _kind(step: _Step) -> str:
    if len(step.inputs) > 1:
        return "merge"
    if hasattr(step.operation, "kernel_size"):
        return "convolution"
    if hasattr(step.operation, "units"):
        return "dense"
    return "pooling" if "Pool" in type(step.operation).__name__ else "other"


def _label(operation: Any) -> str:
    """Return a short description of a layer, such as "Conv 64, 3x3, stride 2"."""
    kind = type(operation).__name__
    if hasattr(operation, "layers"):
        return f"{operation.name} ({len(operation.layers)} layers)"
    activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
    if kind == "Activation":
        return activation
    window = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", ())
    sizes = [getattr(operation, size, None) for size in ("filters", "units")]
    details = [str(size) for size in sizes if size is not None]
    details += [_times(window)] if window else []
    if hasattr(operation, "kernel_size") and set(operation.strides) != {1}:
        strides = tuple(dict.fromkeys(operation.strides))  # one number if all are equal
        details.append(f"stride {_times(strides)}")
    if hasattr(operation, "rate"):
        details.append(f"{operation.rate:g}")
    details += [] if activation == "linear" else [activation]
    name = _SHORT_NAMES.get(kind, kind.removesuffix("2D"))
    return f"{name} {', '.join(details)}".strip()
