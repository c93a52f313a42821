"""A Keras network inside a scikit-learn estimator: build, fit, predict, pickle.

The only module that imports scikeras, whose `KerasClassifier` runs the fit of a compiled
network and keeps its history.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer
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
    build_state,
    computing_in,
    evaluation_batches,
    fit_callbacks,
    isolated_random_state,
    new_optimizer,
    no_graphs_left_behind,
    one_trace_a_fit,
    precision_policy,
    settling_within_an_epoch,
    training_batches,
)

# Held out by default where early stopping or a plateau needs something to watch.
_VALIDATION_FRACTION = 0.1


class Examples(NamedTuple):
    """Images with what the network should say of them."""

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Examples:
        """Some of the examples."""
        weights = None if self.weights is None else self.weights[rows]
        return Examples(self.images[rows], self.targets[rows], weights)


class _Engine(KerasClassifier):
    """scikeras, fed by the input pipeline instead of by Keras's own array adapter."""

    @property
    def target_encoder(self) -> FunctionTransformer:
        # Targets are codes already. scikeras would number those of this call anew, which
        # shifts them where a class is missing.
        return FunctionTransformer()

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
        validation: Examples | None,
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
            kwargs["validation_data"] = evaluation_batches(*validation, batch_size=self.batch_size)
        with settling_within_an_epoch(self.model_, steps):
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

    @no_graphs_left_behind()
    def _fit_network(
        self,
        examples: Examples,
        validation: Examples | None,
        *,
        n_outputs: int,
        epochs: int,
        start: Literal["anew", "warm", "resumed"],
    ) -> None:
        """Train: a new network, one with the weights it has, or one amid its training."""
        augmentation = Augmentation.of(self.augment)
        policy = precision_policy(self.mixed_precision)
        if start == "anew":
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._build(examples.images, n_outputs)
        examples = self._weighed(self._on_scale(examples))
        if validation is not None:
            validation = self._on_scale(validation)
        elif start != "resumed":
            examples, validation = self._hold_out(examples)
        network = self.network_
        if start != "resumed" or not network.compiled:
            optimizer = new_optimizer(self.optimizer, self.learning_rate, policy)
            network.compile(optimizer, self._loss, metrics=["accuracy"])
            build_state(network, examples.targets)
        engine = _Engine(
            model=lambda: network,
            loss=self._loss,
            epochs=epochs,
            batch_size=self.batch_size,
            callbacks=fit_callbacks(
                "loss" if validation is None else "val_loss",
                reduce_lr=self.reduce_lr,
                early_stopping=self.early_stopping,
                patience=self.patience,
                extra=self.callbacks,
            ),
            shuffle=False,  # the batches come shuffled
            verbose=int(self.verbose),
        )
        with computing_in(network.layers[-1], policy), one_trace_a_fit():
            engine.fit(
                examples.images,
                examples.targets,
                examples.weights,
                initial_epoch=self.n_iter_,
                seed=self._seed,
                augmentation=augmentation,
                validation=validation,
            )
        self._keep_history(engine.history_)

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Be as before if a fit fails: fitted as it was, or not at all."""
        before = self.__dict__.copy()
        weights = self.network_.get_weights() if "network_" in before else None
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            if weights is not None:
                self.network_.set_weights(weights)
            raise

    def _on_scale(self, examples: Examples) -> Examples:
        self._check_shape(examples.images)
        return examples._replace(images=self.pixel_range_.bring(examples.images))

    def _weighed(self, examples: Examples) -> Examples:
        """The examples that count: an image of weight 0 is none."""
        if examples.weights is None or examples.weights.all():
            return examples
        if not examples.weights.any():
            raise ValueError("The weight is 0 for every image: there is nothing to learn from.")
        return examples.take(np.flatnonzero(examples.weights))

    def _hold_out(self, examples: Examples) -> tuple[Examples, Examples | None]:
        """Split off the part to watch, if there is to be one."""
        fraction = self.validation_fraction
        if fraction is None and (self.early_stopping or self.reduce_lr):
            fraction = _VALIDATION_FRACTION
        if fraction is None:
            return examples, None
        counts = np.unique(examples.targets, return_counts=True)[1]
        n_watched = math.ceil(fraction * len(examples.images))
        if counts.min() < 2 or n_watched < len(counts):
            raise ValueError(
                f"validation_fraction={fraction:g} of {len(examples.images)} images is too "
                f"little to watch {len(counts)} classes, the smallest of {counts.min()}: give "
                "more images, a larger fraction, or X_val and y_val."
            )
        train, watched = train_test_split(
            np.arange(len(examples.images)),
            test_size=fraction,
            stratify=examples.targets,
            random_state=self._seed,
        )
        return examples.take(train), examples.take(watched)

    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        self.image_shape_ = images.shape[1:]
        self.pixel_range_ = PixelRange.of(images)
        with isolated_random_state(self._seed):
            if is_model_file(self.network):
                body = self._network_from_file(self.network, n_outputs)
            else:
                body = build_network(
                    self.network, self.image_shape_, n_outputs, **self._network_options()
                )
            self._compose(body, n_outputs)

    def _build_from_file(self, n_outputs: int) -> None:
        """Be fitted with the weights of a saved model, for images of the size it takes."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with isolated_random_state(self._seed):
            body = self._network_from_file(self.network, n_outputs)
            if None in body.input_shape[1:]:
                raise ValueError(
                    f"{os.fspath(self.network)!r} takes images of shape {body.input_shape[1:]}; "
                    "height, width and channels must all be fixed."
                )
            self.image_shape_ = body.input_shape[1:]
            self.pixel_range_ = PixelRange(0.0, 255.0)
            self._compose(body, n_outputs)

    def _network_from_file(self, path: str | os.PathLike, n_outputs: int) -> keras.Model:
        """A saved model whose outputs stand in the order of this estimator's targets."""
        raise NotImplementedError

    def _network_options(self) -> dict[str, Any]:
        return {"dropout": self.dropout, "activation": self.activation}

    def _compose(self, body: keras.Model, n_outputs: int) -> None:
        """Put the scaling before the network, and look whether it fits images and targets."""
        if not body.built:
            body.build((None, *self.image_shape_))
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
        self._check_outputs()

    def _check_outputs(self) -> None:
        """Whether the outputs of a new network are what they are to be."""
        raise NotImplementedError

    def _rescaling(self) -> tuple[float, float]:
        """Factor and offset from the pixels of fit to the range the network expects."""
        if len(self.pixel_range) != 2 or not self.pixel_range[0] < self.pixel_range[1]:
            raise ValueError(
                f"pixel_range must be (low, high), such as (0, 1); got {self.pixel_range!r}."
            )
        fitted, (low, high) = self.pixel_range_, self.pixel_range
        factor = (high - low) / (fitted.high - fitted.low)
        return factor, low - fitted.low * factor

    def _rebuilt(self, n_outputs: int) -> keras.Model:
        """The network made anew by the function that made it first, with weights to be set."""
        body = build_network(self.network, self.image_shape_, n_outputs, **self._network_options())
        return _with_scaling(body, self.image_shape_, self._rescaling())

    def _set_network(self, network: keras.Model) -> None:
        self.network_ = network
        self._compiled = CompiledNetwork(network)

    def _keep_history(self, history: dict[str, list[float]]) -> None:
        for name, values in history.items():
            self.history_.setdefault(name, []).extend(float(value) for value in values)
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
            with isolated_random_state(self._seed):
                self._set_network(network_state.thaw(frozen, self._rebuilt))


def is_model_file(network: Any) -> bool:
    """Whether the ``network`` parameter names a saved Keras model."""
    return isinstance(network, os.PathLike) or (
        isinstance(network, str) and network.lower().endswith((".keras", ".h5", ".hdf5"))
    )


def _with_scaling(
    body: keras.Model, image_shape: tuple[int, ...], rescaling: tuple[float, float]
) -> keras.Model:
    """The network behind its weightless first layer, from pixels to the range it expects."""
    pixels = keras.Input(image_shape, name="pixels")
    factor, offset = rescaling
    scaled = keras.layers.Rescaling(factor, offset, dtype="float32", name="scaling")(pixels)
    return keras.Model(pixels, body(scaled), name=f"scaled_{body.name}")
