"""A fitted network that predicts through ONNX Runtime."""

from __future__ import annotations

import joblib
import keras
import numpy as np
import tensorflow as tf

from skfer._compiled_network import Answer, CompiledNetwork, most_images, prediction
from skfer._onnx_model import only_output, onnx_model, require_onnx, session
from skfer._threads import threads_allowed


class OnnxNetwork(CompiledNetwork):
    """A network as a session of ONNX Runtime, in memory; called as a `CompiledNetwork` is.

    The session is made at the first call, and again when the weights change. It uses as many
    threads as there are cores, or as ``OMP_NUM_THREADS`` says, which joblib sets in its workers.

    Raises
    ------
    ImportError
        If a package is missing; here, not after a fit of hours.
    """

    def __init__(self, network: keras.Model, views: str | None = None):
        require_onnx("backend='onnx'", "onnx", "tf2onnx", "onnxruntime")
        super().__init__(network, views)

    def _made(self, dtype: np.dtype) -> tuple[Answer, int]:
        call = prediction(self._network, self.views)
        function = tf.function(lambda images: {"answers": call(images)})
        spec = tf.TensorSpec(self._network.input_shape, dtype, name="images")
        model = onnx_model(function, spec)
        running = session(model.SerializeToString(), threads_allowed() or joblib.cpu_count())
        at_once = most_images(function.get_concrete_function(spec))
        return lambda images: only_output(running, images), at_once


# Parameter `backend` -> what predicts.
BACKENDS: dict[str, type[CompiledNetwork]] = {"keras": CompiledNetwork, "onnx": OnnxNetwork}
