"""A Keras network inside a scikit-learn estimator: build, fit, predict, pickle.

The only module that imports scikeras, whose private `KerasClassifier` compiles the network,
runs its fit and keeps its history.
"""

from __future__ import annotations

import copy
import os
import threading
from collections import defaultdict
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scikeras.wrappers import KerasClassifier
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skfer import _network_state as network_state
from skfer._base import ImageEstimator
from skfer._images import dense_images
from skfer._pixel_range import PixelRange
from skfer.networks import build_network
from skfer.training import (
    Augmentation,
    compute_in,
    evaluation_batches,
    isolated_random_state,
    precision_policy,
    set_precision,
    training_batches,
)

# Images a call of the compiled network: enough to keep the cores busy, little memory.
_PREDICT_BATCH = 128
_MODEL_FILES = (".keras", ".h5", ".hdf5")


class _Engine(KerasClassifier):
    """scikeras, fed by the input pipeline instead of by Keras's own array adapter."""

    def _fit_keras_model(
        self,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        warm_start: bool,
        epochs: int,
        initial_epoch: int,
        *,
        seed: int,
        augmentation: Augmentation | None,
        validation: tuple[np.ndarray, np.ndarray] | None,
        **kwargs: Any,
    ) -> None:
        batches, steps = training_batches(
            X,
            y,
            sample_weight,
            batch_size=self.batch_size,
            seed=seed,
            first_epoch=initial_epoch,
            augmentation=augmentation,
        )
        if validation is not None:
            kwargs["validation_data"] = evaluation_batches(
                *validation, batch_size=self.batch_size
            )
        super()._fit_keras_model(
            batches,
            None,
            sample_weight=None,
            warm_start=warm_start,
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps,
            **kwargs,
        )


class KerasEstimator(ImageEstimator):
    """Base of the estimators that fit a network; a subclass says what the targets are."""

    _parameter_constraints: dict = {
        "network": [str, os.PathLike, callable],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer": [str, keras.optimizers.Optimizer],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "activation": [str, None],
        "augment": [str, dict, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 0, None, closed="left")],
        "reduce_lr": ["boolean", dict],
        "mixed_precision": [StrOptions({"auto", "bfloat16", "float16"}), None],
        "pixel_range": [tuple, list],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _loss: str

    def _fit_network(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        sample_weight: np.ndarray | None,
        validation: tuple[np.ndarray, np.ndarray] | None,
        *,
        n_outputs: int,
        epochs: int,
        go_on: bool,
    ) -> None:
        """Build the network, or go on with the one there is, and train it."""
        if not go_on:
            self._build(images, n_outputs)
        images = self.pixel_range_.bring(images)
        if validation is not None:
            validation = (self.pixel_range_.bring(validation[0]), validation[1])
        network = self.network_
        engine = _Engine(
            model=lambda: network,
            loss=self._loss,
            optimizer=self._optimizer(),
            metrics=["accuracy"],
            epochs=epochs,
            batch_size=self.batch_size,
            callbacks=self._callbacks(has_validation=validation is not None),
            shuffle=False,  # the batches come shuffled
            verbose=int(self.verbose),
        )
        policy = precision_policy(self.mixed_precision)
        set_precision(network, policy)
        with isolated_random_state(self._seed):
            engine.fit(
                images,
                targets,
                sample_weight,
                initial_epoch=self.n_iter_,
                seed=self._seed,
                augmentation=Augmentation.of(self.augment),
                validation=validation,
            )
        # Predictions are float32 on every machine, whatever the network was trained in.
        set_precision(network, "float32")
        self._keep_history(engine.history_)

    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        self.image_shape_ = images.shape[1:]
        self.pixel_range_ = PixelRange.of(images)
        self.history_: dict[str, list[float]] = {}
        self.n_iter_ = 0
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        policy = precision_policy(self.mixed_precision)
        with isolated_random_state(self._seed), compute_in(policy):
            body = self._network_body(n_outputs)
            self._set_network(_with_scaling(body, self.image_shape_, self._rescaling()))
        if self.network_.output_shape != (None, n_outputs):
            raise ValueError(
                f"The network {self.network!r} has outputs of shape "
                f"{self.network_.output_shape}, but {n_outputs} classes need "
                f"(None, {n_outputs}), one probability each."
            )

    def _network_body(self, n_outputs: int) -> keras.Model:
        if is_model_file(self.network):
            return network_state.load_model_file(self.network)
        return build_network(
            self.network,
            self.image_shape_,
            n_outputs,
            dropout=self.dropout,
            activation=self.activation,
        )

    def _rescaling(self) -> tuple[float, float]:
        """Factor and offset from the pixels of fit to the range the network expects."""
        fitted, (low, high) = self.pixel_range_, self.pixel_range
        factor = (high - low) / (fitted.high - fitted.low)
        return factor, low - fitted.low * factor

    def _set_network(self, network: keras.Model) -> None:
        self.network_ = network
        self._compiled: dict[str, Callable] = {}
        self._compiling = threading.Lock()

    def _optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimiser; the user's own instance is never trained with."""
        if isinstance(self.optimizer, str):
            optimizer = keras.optimizers.get(self.optimizer)
        else:
            optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        if self.learning_rate is not None:
            optimizer.learning_rate = self.learning_rate
        return optimizer

    def _callbacks(self, *, has_validation: bool) -> list[keras.callbacks.Callback]:
        callbacks: list[keras.callbacks.Callback] = []
        monitor = "val_loss" if has_validation else "loss"
        if self.reduce_lr:
            options = self.reduce_lr if isinstance(self.reduce_lr, dict) else {}
            settings = {"monitor": monitor, "factor": 0.1, "patience": 2, **options}
            callbacks.append(keras.callbacks.ReduceLROnPlateau(**settings))
        if self.early_stopping:
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    monitor=monitor, patience=self.patience, restore_best_weights=True
                )
            )
        return callbacks + copy.deepcopy(self.callbacks or [])

    def _keep_history(self, history: dict[str, list[float]]) -> None:
        joined = defaultdict(list, self.history_)
        for name, values in history.items():
            joined[name] += [float(value) for value in values]
        self.history_ = dict(joined)
        self.n_iter_ = len(self.history_["loss"])

    def _forward(self, X: Any) -> np.ndarray:
        """What the network says of every image, ``(n, n_outputs)`` float32."""
        images = dense_images(self._images(X, reset=False))
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[1:]}, but {type(self).__name__} was fitted "
                f"on {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )
        images = self.pixel_range_.bring(images)
        call = self._compiled_call(images.dtype)
        parts = [
            call(tf.constant(images[start : start + _PREDICT_BATCH])).numpy()
            for start in range(0, len(images), _PREDICT_BATCH)
        ]
        return np.concatenate(parts)

    def _compiled_call(self, dtype: np.dtype) -> Callable[[tf.Tensor], tf.Tensor]:
        """The network as one graph with a fixed signature: traced once, never again."""
        with self._compiling:
            if dtype.name not in self._compiled:
                network = self.network_

                def call(images: tf.Tensor) -> tf.Tensor:
                    return network(images, training=False)

                spec = tf.TensorSpec((None, *self.image_shape_), dtype)
                self._compiled[dtype.name] = tf.function(call, input_signature=[spec])
            return self._compiled[dtype.name]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        state.pop("_compiled", None)
        state.pop("_compiling", None)
        if "network_" in state:
            state["network_"] = network_state.freeze(state["network_"])
            state["_versions"] = network_state.versions()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state.copy()
        network_state.warn_of_other_versions(type(self).__name__, state.pop("_versions", None))
        frozen = state.pop("network_", None)
        super().__setstate__(state)
        if frozen is not None:
            self._set_network(network_state.thaw(frozen))


def is_model_file(network: Any) -> bool:
    """Whether the ``network`` parameter names a saved Keras model."""
    return isinstance(network, os.PathLike) or (
        isinstance(network, str) and network.lower().endswith(_MODEL_FILES)
    )


def _with_scaling(
    body: keras.Model, image_shape: tuple[int, ...], rescaling: tuple[float, float]
) -> keras.Model:
    """The network behind its weightless first layer, from pixels to the range it expects."""
    pixels = keras.Input(image_shape, name="pixels")
    factor, offset = rescaling
    scaled = keras.layers.Rescaling(factor, offset, dtype="float32", name="scaling")(pixels)
    return keras.Model(pixels, body(scaled), name=f"scaled_{body.name}")
