"""Layers that a model file may hold, and their settings.

Keras's files name classes and functions that its loader calls, which has been exploited more than
once, also in safe mode. Here a layer must be in a table, and its settings must be plain data.
"""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from typing import Any

import keras
import numpy as np

# Layers with weights, and the initialisers of these weights. All are set when a file is read, so
# that no memory is allocated for a weight that the file does not hold.
_INITIALIZED = {
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
    *("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax"),
    *("AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "MaxPooling2D"),
    *("Cropping2D", "Flatten", "Permute", "Reshape", "Resizing", "UpSampling2D", "ZeroPadding2D"),
    *("ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"),
    *("CenterCrop", "Normalization", "Rescaling"),
}
# Layers that take a list of tensors.
MERGING = {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"}
# Layers of keras.applications, which does not export them.
_OF_APPLICATIONS = {"CustomScaleLayer": "keras.src.applications.inception_resnet_v2"}
LAYERS = {*_INITIALIZED, *_PLAIN, *MERGING, *_OF_APPLICATIONS}

_SETTINGS = {
    *("name", "trainable", "activation", "use_bias", "units", "filters", "depth_multiplier"),
    *("kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups"),
    *("output_padding", "pool_size", "keepdims", "size", "interpolation", "cropping"),
    *("axis", "momentum", "epsilon", "center", "scale", "offset", "mean", "variance", "invert"),
    *("rate", "stddev", "noise_shape", "seed", "l1", "l2"),
    *("alpha", "negative_slope", "max_value", "threshold", "shared_axes"),
    *("target_shape", "dims", "height", "width", "crop_to_aspect_ratio", "pad_to_aspect_ratio"),
    *("fill_mode", "fill_value", "antialias"),
}
_DTYPES = {"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "uint8", "int32"}
_REGULARIZERS = {"L1", "L2", "L1L2"}
_CONSTRAINTS = {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}
# Settings without an effect on a built layer.
_IGNORED = ("_initializer", "build_config", "renorm_momentum", "virtual_batch_size")
_CLASSES = {"_regularizer": _REGULARIZERS, "_constraint": _CONSTRAINTS}
_MODULES = {"_regularizer": keras.regularizers, "_constraint": keras.constraints}

# Limits on numbers in the settings, above those of common networks. oneDNN ends the process for
# some larger ones, such as strides of 2**31 - 1.
_MAX_NUMBER = 1e6
_LIMITS = {
    **dict.fromkeys(("kernel_size", "dilation_rate", "strides", "size"), 64),
    **dict.fromkeys(("pool_size", "padding", "cropping", "groups"), 1024),
    **dict.fromkeys(("height", "width"), 4096),
    "seed": 2**64,
}

PLAIN_VALUES = (bool, int, float, str, type(None))


def layer_settings(config: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the settings of a layer as plain data, from the config that Keras writes."""
    defaults = inspect.signature(_class(kind).__init__).parameters
    settings: dict[str, Any] = {}
    for name, value in config.items():
        ending = next((end for end in _CLASSES if name.endswith(end)), None)
        if name == "dtype":
            settings[name] = _known(_dtype_name(value), _DTYPES, "dtype")
        elif ending and value is not None:
            inner = value["config"] if isinstance(value, dict) else {}
            _known(value.get("class_name"), _CLASSES[ending], name)
            settings[name] = {"class": value["class_name"], "settings": _checked(inner, name)}
        elif name in _SETTINGS:
            settings[name] = _checked(value, name)
        elif not ending and not name.endswith(_IGNORED):
            # A setting of a newer Keras is ignored if it has its default.
            default = defaults[name].default if name in defaults else None
            if value != default and value not in (None, False, {}):
                raise ValueError(f"its setting {name}={value!r} is not known to skfer's files")
    return settings


def new_layer(kind: str, settings: dict[str, Any], shapes: list[tuple[int, ...]]) -> keras.Layer:
    """Build a layer from settings of `layer_settings`, with weights of these shapes only."""
    _known(kind, LAYERS, "class")
    parameters: dict[str, Any] = {}
    for name, value in settings.items():
        ending = next((end for end in _CLASSES if name.endswith(end)), None)
        if name == "dtype":
            parameters[name] = _known(value, _DTYPES, name)
        elif ending:
            inner = _known(value["class"], _CLASSES[ending], name)
            parameters[name] = getattr(_MODULES[ending], inner)(**_checked(value["settings"], name))
        elif name in _SETTINGS:
            parameters[name] = _within_limits(_checked(value, name), name)
        else:
            raise ValueError(f"a layer {kind!r} with a setting {name!r} is not known")
    if kind == "Normalization" and parameters.get("axis") not in (-1, 3, [-1], [3]):
        raise ValueError(f"a Normalization over the axis {parameters.get('axis')!r} is not known")
    expected = _LimitedZeros(shapes)
    for weight in _INITIALIZED.get(kind, ()):
        parameters[f"{weight}_initializer"] = expected
    return _class(kind)(**parameters)


class _LimitedZeros(keras.initializers.Initializer):
    """Zeros of the given shapes, each as often as it is given; others are an error."""

    def __init__(self, shapes: list[tuple[int, ...]]):
        self._left = Counter(shapes)

    def __call__(self, shape: Any, dtype: Any = None, **options: Any) -> Any:
        shape = tuple(map(int, shape))
        if not self._left[shape]:
            raise ValueError(f"a layer wants weights of shape {shape}, which are not in the file")
        self._left[shape] -= 1
        return keras.ops.zeros(shape, dtype or "float32")

    def clone(self) -> _LimitedZeros:
        """Return the object itself: layers copy initialisers, and weights are counted once."""
        return self


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


def _class(kind: str) -> Any:
    if kind in _OF_APPLICATIONS:
        return getattr(importlib.import_module(_OF_APPLICATIONS[kind]), kind)
    return getattr(keras.layers, kind)


def _known(value: Any, known: set[str], what: str) -> Any:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{what}={value!r} is none of {', '.join(sorted(known))}")
    return value


def _dtype_name(value: Any) -> Any:
    return value["config"].get("name") if isinstance(value, dict) else value


def _checked(value: Any, name: str) -> Any:
    """Return the value if it is plain data."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, PLAIN_VALUES):
        return value
    if isinstance(value, list | tuple):
        return [_checked(item, name) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {str(key): _checked(item, name) for key, item in value.items()}
    raise ValueError(f"its setting {name}={value!r} is no plain data")
