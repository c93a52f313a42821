"""ONNX models that compute in 8-bit integers."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from skfer.datasets import make_faces

if TYPE_CHECKING:
    import onnx

_N_FACES = 256
_AT_ONCE = 32
# What feature maps go through. Vectors, which cost little, and probabilities stay in floats.
_QUANTIZED = ["Add", "AveragePool", "Concat", "Conv", "Flatten", "GlobalAveragePool", "MaxPool"]
_QUANTIZED += ["Mul", "Relu", "Reshape", "Sigmoid", "Squeeze", "Transpose"]


def in_8_bits(model: onnx.ModelProto, images: np.ndarray) -> bytes:
    """The model with its feature maps, and the weights that make them, in 8 bits.

    As in Jacob et al. (2018), "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference". Each channel's weights have a scale of their own, and take
    7 of the 8 bits; activations are scaled to the range they have for `images`.

    Parameters
    ----------
    model : onnx.ModelProto
        With one input.
    images : ndarray
        What it is to expect.

    Returns
    -------
    bytes
        The serialized model.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Shown(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            parts = range(0, len(images), _AT_ONCE)
            self._parts = iter([images[start : start + _AT_ONCE] for start in parts])

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self._parts, None)
            return None if part is None else {model.graph.input[0].name: part}

    with tempfile.TemporaryDirectory() as folder, _without_advice():
        given, joined, quantized = (Path(folder, f"{n}.onnx") for n in ("given", "joined", "int8"))
        given.write_bytes(model.SerializeToString())
        # Batch normalisation becomes part of the convolutions.
        quant_pre_process(given, joined, skip_symbolic_shape=True)
        quantization.quantize_static(
            joined,
            quantized,
            Shown(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            # Weights of 7 bits. Processors without VNNI add products in 16 bits, and sums of 8-bit
            # weights saturate: 12 % of the labels of FER2013's PublicTest changed on one.
            reduce_range=True,
            op_types_to_quantize=_QUANTIZED,
        )
        return quantized.read_bytes()


def typical_faces(
    shape: tuple[int, int, int], dtype: np.dtype, pixels: tuple[float, float]
) -> np.ndarray:
    """Drawn faces as a network may get them, the same ones at every call.

    Parameters
    ----------
    shape : tuple of int
        Height, width, channels.
    dtype : dtype
        uint8, whose range is 0 to 255, or a float.
    pixels : tuple of two floats
        Range of floats.

    Returns
    -------
    ndarray, shape (n, height, width, channels)
    """
    height, width, channels = shape
    side = max(height, width, 16)
    faces = make_faces(_N_FACES, size=side, color=channels == 3, random_state=0).images
    if (height, width) != (side, side):
        faces = np.stack(
            [cv2.resize(face, (width, height), interpolation=cv2.INTER_AREA) for face in faces]
        )
    faces = faces.reshape(_N_FACES, height, width, -1)
    if dtype == np.uint8:
        return faces
    low, high = pixels
    return (low + faces * ((high - low) / 255)).astype(dtype)


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Without the notes of the quantiser, which are written to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
