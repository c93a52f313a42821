"""ONNX graphs of networks, built from their descriptions without Keras or TensorFlow.

Feature maps are ``(batch, channels, height, width)`` in the graph and ``(batch, height, width,
channels)`` in Keras. Weights keep their values; kernels are transposed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from skfer.networks._allowed_layers import (
    LAYERS,
    MODELS,
    TAKE,
    NetworkLimits,
    check_n_layers,
    checked_settings,
    pair,
)

# Opset of 2021, which ONNX Runtime supports from 1.10 on and which has all that networks need.
OPSET = 15
INPUT = "images"

# Most images of a call, and most bytes of the largest array of a call, which stays near the caches.
MAX_IMAGES = 64
MAX_ARRAY_BYTES = 64e6

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
}
_POOLINGS = {
    f"{name}ing2D": name
    for name in ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
}
_MERGES = {
    "Add": "Add",
    "Average": "Add",
    "Multiply": "Mul",
    "Subtract": "Sub",
    "Maximum": "Max",
    "Minimum": "Min",
}
# Layers that change nothing in prediction.
_TRAINING_ONLY = {"ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise"}
_TRAINING_ONLY |= {"SpatialDropout2D"}


class UnsupportedLayerError(ValueError):
    """A layer that has no counterpart here."""


def build_onnx_model(
    networks: Mapping[str, tuple[dict[str, Any], Sequence[np.ndarray]]],
    *,
    half_precision: bool = False,
    limits: NetworkLimits | None = None,
) -> bytes:
    """Build the ONNX model of one or more described networks that take the same images.

    Parameters
    ----------
    networks : dict of str to (description, arrays)
        Name of each network, its layers as `describe_network` returns them, and their weights.
        Layers that are equal in all networks are stored once.
    half_precision : bool, default=False
        Whether kernels and matrices are stored in float16. Computations are in float32.
    limits : NetworkLimits, default=None
        Limits on a network of unknown origin, whose settings and weights are checked too.

    Returns
    -------
    bytes
        Serialized model. Its input ``images`` is float32, ``(batch, height, width, channels)``. Its
        outputs are called as the networks, and ``NAME/features`` is the input of the last layer
        with weights. The metadata hold the descriptions as JSON (``networks``) and the number of
        images of a call (``batch_size``).

    Raises
    ------
    UnsupportedLayerError
        If a layer or one of its settings is not supported. The message names it.
    ValueError
        If `limits` are exceeded.
    """
    (shape,) = {input_shape(description) for description, _ in networks.values()}
    if limits is not None:
        limits.count_input(shape)
        for description, _ in networks.values():
            check_n_layers(description)
    builder = _GraphBuilder(half_precision, limits)
    outputs, metadata = [], {}
    for name, (description, arrays) in networks.items():
        result, features, weights = builder.network(
            description, arrays, _Tensor(INPUT, shape, channels_last=True)
        )
        metadata[name] = {"description": description, "weights": weights}
        for tensor, output in ((result, name), (features, f"{name}/features")):
            builder.nodes.append(
                helper.make_node("Identity", [builder.channels_last(tensor)], [output])
            )
            sides = ["batch", *tensor.shape]
            outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, sides))
    graph = helper.make_graph(
        builder.nodes,
        "skfer",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *shape])],
        outputs,
        builder.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="skfer",
    )
    properties = {"networks": json.dumps(metadata), "batch_size": str(builder.batch_size())}
    helper.set_model_props(model, properties)
    return model.SerializeToString()


def read_onnx_model(model: bytes, name: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the description and the weights of a network in a model of `build_onnx_model`.

    Parameters
    ----------
    model : bytes
    name : str
        Name of the network.

    Returns
    -------
    description : dict
    arrays : list of ndarray, float32
    """
    parsed = onnx.load_model_from_string(model)
    metadata = {entry.key: entry.value for entry in parsed.metadata_props}
    network = json.loads(metadata["networks"])[name]
    stored = {tensor.name: tensor for tensor in parsed.graph.initializer}
    arrays = [numpy_helper.to_array(stored[weight]) for weight in network["weights"]]
    return network["description"], [array.astype(np.float32) for array in arrays]


class _Tensor:
    """A tensor of the graph with its shape in Keras, without the batch."""

    def __init__(self, name: str, shape: Sequence[int], *, channels_last: bool = False):
        self.name = name
        self.shape = tuple(shape)
        # Of feature maps only: whether the graph holds them as Keras does.
        self.channels_last = channels_last


class _Weight:
    """A weight in the graph, with its shape in Keras."""

    def __init__(self, name: str, shape: tuple[int, ...]):
        self.name = name
        self.shape = shape


class _GraphBuilder:
    """Collects nodes and initializers. Equal ones are shared."""

    def __init__(self, half_precision: bool, limits: NetworkLimits | None):
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._half_precision = half_precision
        self._limits = limits
        self._names: dict[Any, str] = {}
        self._arrays: Sequence[np.ndarray] = ()
        self._largest = 1  # number of values of the largest layer
        self._features: _Tensor | None = None

    def network(
        self, description: dict[str, Any], arrays: Sequence[np.ndarray], images: _Tensor
    ) -> tuple[_Tensor, _Tensor, list[str]]:
        """Add a network; return its output, its features and the names of its weights."""
        self._arrays, self._features = arrays, None
        weights = [self._stored(array) for array in arrays]
        result = self.model(description, images)
        features = self._features or images
        if len(features.shape) == 3:
            features = self._global_pooling("GlobalAveragePooling2D", {}, features)
        return result, features, weights

    def batch_size(self) -> int:
        """Return the number of images whose largest layer stays near the caches."""
        return max(1, min(MAX_IMAGES, int(MAX_ARRAY_BYTES / (4 * self._largest))))

    # Nodes and constants

    def node(self, operation: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        key = (operation, *inputs, repr(sorted(attributes.items())))
        if key not in self._names:
            self._names[key] = f"t{len(self._names)}"
            node = helper.make_node(operation, list(inputs), [self._names[key]], **attributes)
            self.nodes.append(node)
        return self._names[key]

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant and return its name."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._names:
            self._names[key] = f"c{len(self._names)}"
            tensor = numpy_helper.from_array(np.ascontiguousarray(array), self._names[key])
            tensor.ClearField("dims")  # ascontiguousarray makes a number an array of one axis
            tensor.dims.extend(array.shape)
            self.initializers.append(tensor)
        return self._names[key]

    def _stored(self, array: np.ndarray) -> str:
        """Add a weight and return the name of its initializer."""
        half = self._half_precision and array.ndim > 1
        return self.constant(array, np.float16 if half else np.float32)

    def _weight(self, index: int) -> _Weight:
        array = self._arrays[index]
        name = self._stored(array)
        if self._half_precision and array.ndim > 1:
            name = self.node("Cast", [name], to=TensorProto.FLOAT)
        return _Weight(name, array.shape)

    def arranged(
        self, weight: _Weight, axes: Sequence[int] | None, shape: Sequence[int] | None = None
    ) -> str:
        """Return the name of a weight with transposed axes and another shape."""
        name = weight.name
        if axes is not None:
            name = self.node("Transpose", [name], perm=list(axes))
        if shape is not None:
            name = self.node("Reshape", [name, self.constant(shape, np.int64)])
        return name

    def channels_last(self, tensor: _Tensor) -> str:
        """Return the name of a tensor in the order of Keras."""
        if len(tensor.shape) != 3 or tensor.channels_last:
            return tensor.name
        return self.node("Transpose", [tensor.name], perm=_TO_NHWC)

    def channels_first(self, tensor: _Tensor) -> _Tensor:
        if len(tensor.shape) != 3 or not tensor.channels_last:
            return tensor
        return _Tensor(self.node("Transpose", [tensor.name], perm=_TO_NCHW), tensor.shape)

    # Models and layers

    def model(self, description: dict[str, Any], images: _Tensor) -> _Tensor:
        """Add the layers of a model and return its output."""
        if description["class"] not in MODELS:
            raise UnsupportedLayerError(f"{description['class']!r:.80} is none of {MODELS}")
        if description["class"] == "Sequential":
            for entry in description["layers"]:
                images = self.layer(entry, [images])
            return images
        tensors: dict[str, _Tensor] = {}
        for entry in description["layers"]:
            if entry["name"] in tensors:
                raise ValueError(f"two of its layers are called {entry['name']!r:.80}")
            is_input = entry.get("class") == "InputLayer"
            tensors[entry["name"]] = (
                images if is_input else self.layer(entry, [tensors[name] for name in entry["from"]])
            )
        return tensors[description["output"]]

    def layer(self, entry: dict[str, Any], inputs: list[_Tensor]) -> _Tensor:
        """Add a layer and return its output."""
        if "model" in entry:
            return self.model(entry["model"], inputs[0])
        kind = entry["class"]
        if kind not in LAYERS and kind != TAKE:
            raise UnsupportedLayerError(f"the layer {entry['name']!r} is a {kind!r:.80}")
        if entry.get("training") and (kind == "BatchNormalization" or kind in _TRAINING_ONLY):
            raise UnsupportedLayerError(f"the layer {entry['name']!r} trains during prediction")
        settings = entry.get("settings", entry)
        if self._limits is not None and kind != TAKE:
            settings = checked_settings(kind, settings)
        if settings.get("data_format") == "channels_first":
            raise UnsupportedLayerError(f"the layer {entry['name']!r} has the channels first")
        if "16" in str(settings.get("dtype")):
            raise UnsupportedLayerError(f"the layer {entry['name']!r} computes in 16 bits")
        if kind in _TRAINING_ONLY:
            return inputs[0]
        add: Callable[..., _Tensor] | None = getattr(self, f"_{kind}", None)
        if add is None and kind not in {*_POOLINGS, *_MERGES}:
            raise UnsupportedLayerError(f"the layer {entry['name']!r} is a {kind}")
        inputs = [self.channels_first(tensor) for tensor in inputs]
        indices = entry.get("weights", ())
        if indices:
            self._features = inputs[0]
        weights = [self._weight(index) for index in indices]
        try:
            if kind in _POOLINGS:
                pool = self._global_pooling if kind.startswith("Global") else self._pooling
                result = pool(kind, settings, inputs[0])
            elif kind in _MERGES:
                result = self._merge(kind, *inputs)
            else:
                assert add is not None
                result = add(settings, *inputs, *weights)
        except UnsupportedLayerError as error:
            raise UnsupportedLayerError(f"the layer {entry['name']!r} ({kind}): {error}") from None
        self._largest = max(self._largest, math.prod(result.shape))
        if self._limits is not None:
            arrays = [self._arrays[index] for index in indices]
            self._limits.count(entry, result.shape, [tensor.shape for tensor in inputs], arrays)
        return result

    def _merge(self, kind: str, *inputs: _Tensor) -> _Tensor:
        _require(len({len(tensor.shape) for tensor in inputs}) == 1, "its inputs differ in rank")
        shape = np.broadcast_shapes(*(tensor.shape for tensor in inputs))
        operation = _MERGES[kind]
        result = inputs[0].name
        for tensor in inputs[1:]:
            result = self.node(operation, [result, tensor.name])
        if kind == "Average":
            result = self.node("Div", [result, self.constant(len(inputs))])
        return _Tensor(result, shape)

    def activation(self, name: str | None, tensor: _Tensor) -> _Tensor:
        """Add an activation by its name in Keras."""
        x = tensor.name
        if name in (None, "linear"):
            return tensor
        if name == "softmax":
            result = self.node("Softmax", [x], axis=1)
        elif name in ("swish", "silu"):
            result = self.node("Mul", [x, self.node("Sigmoid", [x])])
        elif name == "relu6":
            result = self.node("Clip", [x, self.constant(0), self.constant(6)])
        elif name == "gelu":
            scaled = self.node("Div", [x, self.constant(math.sqrt(2))])
            erf = self.node("Add", [self.node("Erf", [scaled]), self.constant(1)])
            half = self.node("Mul", [x, self.constant(0.5)])
            result = self.node("Mul", [half, erf])
        elif name in _ACTIVATIONS:
            operation, attributes = _ACTIVATIONS[name]
            result = self.node(operation, [x], **attributes)
        else:
            raise UnsupportedLayerError(f"its activation is {name!r}")
        return _Tensor(result, tensor.shape)

    # Convolutions and dense layers

    def _Conv2D(self, settings: dict, x: _Tensor, kernel: _Weight, *bias: _Weight) -> _Tensor:
        height, width, n_inputs, n_outputs = kernel.shape
        groups = settings.get("groups", 1)
        _require(settings.get("filters", n_outputs) == n_outputs, "its kernel does not fit")
        _require(pair(settings["kernel_size"]) == [height, width], "its kernel does not fit")
        _require(n_inputs * groups == x.shape[2], "its kernel does not fit its input")
        weights = self.arranged(kernel, (3, 2, 0, 1))
        return self._convolution(settings, x, weights, (height, width), n_outputs, groups, bias)

    def _DepthwiseConv2D(
        self, settings: dict, x: _Tensor, kernel: _Weight, *bias: _Weight
    ) -> _Tensor:
        height, width, n_inputs, multiplier = kernel.shape
        _require(n_inputs == x.shape[2], "its kernel does not fit its input")
        _require(pair(settings["kernel_size"]) == [height, width], "its kernel does not fit")
        n_outputs = n_inputs * multiplier
        weights = self.arranged(kernel, (2, 3, 0, 1), (n_outputs, 1, height, width))
        return self._convolution(settings, x, weights, (height, width), n_outputs, n_inputs, bias)

    def _SeparableConv2D(
        self, settings: dict, x: _Tensor, depthwise: _Weight, pointwise: _Weight, *bias: _Weight
    ) -> _Tensor:
        x = self._DepthwiseConv2D(settings | {"activation": None}, x, depthwise)
        settings = settings | {"strides": 1, "dilation_rate": 1, "groups": 1, "kernel_size": 1}
        return self._Conv2D(settings, x, pointwise, *bias)

    def _convolution(
        self,
        settings: dict,
        x: _Tensor,
        kernel: str,
        size: tuple[int, int],
        n_outputs: int,
        groups: int,
        bias: Sequence[_Weight],
    ) -> _Tensor:
        strides, dilations = pair(settings["strides"]), pair(settings["dilation_rate"])
        reach = [1 + (side - 1) * gap for side, gap in zip(size, dilations, strict=True)]
        sides, pads = _window(x.shape[:2], reach, strides, settings["padding"])
        _require_bias(bias, n_outputs)
        _require(min(dilations) > 0 and groups > 0, "its dilation or its groups are not positive")
        result = self.node(
            "Conv",
            [x.name, kernel, *(weight.name for weight in bias)],
            kernel_shape=list(size),
            strides=strides,
            dilations=dilations,
            group=groups,
            pads=pads,
        )
        return self.activation(settings.get("activation"), _Tensor(result, (*sides, n_outputs)))

    def _Dense(self, settings: dict, x: _Tensor, kernel: _Weight, *bias: _Weight) -> _Tensor:
        n_inputs, n_outputs = kernel.shape
        _require(n_inputs == x.shape[-1], "its kernel does not fit its input")
        _require(settings["units"] == n_outputs, "its kernel does not fit")
        _require_bias(bias, n_outputs)
        if len(x.shape) == 3:  # a convolution of single pixels
            weights = self.arranged(kernel, (1, 0), (n_outputs, n_inputs, 1, 1))
            options = {"strides": 1, "dilation_rate": 1, "padding": "valid"}
            options["activation"] = settings.get("activation")
            return self._convolution(options, x, weights, (1, 1), n_outputs, 1, bias)
        inputs = [x.name, kernel.name, *(weight.name for weight in bias)]
        result = _Tensor(self.node("Gemm", inputs), (n_outputs,))
        return self.activation(settings.get("activation"), result)

    # Normalisation and scaling

    def _BatchNormalization(self, settings: dict, x: _Tensor, *weights: _Weight) -> _Tensor:
        _require_last_axis(settings, x)
        size = (x.shape[-1],)
        _require(all(weight.shape == size for weight in weights), "its weights do not fit")
        names = [weight.name for weight in weights]
        gamma = names.pop(0) if settings.get("scale", True) else self.constant(np.ones(size))
        beta = names.pop(0) if settings.get("center", True) else self.constant(np.zeros(size))
        mean, variance = names
        inputs = [x.name, gamma, beta, mean, variance]
        result = self.node("BatchNormalization", inputs, epsilon=float(settings["epsilon"]))
        return _Tensor(result, x.shape)

    def _LayerNormalization(self, settings: dict, x: _Tensor, *weights: _Weight) -> _Tensor:
        axes = sorted(axis % (len(x.shape) + 1) for axis in _list(settings["axis"]))
        _require(not weights or axes == [len(x.shape)], f"it has weights over the axes {axes}")
        axes = [_axis(axis, x) for axis in axes]
        mean = self.node("ReduceMean", [x.name], axes=axes, keepdims=1)
        centred = self.node("Sub", [x.name, mean])
        square = self.node("Mul", [centred, centred])
        variance = self.node("ReduceMean", [square], axes=axes, keepdims=1)
        shifted = self.node("Add", [variance, self.constant(settings["epsilon"])])
        result = self.node("Div", [centred, self.node("Sqrt", [shifted])])
        values = list(weights)
        if settings.get("scale", True):
            result = self.node("Mul", [result, self._per_channel(values.pop(0), x)])
        if settings.get("center", True):
            result = self.node("Add", [result, self._per_channel(values.pop(0), x)])
        return _Tensor(result, x.shape)

    def _Normalization(self, settings: dict, x: _Tensor, *weights: _Weight) -> _Tensor:
        _require_last_axis(settings, x)
        _require(not settings.get("invert"), "it is inverted")
        mean, variance = settings.get("mean"), settings.get("variance")
        if mean is None:
            _require(len(weights) > 1, "it has no mean")
            mean, variance = weights[:2]
        result = self.node("Sub", [x.name, self._per_channel(mean, x)])
        deviation = self.node("Sqrt", [self._per_channel(variance, x)])
        deviation = self.node("Max", [deviation, self.constant(1e-7)])
        return _Tensor(self.node("Div", [result, deviation]), x.shape)

    def _Rescaling(self, settings: dict, x: _Tensor) -> _Tensor:
        result = self.node("Mul", [x.name, self._per_channel(settings["scale"], x)])
        offset = self._per_channel(settings["offset"], x)
        return _Tensor(self.node("Add", [result, offset]), x.shape)

    def _CustomScaleLayer(self, settings: dict, x: _Tensor, y: _Tensor) -> _Tensor:
        scaled = self.node("Mul", [y.name, self.constant(settings["scale"])])
        return _Tensor(self.node("Add", [x.name, scaled]), x.shape)

    def _per_channel(self, values: Any, x: _Tensor) -> str:
        """Return the name of numbers that are broadcast over the pixels of a feature map."""
        ones = (1,) * (len(x.shape) - 1)
        if isinstance(values, _Weight):
            size = math.prod(values.shape)
            _require(size in (1, x.shape[-1]), "its weights do not fit")
            return self.arranged(values, None, (size, *ones))
        array = np.asarray(values, np.float32)
        _require(array.size in (1, x.shape[-1]), "its numbers do not fit its input")
        return self.constant(array.reshape(()) if array.size == 1 else array.reshape(-1, *ones))

    # Activations

    def _Activation(self, settings: dict, x: _Tensor) -> _Tensor:
        return self.activation(settings["activation"], x)

    def _Softmax(self, settings: dict, x: _Tensor) -> _Tensor:
        _require_last_axis(settings, x)
        return self.activation("softmax", x)

    def _ReLU(self, settings: dict, x: _Tensor) -> _Tensor:
        limit, slope = settings.get("max_value"), settings.get("negative_slope", 0)
        if settings.get("threshold"):
            raise UnsupportedLayerError("it has a threshold")
        if slope:
            result = self.node("LeakyRelu", [x.name], alpha=float(slope))
        else:
            result = self.node("Relu", [x.name])
        if limit is not None:
            result = self.node("Min", [result, self.constant(limit)])
        return _Tensor(result, x.shape)

    def _LeakyReLU(self, settings: dict, x: _Tensor) -> _Tensor:
        slope = float(settings["negative_slope"])
        return _Tensor(self.node("LeakyRelu", [x.name], alpha=slope), x.shape)

    def _ELU(self, settings: dict, x: _Tensor) -> _Tensor:
        return _Tensor(self.node("Elu", [x.name], alpha=float(settings["alpha"])), x.shape)

    def _PReLU(self, settings: dict, x: _Tensor, alpha: _Weight) -> _Tensor:
        slope = self.arranged(alpha, (2, 0, 1)) if len(alpha.shape) == 3 else alpha.name
        return _Tensor(self.node("PRelu", [x.name, slope]), x.shape)

    # Pooling

    def _pooling(self, kind: str, settings: dict, x: _Tensor) -> _Tensor:
        size, strides = pair(settings["pool_size"]), pair(settings["strides"])
        sides, pads = _window(x.shape[:2], size, strides, settings["padding"])
        windows = {"kernel_shape": size, "strides": strides, "pads": pads}
        result = self.node(_POOLINGS[kind], [x.name], **windows)
        return _Tensor(result, (*sides, x.shape[2]))

    def _global_pooling(self, kind: str, settings: dict, x: _Tensor) -> _Tensor:
        pooled = self.node(_POOLINGS[kind], [x.name])
        if settings.get("keepdims"):
            return _Tensor(pooled, (1, 1, x.shape[2]))
        return _Tensor(self.node("Flatten", [pooled]), x.shape[2:])

    # Shapes

    def _Flatten(self, settings: dict, x: _Tensor) -> _Tensor:
        return _Tensor(self.node("Flatten", [self.channels_last(x)]), (math.prod(x.shape),))

    def _Reshape(self, settings: dict, x: _Tensor) -> _Tensor:
        shape = [int(side) for side in settings["target_shape"]]
        known = math.prod(side for side in shape if side != -1)
        shape = [math.prod(x.shape) // known if side == -1 else side for side in shape]
        if len(shape) not in (1, 3):
            raise UnsupportedLayerError(f"its shape is {shape}")
        target = self.constant([-1, *shape], np.int64)
        reshaped = self.node("Reshape", [self.channels_last(x), target])
        return self.channels_first(_Tensor(reshaped, shape, channels_last=True))

    def _Concatenate(self, settings: dict, *inputs: _Tensor) -> _Tensor:
        first = inputs[0]
        axis = settings.get("axis", -1) % (len(first.shape) + 1)
        shape = list(first.shape)
        shape[axis - 1] = sum(tensor.shape[axis - 1] for tensor in inputs)
        names = [tensor.name for tensor in inputs]
        return _Tensor(self.node("Concat", names, axis=_axis(axis, first)), shape)

    def _ZeroPadding2D(self, settings: dict, x: _Tensor) -> _Tensor:
        (top, bottom), (left, right) = settings["padding"]
        pads = self.constant([0, 0, top, left, 0, 0, bottom, right], np.int64)
        height, width, n_channels = x.shape
        shape = (height + top + bottom, width + left + right, n_channels)
        return _Tensor(self.node("Pad", [x.name, pads]), shape)

    def _Cropping2D(self, settings: dict, x: _Tensor) -> _Tensor:
        (top, bottom), (left, right) = settings["cropping"]
        height, width, n_channels = x.shape
        bounds = ([top, left], [height - bottom, width - right], [2, 3])
        names = [self.constant(values, np.int64) for values in bounds]
        shape = (height - top - bottom, width - left - right, n_channels)
        return _Tensor(self.node("Slice", [x.name, *names]), shape)

    def _UpSampling2D(self, settings: dict, x: _Tensor) -> _Tensor:
        if settings.get("interpolation", "nearest") != "nearest":
            raise UnsupportedLayerError(f"its interpolation is {settings['interpolation']!r}")
        rows, columns = pair(settings["size"])
        height, width, n_channels = x.shape
        return self._resized(x, (height * rows, width * columns, n_channels), mode="nearest")

    def _Resizing(self, settings: dict, x: _Tensor) -> _Tensor:
        changes = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
        if settings.get("interpolation") != "bilinear" or any(map(settings.get, changes)):
            raise UnsupportedLayerError("it is not plain bilinear")
        return self._resized(x, (settings["height"], settings["width"], x.shape[2]), mode="linear")

    def _resized(self, x: _Tensor, shape: tuple[int, ...], mode: str) -> _Tensor:
        # Sizes, because the product of a side and a scale is truncated after rounding.
        batch_and_channels = self.node("Shape", [x.name], end=2)
        sides = self.constant(shape[:2], np.int64)
        sizes = self.node("Concat", [batch_and_channels, sides], axis=0)
        modes = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
        result = self.node("Resize", [x.name, "", "", sizes], **modes)
        return _Tensor(result, shape)

    def _Take(self, settings: dict, x: _Tensor) -> _Tensor:
        if settings["axis"] not in (-1, len(x.shape)):
            raise UnsupportedLayerError(f"its axis is {settings['axis']}")
        indices = self.constant(settings["indices"], np.int64)
        shape = (*x.shape[:-1], len(settings["indices"]))
        return _Tensor(self.node("Gather", [x.name, indices], axis=1), shape)


def input_shape(description: dict[str, Any]) -> tuple[int, ...]:
    """Return the height, width and channels of the images that a described network takes."""
    shape = description.get("shape")
    if shape is None:
        layers = {entry["name"]: entry for entry in description["layers"]}
        shape = layers[description["input"]]["shape"]
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        raise UnsupportedLayerError(f"its input has the shape {shape}")
    return tuple(shape)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise UnsupportedLayerError(problem)


def _require_bias(bias: Sequence[_Weight], n_outputs: int) -> None:
    _require([weight.shape for weight in bias] in ([], [(n_outputs,)]), "its bias does not fit")


def _window(
    sides: Sequence[int], sizes: Sequence[int], strides: Sequence[int], padding: str
) -> tuple[list[int], list[int]]:
    """Return the sides of the output of a moving window, and its padding in ONNX's order."""
    _require(min(*sizes, *strides) > 0, "its window or its strides are not positive")
    results, before, after = [], [], []
    for side, size, stride in zip(sides, sizes, strides, strict=True):
        if padding == "same":
            result = -(-side // stride)
            total = max((result - 1) * stride + size - side, 0)
        elif padding == "valid":
            result, total = (side - size) // stride + 1, 0
        else:
            raise UnsupportedLayerError(f"its padding is {padding!r}")
        _require(result > 0, "its input is smaller than its window")
        results.append(result)
        before.append(total // 2)
        after.append(total - total // 2)
    return results, before + after


def _axis(axis: int, x: _Tensor) -> int:
    """Return the axis in the graph for an axis in Keras."""
    return {1: 2, 2: 3, 3: 1}[axis] if len(x.shape) == 3 else axis


def _require_last_axis(settings: dict, x: _Tensor) -> None:
    axes = _list(settings.get("axis", -1))
    _require(axes in ([-1], [len(x.shape)]), f"its axis is {axes}")


def _list(value: Any) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]
