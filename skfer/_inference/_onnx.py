"""Prediction with ONNX Runtime, in float32 and in 8 bits."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import joblib
import keras
import numpy as np
import tensorflow as tf

from skfer._inference._keras import KerasBackend, Predict, largest_batch, network_function
from skfer._utils import missing_package, threads_allowed
from skfer.datasets import make_faces

if TYPE_CHECKING:
    import onnx
    import onnxruntime

# Opset of 2021, which ONNX Runtime supports from 1.10 on and which has all that networks need.
OPSET = 15
_CONVERSION_LOCK = threading.Lock()  # tf2onnx numbers the nodes of all conversions in one counter

_CALIBRATION_FACES = 256
_CALIBRATION_BATCH = 32
# Operations on feature maps. Vectors, which cost little, and probabilities stay in float32.
_QUANTIZED = ["Add", "AveragePool", "Concat", "Conv", "Flatten", "GlobalAveragePool", "MaxPool"]
_QUANTIZED += ["Mul", "Relu", "Reshape", "Sigmoid", "Squeeze", "Transpose"]


class OnnxBackend(KerasBackend):
    """A network as a session of ONNX Runtime, in memory.

    The session is created in the first call, and again when the weights change. It uses all cores,
    or as many threads as ``OMP_NUM_THREADS`` says, which joblib sets in its workers.
    """

    def __init__(
        self,
        network: keras.Model,
        views: str | None = None,
        pixel_range: tuple[float, float] = (0.0, 255.0),
    ):
        require_onnx("backend='onnx'", "onnx", "tf2onnx", "onnxruntime")
        super().__init__(network, views, pixel_range)

    def _compile(self, dtype: np.dtype) -> tuple[Predict, int]:
        call = network_function(self._network, self.views)
        function = tf.function(lambda images: {"answers": call(images)})
        spec = tf.TensorSpec(self._network.input_shape, dtype, name="images")
        model = self._serialize(convert_to_onnx(function, spec), dtype)
        session = create_session(model, threads_allowed() or joblib.cpu_count())
        batch_size = largest_batch(function.get_concrete_function(spec))
        return lambda images: run_session(session, images), batch_size

    def _serialize(self, model: onnx.ModelProto, dtype: np.dtype) -> bytes:
        return model.SerializeToString()


class QuantizedBackend(OnnxBackend):
    """An `OnnxBackend` in 8 bits, calibrated on drawn faces."""

    def _serialize(self, model: onnx.ModelProto, dtype: np.dtype) -> bytes:
        faces = _calibration_faces(self._network.input_shape[1:], dtype, self.pixel_range)
        return _quantize(model, faces)


def require_onnx(needed_by: str, *packages: str) -> None:
    """Raise the error that says what to install, if a package is missing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_package(missing[0], needed_by, "onnx")


def convert_to_onnx(
    function: Callable[..., dict[str, tf.Tensor]],
    spec: tf.TensorSpec,
    axes: tuple[str, ...] = ("batch",),
) -> onnx.ModelProto:
    """Convert a TensorFlow function of a batch to an ONNX model."""
    with _CONVERSION_LOCK, _silent("tf2onnx", "tensorflow"):
        import tf2onnx

        model, _ = tf2onnx.convert.from_function(function, [spec], opset=OPSET)
    for value in (model.graph.input[0], model.graph.output[0]):
        for axis, name in zip(value.type.tensor_type.shape.dim, axes, strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    return model


def create_session(model: bytes | str, n_threads: int) -> onnxruntime.InferenceSession:
    """Create a session of ONNX Runtime on the CPU, which logs errors only."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    # Waiting threads sleep: they share the cores with TensorFlow and other sessions.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_session(session: Any, images: Any) -> Any:
    """Return the only output of a session for its only input."""
    (output,) = session.run(None, {session.get_inputs()[0].name: images})
    return output


def _quantize(model: onnx.ModelProto, images: np.ndarray) -> bytes:
    """Return a serialized model that computes feature maps in 8 bits (Jacob et al. 2018).

    Weights have a scale for each channel. Activations are scaled to their range for `images`.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            starts = range(0, len(images), _CALIBRATION_BATCH)
            self._batches = iter([images[i : i + _CALIBRATION_BATCH] for i in starts])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {model.graph.input[0].name: batch}

    # The quantizer recommends a preparation, which is done, through the root logger.
    with tempfile.TemporaryDirectory() as folder, _silent(""):
        paths = [Path(folder, f"{name}.onnx") for name in ("float", "folded", "int8")]
        paths[0].write_bytes(model.SerializeToString())
        # Folds batch normalisation into the convolutions.
        quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
        quantization.quantize_static(
            paths[1],
            paths[2],
            Calibration(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            # Weights of 7 bits. Processors without VNNI add products in 16 bits, and sums of 8-bit
            # weights saturate: 12 % of the labels of FER2013's PublicTest changed on one.
            reduce_range=True,
            op_types_to_quantize=_QUANTIZED,
        )
        return paths[2].read_bytes()


def _calibration_faces(
    shape: tuple[int, int, int], dtype: np.dtype, pixel_range: tuple[float, float]
) -> np.ndarray:
    """Return drawn faces of a shape and dtype; floats are in `pixel_range`."""
    height, width, channels = shape
    side = max(height, width, 16)
    faces = make_faces(_CALIBRATION_FACES, size=side, color=channels == 3, random_state=0).images
    if (height, width) != (side, side):
        faces = np.stack(
            [cv2.resize(face, (width, height), interpolation=cv2.INTER_AREA) for face in faces]
        )
    faces = faces.reshape(len(faces), height, width, -1)
    if dtype == np.uint8:
        return faces
    low, high = pixel_range
    return (low + faces * ((high - low) / 255)).astype(dtype)


@contextlib.contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Let loggers report errors only."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
