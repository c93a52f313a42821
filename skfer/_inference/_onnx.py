"""Prediction with ONNX Runtime, in float32 and in 8 bits, without Keras and TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np

from skfer._utils import missing_package, threads_allowed

# For its telemetry, ONNX Runtime 1.27 writes a file into the temporary folder when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

# A function from a batch of images to outputs.
Backend = Callable[[np.ndarray], np.ndarray]

# Values of `test_time_augmentation`, besides None, and the number of views of each.
VIEWS = {"flip": 2, "ten": 10}
# Shift of the views of "ten", as a share of the side.
_VIEW_SHIFT = 1 / 24

_CALIBRATION_FACES = 256
_CALIBRATION_BATCH = 32
# Operations on feature maps. Vectors, which cost little, and probabilities stay in float32.
_QUANTIZED = ["Add", "AveragePool", "Concat", "Conv", "Flatten", "GlobalAveragePool", "MaxPool"]
_QUANTIZED += ["Mul", "Relu", "Reshape", "Sigmoid", "Squeeze", "Transpose"]

# Sessions in use, by model, process and settings: equal models share one.
_sessions: weakref.WeakValueDictionary[Any, _Session] = weakref.WeakValueDictionary()
_sessions_lock = threading.Lock()
# Sessions of a parent process. A fork does not copy their threads, and closing them would hang.
_inherited: list[_Session] = []


class OnnxNetwork:
    """A network as an ONNX model with the description and weights to rebuild it in Keras.

    Parameters
    ----------
    model : bytes
        Model of `build_onnx_model`.
    name : str, default="network"
        Name of the network in the model.
    """

    def __init__(self, model: bytes, name: str = "network"):
        self.model = model
        self.name = name
        self._digest = hashlib.sha256(model).digest()
        self._session: _Session | None = None  # in float32; without a reference, it would be closed

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels of the images."""
        return self.session().shape("images")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the outputs for an image."""
        return self.session().shape(self.name)

    def session(self, eight_bits: tuple[tuple[float, float], str] | None = None) -> _Session:
        """Return the session of this process, which equal networks share.

        `eight_bits` is the range of the pixels and the output of a session in 8 bits. Other
        sessions compute all outputs.
        """
        key = (self._digest, eight_bits, threads_allowed())
        with _sessions_lock:
            session = _sessions.get(key)
            if session is not None and session.process != os.getpid():
                _inherited.append(session)
                session = None
            if session is None:
                model = self.model if eight_bits is None else _quantize(self.model, *eight_bits)
                session = _sessions[key] = _Session(model)
            if eight_bits is None:
                self._session = session
            return session

    def read(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Return the description of the network and its weights in the order of Keras."""
        from skfer._inference._onnx_graph import read_onnx_model

        return read_onnx_model(self.model, self.name)


class OnnxBackend:
    """Outputs of a network for batches of images, computed by ONNX Runtime.

    It uses all cores, or as many threads as ``OMP_NUM_THREADS`` says, which joblib sets in its
    workers.

    Parameters
    ----------
    network : OnnxNetwork
    views : {"flip", "ten"} or None, default=None
        Test-time augmentation.
    features : bool, default=False
        Whether the inputs of the last layer with weights are returned instead of the outputs.
    calibration : tuple of two floats, default=None
        Range of the pixels, for the conversion of the network to 8 bits. None computes in float32.
    """

    def __init__(
        self,
        network: OnnxNetwork,
        views: str | None = None,
        *,
        features: bool = False,
        calibration: tuple[float, float] | None = None,
    ):
        self.views = views
        self._network = network
        self._output = f"{network.name}/features" if features else network.name
        self._eight_bits = None if calibration is None else (calibration, self._output)
        self._session: _Session | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs, ``(n, n_outputs)`` float32, for ``(n, height, width, channels)``."""
        session = self._current_session()
        size = max(1, session.batch_size // n_views(self.views))
        outputs = [
            self._average(session, images[start : start + size])
            for start in range(0, len(images), size)
        ]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _average(self, session: _Session, images: np.ndarray) -> np.ndarray:
        copies = image_views(np.asarray(images, np.float32), self.views)
        outputs = session.run(self._output, copies)
        if self.views is None:
            return outputs
        return outputs.reshape(-1, len(images), outputs.shape[-1]).mean(axis=0)

    def _current_session(self) -> _Session:
        session = self._session
        if session is None or session.process != os.getpid():
            session = self._session = self._network.session(self._eight_bits)
        return session


class _Session:
    """A session of ONNX Runtime in the process that created it."""

    def __init__(self, model: bytes):
        self.process = os.getpid()
        self._session = create_session(model, threads_allowed() or joblib.cpu_count())
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.batch_size = int(metadata.get("batch_size", 64))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an input or output, without the batch."""
        values = [*self._session.get_inputs(), *self._session.get_outputs()]
        return next(tuple(value.shape[1:]) for value in values if value.name == name)

    def run(self, output: str, images: np.ndarray) -> np.ndarray:
        return self._session.run([output], {"images": images})[0]


def n_views(views: str | None) -> int:
    """Return the number of copies of an image in test-time augmentation."""
    if views is None:
        return 1
    if views not in VIEWS:
        raise ValueError(
            f"test_time_augmentation must be one of {list(VIEWS)} or None; got {views!r}."
        )
    return VIEWS[views]


def image_views(images: np.ndarray, views: str | None) -> np.ndarray:
    """Return the copies of images that test-time augmentation averages over.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels)
    views : {"flip", "ten"} or None
        "flip" is the image and its mirror image. "ten" is both, in the centre and shifted by a 24th
        of the side in the four diagonal directions. None is the image alone.

    Returns
    -------
    ndarray of shape (n_views * n, height, width, channels)

    Examples
    --------
    >>> import numpy as np
    >>> from skfer._inference._onnx import image_views
    >>> image_views(np.arange(2.0).reshape(1, 1, 2, 1), "flip").ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    if views is None:
        return images
    copies = [images]
    if views == "ten":
        padding, windows = shifted_windows(*images.shape[1:3])
        padded = np.pad(images, padding, mode="symmetric")
        copies += [padded[:, rows, columns] for rows, columns in windows]
    return np.concatenate([*copies, *(copy[:, :, ::-1] for copy in copies)])


def shifted_windows(height: int, width: int) -> tuple[list[Any], list[tuple[slice, slice]]]:
    """Return the padding of a batch for the views of "ten", and the shifted windows in it."""
    y, x = (max(1, round(side * _VIEW_SHIFT)) if side > 1 else 0 for side in (height, width))
    windows = [
        (slice(top, top + height), slice(left, left + width))
        for top in (0, 2 * y)
        for left in (0, 2 * x)
    ]
    return [(0, 0), (y, y), (x, x), (0, 0)], windows


def require_onnx(needed_by: str, *packages: str) -> None:
    """Raise the error that says what to install, if a package is missing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_package(missing[0], needed_by, "onnx")


def create_session(model: bytes | str, n_threads: int) -> onnxruntime.InferenceSession:
    """Create a session of ONNX Runtime on the CPU, which logs errors only."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    # Waiting threads sleep: they share the cores with other sessions.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _quantize(model: bytes, pixel_range: tuple[float, float], output: str) -> bytes:
    """Return a model of one output that computes feature maps in 8 bits (Jacob et al. 2018).

    Weights have a scale for each channel. Activations are scaled to their range for drawn faces.
    """
    import onnx
    from onnx.utils import Extractor
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    whole = onnx.load_model_from_string(model)
    (images_input,) = whole.graph.input
    # ONNX Runtime would compute the other outputs in each call.
    parsed = Extractor(whole).extract_model([images_input.name], [output])
    parsed.metadata_props.extend(whole.metadata_props)
    shape = [side.dim_value for side in images_input.type.tensor_type.shape.dim[1:]]
    images = _calibration_faces(shape, pixel_range)

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            starts = range(0, len(images), _CALIBRATION_BATCH)
            self._batches = iter([images[i : i + _CALIBRATION_BATCH] for i in starts])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {images_input.name: batch}

    # The root logger would recommend quant_pre_process, although it is used.
    with tempfile.TemporaryDirectory() as folder, silent_loggers(""):
        paths = [Path(folder, f"{name}.onnx") for name in ("float", "folded", "int8")]
        onnx.save(parsed, paths[0])
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
            # Weights of 7 bits. Processors without VNNI add products in 16 bits, where sums with
            # 8-bit weights saturate: on one, 12 % of the labels of FER2013's PublicTest changed.
            reduce_range=True,
            op_types_to_quantize=_QUANTIZED,
        )
        return paths[2].read_bytes()


def _calibration_faces(shape: Sequence[int], pixel_range: tuple[float, float]) -> np.ndarray:
    """Return drawn faces of a shape, float32 in `pixel_range`."""
    from skfer.datasets import make_faces

    height, width, channels = shape
    side = max(height, width, 16)
    faces = make_faces(_CALIBRATION_FACES, size=side, color=channels == 3, random_state=0).images
    if (height, width) != (side, side):
        faces = np.stack(
            [cv2.resize(face, (width, height), interpolation=cv2.INTER_AREA) for face in faces]
        )
    faces = faces.reshape(len(faces), height, width, -1)
    low, high = pixel_range
    return (low + faces * ((high - low) / 255)).astype(np.float32)


@contextlib.contextmanager
def silent_loggers(*names: str) -> Iterator[None]:
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
