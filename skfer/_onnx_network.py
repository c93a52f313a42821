"""A fitted network that predicts through ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import joblib
import keras
import numpy as np
import tensorflow as tf

from skfer._compiled_network import Answer, CompiledNetwork, most_images, prediction
from skfer._onnx_model import only_output, onnx_model, require_onnx, session
from skfer._onnx_quantization import in_8_bits, typical_faces
from skfer._threads import threads_allowed

if TYPE_CHECKING:
    import onnx


class OnnxNetwork(CompiledNetwork):
    """A network as a session of ONNX Runtime, in memory; called as a `CompiledNetwork` is.

    The session is made at the first call, and again when the weights change. It uses as many
    threads as there are cores, or as ``OMP_NUM_THREADS`` says, which joblib sets in its workers.

    Raises
    ------
    ImportError
        If a package is missing; here, not after a fit of hours.
    """

    def __init__(
        self,
        network: keras.Model,
        views: str | None = None,
        pixels: tuple[float, float] = (0.0, 255.0),
    ):
        require_onnx("backend='onnx'", "onnx", "tf2onnx", "onnxruntime")
        super().__init__(network, views, pixels)

    def _made(self, dtype: np.dtype) -> tuple[Answer, int]:
        call = prediction(self._network, self.views)
        function = tf.function(lambda images: {"answers": call(images)})
        spec = tf.TensorSpec(self._network.input_shape, dtype, name="images")
        model = self._stored(onnx_model(function, spec), dtype)
        running = session(model, threads_allowed() or joblib.cpu_count())
        at_once = most_images(function.get_concrete_function(spec))
        return lambda images: only_output(running, images), at_once

    def _stored(self, model: onnx.ModelProto, dtype: np.dtype) -> bytes:
        return model.SerializeToString()


class QuantizedNetwork(OnnxNetwork):
    """An `OnnxNetwork` that computes in 8 bits, scaled to what it makes of drawn faces."""

    def _stored(self, model: onnx.ModelProto, dtype: np.dtype) -> bytes:
        faces = typical_faces(self._network.input_shape[1:], dtype, self.pixels)
        return in_8_bits(model, faces)


# Parameter `backend` -> what predicts.
BACKENDS: dict[str, type[CompiledNetwork]] = {
    "keras": CompiledNetwork,
    "onnx": OnnxNetwork,
    "onnx-int8": QuantizedNetwork,
}
