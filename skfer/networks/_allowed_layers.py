"""Layers and settings that a description of a network may hold, and limits on its size.

Keras's files name classes and functions that its loader calls, which has been exploited more than
once, also in safe mode. Here a layer must be in a table, and its settings must be plain data. The
module does not import Keras.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Layers with weights, and the initialisers of these weights. All are set when a network is built,
# so that no memory is allocated for a weight that its description lacks.
INITIALIZED = {
    "BatchNormalization": ("beta", "gamma", "moving_mean", "moving_variance"),
    "Conv2D": ("kernel", "bias"),
    "Conv2DTranspose": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "DepthwiseConv2D": ("depthwise", "bias"),
    "LayerNormalization": ("beta", "gamma"),
    "PReLU": ("alpha",),
    "SeparableConv2D": ("depthwise", "pointwise", "bias"),
}
_PLAIN = {
    "Activation", "ELU", "LeakyReLU", "ReLU", "Softmax",
    "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D",
    "Cropping2D", "Flatten", "Permute", "Reshape", "Resizing", "UpSampling2D", "ZeroPadding2D",
    "ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D",
    "CenterCrop", "Normalization", "Rescaling",
}  # fmt: skip
# Layers that take a list of tensors.
MERGING = {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"}
# Layers of keras.applications, which does not export them.
OF_APPLICATIONS = {"CustomScaleLayer": "keras.src.applications.inception_resnet_v2"}
LAYERS = {*INITIALIZED, *_PLAIN, *MERGING, *OF_APPLICATIONS}

SETTINGS = {
    "name", "trainable", "activation", "use_bias", "units", "filters", "depth_multiplier",
    "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
    "output_padding", "pool_size", "keepdims", "size", "interpolation", "cropping",
    "axis", "momentum", "epsilon", "center", "scale", "offset", "mean", "variance", "invert",
    "rate", "stddev", "noise_shape", "seed", "l1", "l2",
    "alpha", "negative_slope", "max_value", "threshold", "shared_axes",
    "target_shape", "dims", "height", "width", "crop_to_aspect_ratio", "pad_to_aspect_ratio",
    "fill_mode", "fill_value", "antialias",
}  # fmt: skip
DTYPES = {"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "uint8", "int32"}
_REGULARIZERS = {"L1", "L2", "L1L2"}
_CONSTRAINTS = {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}
# Settings without an effect on a built layer.
IGNORED = ("_initializer", "build_config", "renorm_momentum", "virtual_batch_size")
# Settings whose value is an object, by the last word of their names: "kernel_regularizer".
CLASSES = {"regularizer": _REGULARIZERS, "constraint": _CONSTRAINTS}

# Limits on numbers in the settings, above those of common networks. oneDNN ends the process for
# some larger ones, such as strides of 2**31 - 1.
_MAX_NUMBER = 1e6
_LIMITS = {
    **dict.fromkeys(("kernel_size", "dilation_rate", "strides", "size"), 64),
    **dict.fromkeys(("pool_size", "padding", "cropping", "groups"), 1024),
    **dict.fromkeys(("height", "width"), 4096),
    "seed": 2**64,
}

_PLAIN_TYPES = (bool, int, float, str, type(None))
MODELS = ("Functional", "Sequential")
# Operation that sorts outputs, of `from_keras`.
TAKE = "Take"

# Limits on a network, for one image. EfficientNetB7 at 224x224x3 has 816 layers, 145 million
# values and 5.4 billion multiply-adds; VGG16 has 3.2 million values in its largest layer.
MAX_LAYERS = 2000
_MAX_DEPTH = 8  # of nested models
MAX_LAYER_VALUES = 2**24
_MAX_VALUES = 2**28
_MAX_MULTIPLY_ADDS = 40_000_000_000


class NetworkLimits:
    """Limits on the values and multiply-adds of a network, for one image."""

    def __init__(self) -> None:
        self._n_values = 0
        self._multiply_adds = 0

    def count_input(self, shape: Sequence[int | None]) -> None:
        """Add the images of a network to the totals."""
        self.count({"name": "input"}, shape, [shape], [])

    def count(
        self,
        entry: dict[str, Any],
        shape: Sequence[int | None],
        input_shapes: Sequence[Sequence[int | None]],
        arrays: Sequence[np.ndarray],
    ) -> None:
        """Add a layer to the totals.

        Parameters
        ----------
        entry : dict
            Description of the layer.
        shape : sequence of int or None
            Shape of its output, without the batch; None is an unknown side.
        input_shapes : sequence of shapes
        arrays : sequence of ndarray
            Its weights.

        Raises
        ------
        ValueError
            If the totals exceed the limits.
        """
        size = _size(shape)
        self._n_values += size
        positions = max(size // (shape[-1] or 1), *(_size(sides[:-1]) for sides in input_shapes))
        window = math.prod(pair(entry.get("settings", {}).get("pool_size", 1)))
        self._multiply_adds += positions * sum(array.size for array in arrays) + size * window
        for count, limit, unit in (
            (size, MAX_LAYER_VALUES, "values in one layer"),
            (self._n_values, _MAX_VALUES, "values"),
            (self._multiply_adds, _MAX_MULTIPLY_ADDS, "multiply-adds"),
        ):
            if count > limit:
                raise ValueError(
                    f"its layer {entry['name']!r} exceeds the limit of {limit:,} {unit} for one "
                    "image"
                )


def check_n_layers(description: dict[str, Any]) -> None:
    """Raise an error if a network has too many layers, or too deep models inside models."""
    if (n_layers := count_layers(description)) > MAX_LAYERS:
        raise ValueError(f"it has {n_layers:,} layers; the limit is {MAX_LAYERS:,}")


def count_layers(description: dict[str, Any], depth: int = 0) -> int:
    """Return the number of layers, including those of nested models.

    Raises
    ------
    ValueError
        If there are models inside models beyond the limit.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"it has models inside models more than {_MAX_DEPTH} deep")
    inner = [entry["model"] for entry in description["layers"] if "model" in entry]
    return len(description["layers"]) + sum(count_layers(model, depth + 1) for model in inner)


def with_indices(description: dict[str, Any], function: Callable[[int], int]) -> dict[str, Any]:
    """Return a description whose weights have the indices that a function returns."""
    layers = []
    for entry in description["layers"]:
        layer = dict(entry)
        if "weights" in layer:
            layer["weights"] = [function(index) for index in layer["weights"]]
        if "model" in layer:
            layer["model"] = with_indices(layer["model"], function)
        layers.append(layer)
    return {**description, "layers": layers}


def finite_weights(entry: dict[str, Any], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the weights of a layer.

    Raises
    ------
    ValueError
        If one of them is not finite.
    """
    weights = [arrays[index] for index in entry["weights"]]
    for index, array in zip(entry["weights"], weights, strict=True):
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise ValueError(
                f"the weights {index:03}.npy of its layer {entry['name']!r} hold NaN or infinity"
            )
    return weights


def check_weights(description: dict[str, Any], arrays: Sequence[np.ndarray]) -> None:
    """Raise an error if a weight of a network is not finite."""
    for entry in description["layers"]:
        if "model" in entry:
            check_weights(entry["model"], arrays)
        elif "weights" in entry:
            finite_weights(entry, arrays)


def checked_settings(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a layer, within their limits.

    Raises
    ------
    ValueError
        If class or settings are not known, or a setting exceeds its limit.
    """
    check_known(kind, LAYERS, "class")
    checked: dict[str, Any] = {}
    for name, value in settings.items():
        ending = name.rpartition("_")[2]
        if name == "dtype":
            checked[name] = check_known(value, DTYPES, name)
        elif ending in CLASSES:
            inner = check_known(value["class"], CLASSES[ending], name)
            checked[name] = {"class": inner, "settings": plain_value(value["settings"], name)}
        elif name in SETTINGS:
            checked[name] = _within_limits(plain_value(value, name), name)
        else:
            raise ValueError(f"a layer {kind!r} with a setting {name!r} is not known")
    if kind == "Normalization" and checked.get("axis") not in (-1, 3, [-1], [3]):
        raise ValueError(f"a Normalization over the axis {checked.get('axis')!r} is not known")
    return checked


def _within_limits(value: Any, name: str) -> Any:
    """Return the value if the numbers in it are within the limits of that setting."""
    limit = _LIMITS.get(name, _MAX_NUMBER)
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if isinstance(number, list):
            _within_limits(number, name)
        elif isinstance(number, int | float) and not abs(number) <= limit:
            raise ValueError(f"its setting {name}={number!r} is beyond the limit of {limit:g}")
    return value


def check_known(value: Any, values: set[str], what: str) -> Any:
    """Return a word if it is one of the values."""
    if not isinstance(value, str) or value not in values:
        raise ValueError(f"{what}={value!r} is none of {', '.join(sorted(values))}")
    return value


def plain_value(value: Any, name: str) -> Any:
    """Return a value if it is made of numbers, words and lists."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, _PLAIN_TYPES):
        return value
    if isinstance(value, list | tuple):
        return [plain_value(item, name) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {str(key): plain_value(item, name) for key, item in value.items()}
    raise ValueError(f"its setting {name}={value!r} is not plain data")


def pair(value: Any) -> list[int]:
    """Return a setting for both sides as a list."""
    return [value, value] if isinstance(value, int) else list(value)


def _size(sides: Sequence[int | None]) -> int:
    return math.prod(side or 1 for side in sides)
