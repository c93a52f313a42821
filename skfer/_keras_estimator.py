"""A Keras network inside a scikit-learn estimator: build, fit, predict, pickle.

The only module that imports scikeras, whose private `KerasClassifier` compiles the network,
runs its fit and keeps its history.
"""

from __future__ import annotations

import copy
import inspect
import os
from collections import defaultdict
from numbers import Integral, Real
from typing import Any, Literal

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skfer import _network_state as network_state
from skfer._base import ImageEstimator
from skfer._compiled_network import CompiledNetwork
from skfer._images import dense_images
from skfer._pixel_range import PixelRange
from skfer.networks import build_network
from skfer.training import (
    Augmentation,
    evaluation_batches,
    isolated_random_state,
    one_trace_a_fit,
    precision_policy,
    set_precision,
    settle_within_an_epoch,
    training_batches,
)

# Held out by default where early stopping or a plateau needs something to watch.
_VALIDATION_FRACTION = 0.1
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
        settle_within_an_epoch(self.model_, steps)
        if validation is not None:
            kwargs["validation_data"] = evaluation_batches(*validation, batch_size=self.batch_size)
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
        start: Literal["anew", "warm", "resumed"],
    ) -> None:
        """Train: a new network, one with the weights it has, or one amid its training."""
        augmentation = Augmentation.of(self.augment)
        if start == "anew":
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._build(images, n_outputs)
        self._check_shape(images)
        images = self.pixel_range_.bring(images)
        if validation is not None:
            self._check_shape(validation[0])
            validation = (self.pixel_range_.bring(validation[0]), validation[1])
        elif start != "resumed":
            images, targets, sample_weight, validation = self._hold_out(
                images, targets, sample_weight
            )
        network = self.network_
        if start != "resumed" or not network.compiled:
            network.compile(self._optimizer(), self._loss, metrics=["accuracy"])
        engine = _Engine(
            model=lambda: network,
            loss=self._loss,
            epochs=epochs,
            batch_size=self.batch_size,
            callbacks=self._callbacks("loss" if validation is None else "val_loss"),
            shuffle=False,  # the batches come shuffled
            verbose=int(self.verbose),
        )
        body = network.layers[-1]
        set_precision(body, precision_policy(self.mixed_precision))
        try:
            with isolated_random_state(self._seed), one_trace_a_fit():
                engine.fit(
                    images,
                    targets,
                    sample_weight,
                    initial_epoch=self.n_iter_,
                    seed=self._seed,
                    augmentation=augmentation,
                    validation=validation,
                )
        finally:
            # Predictions are float32 on every machine, whatever the network was trained in.
            set_precision(body, "float32")
        self._keep_history(engine.history_)

    def _hold_out(
        self, images: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray | None
    ) -> tuple:
        """Split off the part to watch, if there is to be one."""
        fraction = self.validation_fraction
        if fraction is None and (self.early_stopping or self.reduce_lr):
            fraction = _VALIDATION_FRACTION
        if fraction is None:
            return images, targets, sample_weight, None
        train, watched = train_test_split(
            np.arange(len(images)),
            test_size=fraction,
            stratify=targets,
            random_state=self._seed,
        )
        weights = None if sample_weight is None else sample_weight[train]
        return images[train], targets[train], weights, (images[watched], targets[watched])

    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        self.image_shape_ = images.shape[1:]
        self.pixel_range_ = PixelRange.of(images)
        with isolated_random_state(self._seed):
            if is_model_file(self.network):
                self._compose(self._network_from_file(self.network, n_outputs), n_outputs)
                return
            body = build_network(
                self.network,
                self.image_shape_,
                n_outputs,
                dropout=self.dropout,
                activation=self.activation,
            )
            self._compose(body, n_outputs)

    def _build_from_file(self, n_outputs: int) -> None:
        """Be fitted with the weights of a saved model, for images of the size it takes."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        model = self._network_from_file(self.network, n_outputs)
        if None in model.input_shape[1:]:
            raise ValueError(
                f"{os.fspath(self.network)!r} takes images of shape {model.input_shape[1:]}; "
                "height, width and channels must all be fixed."
            )
        self.image_shape_ = model.input_shape[1:]
        self.pixel_range_ = PixelRange(0.0, 255.0)
        self._compose(model, n_outputs)

    def _network_from_file(self, path: str | os.PathLike, n_outputs: int) -> keras.Model:
        """A saved model whose outputs stand in the order of this estimator's targets."""
        raise NotImplementedError

    def _compose(self, body: keras.Model, n_outputs: int) -> None:
        """Put the scaling before the network, and look whether it fits images and targets."""
        if body.input_shape[1:] != self.image_shape_:
            raise ValueError(
                f"The network {self.network!r} takes images of shape {body.input_shape[1:]}; "
                f"X has {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )
        network = _with_scaling(body, self.image_shape_, self._rescaling())
        if network.output_shape != (None, n_outputs):
            raise ValueError(
                f"The network {self.network!r} has outputs of shape {network.output_shape}; "
                f"{n_outputs} classes need (None, {n_outputs}), one probability each."
            )
        self.history_: dict[str, list[float]] = {}
        self.n_iter_ = 0
        self._set_network(network)

    def _rescaling(self) -> tuple[float, float]:
        """Factor and offset from the pixels of fit to the range the network expects."""
        if len(self.pixel_range) != 2 or not self.pixel_range[0] < self.pixel_range[1]:
            raise ValueError(
                f"pixel_range must be (low, high), such as (0, 1); got {self.pixel_range!r}."
            )
        fitted, (low, high) = self.pixel_range_, self.pixel_range
        factor = (high - low) / (fitted.high - fitted.low)
        return factor, low - fitted.low * factor

    def _set_network(self, network: keras.Model) -> None:
        self.network_ = network
        self._compiled = CompiledNetwork(network)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimiser; the user's own instance is never trained with."""
        if isinstance(self.optimizer, str):
            optimizer = keras.optimizers.get(self.optimizer)
        else:
            optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        if self.learning_rate is not None:
            optimizer.learning_rate = self.learning_rate
        return optimizer

    def _callbacks(self, monitor: str) -> list[keras.callbacks.Callback]:
        callbacks: list[keras.callbacks.Callback] = []
        if self.reduce_lr:
            options = self.reduce_lr if isinstance(self.reduce_lr, dict) else {}
            settings = {"monitor": monitor, "factor": 0.1, "patience": 2, **options}
            _check_plateau(settings)
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
        self._check_shape(images)
        return self._compiled(self.pixel_range_.bring(images))

    def _check_shape(self, images: np.ndarray) -> None:
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[1:]}, but {type(self).__name__} was fitted "
                f"on {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        state.pop("_compiled", None)
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


def _check_plateau(settings: dict[str, Any]) -> None:
    """Keras takes any keyword here and says nothing of one it doesn't know."""
    known = inspect.signature(keras.callbacks.ReduceLROnPlateau).parameters
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"reduce_lr has no entry {unknown[0]!r}; it may hold what "
            f"keras.callbacks.ReduceLROnPlateau takes: {sorted(set(known) - {'kwargs'})}."
        )


def _with_scaling(
    body: keras.Model, image_shape: tuple[int, ...], rescaling: tuple[float, float]
) -> keras.Model:
    """The network behind its weightless first layer, from pixels to the range it expects."""
    pixels = keras.Input(image_shape, name="pixels")
    factor, offset = rescaling
    scaled = keras.layers.Rescaling(factor, offset, dtype="float32", name="scaling")(pixels)
    return keras.Model(pixels, body(scaled), name=f"scaled_{body.name}")
