"""A Keras network inside a scikit-learn estimator: build, fit, predict, pickle."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Literal

import keras
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skfer import _network_state as network_state
from skfer._base import ImageEstimator
from skfer._compiled_network import CompiledNetwork
from skfer._images import dense_images
from skfer._network_fit import Examples, NetworkFit, Phase, codes
from skfer._pixel_range import PixelRange
from skfer._scikit_callbacks import CallbackSupportMixin
from skfer._starting_weights import start_from
from skfer.networks import build_network
from skfer.networks._anatomy import features
from skfer.training import (
    SCHEDULES,
    VIEWS,
    CheckpointFile,
    TargetRule,
    fingerprint,
    isolated_random_state,
    new_optimizer,
    no_graphs_left_behind,
)

# Held out by default where early stopping or a plateau needs something to watch.
_VALIDATION_FRACTION = 0.1
# Fine-tuning keeps to a rate that doesn't undo what the layers know.
_FINE_TUNE_SHARE = 0.1
# What changes neither the weights nor the history of a fit.
_NO_PART_OF_A_FIT = ("callbacks", "checkpoint_dir", "test_time_augmentation", "verbose")


class KerasEstimator(CallbackSupportMixin, ImageEstimator):
    """Base of the estimators that fit a network; a subclass says what the targets are."""

    _parameter_constraints: dict = {
        "network": [str, os.PathLike, callable],
        "weights": [str, os.PathLike, FrozenEstimator, None],
        "network_params": [dict, None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer": [str, keras.optimizers.Optimizer],
        "schedule": [StrOptions(set(SCHEDULES)), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "activation": [str, None],
        "augment": [str, dict, None],
        "oversample": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 0, None, closed="left")],
        "reduce_lr": ["boolean", dict],
        "weight_average": [Interval(Real, 0, 1, closed="neither"), None],
        "frozen_epochs": [Interval(Integral, 0, None, closed="left")],
        "fine_tune_from": [str, Interval(Integral, 1, None, closed="left"), None],
        "fine_tune_learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "test_time_augmentation": [StrOptions(set(VIEWS)), None],
        "mixed_precision": [StrOptions({"auto", "bfloat16", "float16"}), None],
        "pixel_range": [tuple, list],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _metrics: tuple[str, ...] = ()

    history_: dict[str, list[float]]
    n_iter_: int
    fine_tune_epoch_: int | None
    _average: dict | None

    @no_graphs_left_behind()
    def _fit_network(
        self,
        examples: Examples,
        validation: Examples | None,
        *,
        n_outputs: int,
        epochs: int,
        start: Literal["anew", "warm", "resumed"],
        task: Any = None,
    ) -> None:
        """Train: a new network, one with the weights it has, or one amid its training.

        `task` is the fit as scikit-learn's callbacks know it.
        """
        phases = self._phases(epochs, start)
        checkpoint = self._checkpoint(examples, validation, start)
        if start == "anew":
            self._seed = self._first_seed(checkpoint)
            self._build(examples.images, n_outputs)
        examples = self._weighed(self._on_scale(examples))
        if validation is not None:
            validation = self._on_scale(validation)
        elif start != "resumed":
            examples, validation = self._hold_out(examples)
        fit = NetworkFit(
            self,
            self.network_,
            examples,
            validation,
            seed=self._seed,
            epoch=self.n_iter_,
            rows=_filled_up(codes(examples.targets)) if self.oversample else None,
            average=self._average if start == "resumed" else None,
            checkpoint=checkpoint,
            task=task,
        )
        fit.run(phases)
        self._average = fit.average
        if fit.fine_tune_epoch is not None:
            self.fine_tune_epoch_ = fit.fine_tune_epoch
        for name, values in fit.history.items():
            self.history_.setdefault(name, []).extend(values)
        self.n_iter_ = fit.epoch

    def _phases(self, epochs: int, start: str) -> list[Phase]:
        """What is trained when: all at once, or the head first and then deeper layers."""
        if self.schedule is not None and self.reduce_lr:
            raise ValueError(
                f"schedule={self.schedule!r} and reduce_lr both set the rate: choose one of them."
            )
        if start == "resumed":
            if self.schedule is not None:
                raise ValueError(
                    f"schedule={self.schedule!r} spans a whole fit, of which partial_fit doesn't "
                    "know the length: use fit, or schedule=None."
                )
            return [Phase(epochs, self.learning_rate, "same")]
        if self.frozen_epochs > epochs:
            raise ValueError(
                f"frozen_epochs={self.frozen_epochs} is more than epochs={epochs}, which counts "
                "the epochs of both phases."
            )
        phases = []
        if self.frozen_epochs:
            phases.append(Phase(self.frozen_epochs, self.learning_rate, "head"))
        if epochs > self.frozen_epochs:
            transfers = self.frozen_epochs > 0 or self.fine_tune_from is not None
            rate = self._fine_tune_rate() if self.frozen_epochs else self.learning_rate
            phases.append(Phase(epochs - self.frozen_epochs, rate, "fine" if transfers else "all"))
        return phases

    def _fine_tune_rate(self) -> float:
        if self.fine_tune_learning_rate is not None:
            return self.fine_tune_learning_rate
        return _FINE_TUNE_SHARE * float(
            new_optimizer(self.optimizer, self.learning_rate).learning_rate
        )

    def _checkpoint(
        self, examples: Examples, validation: Examples | None, start: str
    ) -> CheckpointFile | None:
        """The file of this fit: another fit, on other data or otherwise set, has another."""
        if self.checkpoint_dir is None or start == "resumed":
            return None
        settings = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _NO_PART_OF_A_FIT
        }
        if not isinstance(self.random_state, Integral):
            settings.pop("random_state")  # drawn once and kept in the file
        weights = self.network_.get_weights() if start == "warm" else None
        name = fingerprint(settings, examples, validation, weights)
        return CheckpointFile(self.checkpoint_dir, name)

    def _first_seed(self, checkpoint: CheckpointFile | None) -> int:
        saved = None if checkpoint is None else checkpoint.read()
        if saved is not None:
            return saved.progress.seed
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _target_rule(self, targets: np.ndarray, n_outputs: int, mixes: bool) -> TargetRule | None:
        """What is done to training targets; None if they go to the loss as they are."""
        raise NotImplementedError

    def _loss(self, rule: TargetRule | None) -> Any:
        """Keras's name of the loss for targets made by that rule, or the loss itself."""
        raise NotImplementedError

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
        strata = codes(examples.targets)
        counts = np.unique(strata, return_counts=True)[1]
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
            stratify=strata,
            random_state=self._seed,
        )
        return examples.take(train), examples.take(watched)

    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        self.image_shape_ = images.shape[1:]
        self.pixel_range_ = PixelRange.of(images)
        with isolated_random_state(self._seed):
            if is_model_file(self.network):
                if self.weights is not None:
                    raise ValueError(
                        f"network={os.fspath(self.network)!r} is a saved model and has weights: "
                        "leave weights at None."
                    )
                body = self._network_from_file(self.network, n_outputs)
            else:
                body = build_network(
                    self.network, self.image_shape_, n_outputs, **self._network_options()
                )
                if self.weights is not None and self.weights != "imagenet":
                    start_from(body, self.weights)
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
        own = {"dropout": self.dropout, "activation": self.activation}
        twice = sorted(set(self.network_params or {}) & {n for n in own if own[n] is not None})
        if twice:
            raise ValueError(f"{twice[0]!r} is given twice: by itself and in network_params.")
        if isinstance(self.weights, str) and self.weights == "imagenet":
            own["weights"] = self.weights
        return own | (self.network_params or {})

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
        self.history_ = {}
        self.n_iter_ = 0
        self.fine_tune_epoch_ = None
        self._average = None
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
        options = self._network_options() | {"weights": None}
        body = build_network(self.network, self.image_shape_, n_outputs, **options)
        return _with_scaling(body, self.image_shape_, self._rescaling())

    def _set_network(self, network: keras.Model) -> None:
        self.network_ = network
        self._compiled = CompiledNetwork(network, self.test_time_augmentation)
        self._compiled_features: CompiledNetwork | None = None

    def _forward(self, X: Any) -> np.ndarray:
        """What the network says of every image, ``(n, n_outputs)`` float32."""
        images = self._on_fitted_scale(X)
        if self._compiled.views != self.test_time_augmentation:
            self._compiled = CompiledNetwork(self.network_, self.test_time_augmentation)
        return self._compiled(images)

    def _embed(self, X: Any) -> np.ndarray:
        """What the last layer of the network gets to see of every image, ``(n, n_features)``."""
        if self._compiled_features is None:
            self._compiled_features = CompiledNetwork(self._features())
        return self._compiled_features(self._on_fitted_scale(X))

    def _features(self) -> keras.Model:
        """The network without its last layer."""
        scaling, body = self.network_.layers[1:]
        return keras.Model(self.network_.inputs[0], features(body)(scaling.output))

    def _on_fitted_scale(self, X: Any) -> np.ndarray:
        images = dense_images(self._images(X, reset=False))
        self._check_shape(images)
        return self.pixel_range_.bring(images)

    def _check_shape(self, images: np.ndarray) -> None:
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[1:]}, but {type(self).__name__} was fitted "
                f"on {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        state.pop("_compiled", None)
        state.pop("_compiled_features", None)
        if "_average" in state:
            state["_average"] = None  # of use to a training that goes on, as the optimiser's state
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


def _filled_up(strata: np.ndarray) -> np.ndarray:
    """Places of all images, with those of smaller classes repeated up to the largest."""
    counts = np.bincount(strata)
    return np.concatenate(
        [np.resize(np.flatnonzero(strata == code), counts.max()) for code in np.flatnonzero(counts)]
    )
