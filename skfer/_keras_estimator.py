"""A Keras network inside a scikit-learn estimator: how its parameters become a fit."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, _check_y

from skfer._dense_images import dense_images
from skfer._distribution import DISTRIBUTIONS, for_pickle
from skfer._fit_phases import epochs_of_fit, phases_of_fit, phases_of_partial_fit
from skfer._network_estimator import NetworkEstimator
from skfer._network_fit import NetworkFit, joined_histories
from skfer._scikit_callbacks import CallbackSupportMixin, FitTask
from skfer._validation_part import held_out
from skfer.networks._anatomy import train_layers, trained_layers
from skfer.networks._keras_settings import standard_keras
from skfer.training import (
    SCHEDULES,
    CheckpointFile,
    Examples,
    TargetRule,
    fingerprint,
    no_graphs_left_behind,
    prepare_tensorflow,
)

# Held out by default where early stopping or a plateau needs something to watch.
_VALIDATION_FRACTION = 0.1
# What changes neither weights nor history of a fit, or is seen in the network that it begins with;
# and on how many devices it runs, as a fit may go on elsewhere.
_NO_PART_OF_A_FIT = {
    *("backend", "class_prior", "temperature", "test_time_augmentation"),
    *("callbacks", "checkpoint_dir", "distribution", "verbose"),
    *("network", "network_params", "weights", "warm_start"),
}


class KerasEstimator(CallbackSupportMixin, NetworkEstimator):
    """Base of the estimators that fit a network; a subclass says what the targets are."""

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer": [str, keras.optimizers.Optimizer],
        "schedule": [StrOptions({"auto", *SCHEDULES}), None],
        "augment": [str, dict, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 0, None, closed="left")],
        "reduce_lr": ["boolean", dict],
        "weight_average": [Interval(Real, 0, 1, closed="neither"), None],
        "frozen_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "fine_tune_from": [str, Interval(Integral, 1, None, closed="left"), None],
        "fine_tune_learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "mixed_precision": [StrOptions({"auto", "bfloat16", "float16"}), None],
        "distribution": [StrOptions(set(DISTRIBUTIONS)), tf.distribute.Strategy, callable, None],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "verbose": ["verbose", StrOptions({"auto"})],
    }

    @standard_keras()
    def _fit_network(
        self,
        examples: Examples,
        validation: Examples | None,
        *,
        n_outputs: int,
        anew: bool,
        partial: bool = False,
        task: FitTask | None = None,
    ) -> None:
        """Train a new network or the one there is.

        `partial` goes on amid a training, and `task` is the fit as scikit-learn's callbacks know
        it.
        """
        prepare_tensorflow()
        # The next partial_fit calls the same functions again.
        with no_graphs_left_behind(keep_kernels=partial and not anew):
            self._train_network(
                examples, validation, n_outputs=n_outputs, anew=anew, partial=partial, task=task
            )

    def _train_network(
        self,
        examples: Examples,
        validation: Examples | None,
        *,
        n_outputs: int,
        anew: bool,
        partial: bool,
        task: FitTask | None,
    ) -> None:
        n_images = len(examples.images)
        phases = phases_of_partial_fit(self, anew) if partial else phases_of_fit(self, n_images)
        callbacks = _copied(self.callbacks or [])
        if anew:
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._build(examples.images, n_outputs)
        checkpoint = None if partial else self._checkpoint(examples, validation)
        examples = _with_weight(self._on_scale(examples))
        if validation is not None:
            validation = self._on_scale(validation)
        elif not partial:
            examples, validation = self._hold_out(examples)
        if validation is not None:
            validation = validation.scaled_weights()
        examples = self._weighted(examples, partial=partial)
        fit = NetworkFit(
            self,
            self.network_,
            examples,
            validation,
            seed=self._seed,
            epoch=self.n_iter_,
            rows=self._rows(examples),
            average=self._average if partial else None,
            callbacks=callbacks,
            checkpoint=checkpoint,
            task=task,
        )
        fit.run(phases)
        self._set_network(self.network_)  # what was predicted amid the fit was compiled as it was
        self._average = fit.average
        if fit.fine_tune_epoch is not None:
            self.fine_tune_epoch_ = fit.fine_tune_epoch
        self.history_ = joined_histories(
            self.history_, self.n_iter_, fit.history, fit.epoch - self.n_iter_
        )
        self.n_iter_ = fit.epoch
        self.callbacks_ = callbacks

    def _most_epochs(self, X: Any) -> int | None:
        """Return the epochs of a fit on images that are not checked yet; None if not known."""
        return epochs_of_fit(self, len(X)) if hasattr(X, "__len__") else self.epochs

    def _checkpoint(self, examples: Examples, validation: Examples | None) -> CheckpointFile | None:
        """The file of this fit: another fit, on other data or otherwise set, has another."""
        if self.checkpoint_dir is None:
            return None
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                f"checkpoint_dir={os.fspath(self.checkpoint_dir)!r} needs an int as random_state, "
                f"not {self.random_state!r}: a fit that is started again must be the same fit."
            )
        settings = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _NO_PART_OF_A_FIT
        }
        name = fingerprint(self.network_, settings, examples, validation)
        return CheckpointFile(self.checkpoint_dir, name)

    def _rows(self, examples: Examples) -> np.ndarray | None:
        """Places of the images of an epoch, some maybe more than once; None is each once."""
        return None

    def _metrics(self) -> list[Any]:
        """What is measured after every epoch beside the loss, in Keras's names or objects."""
        return []

    def _target_rule(self, targets: np.ndarray, n_outputs: int, mixes: bool) -> TargetRule | None:
        """What is done to training targets; None if they go to the loss as they are."""
        raise NotImplementedError

    def _loss(self, rule: TargetRule | None) -> Any:
        """Keras's name of the loss for targets made by that rule, or the loss itself."""
        raise NotImplementedError

    def _images_and_targets(
        self, X: Any, y: Any, *, reset: bool, **checks: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Dense images and what stands in `y` for them; `checks` go to scikit-learn's."""
        images = dense_images(self._images(X, reset=reset))
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y = _check_y(y, estimator=self, **checks)
        if len(y) != len(images):
            raise ValueError(f"X holds {len(images)} images, but y holds {len(y)} labels.")
        return images, y

    def _weights(self, sample_weight: Any, images: np.ndarray) -> np.ndarray | None:
        if sample_weight is None:
            return None
        return _check_sample_weight(
            sample_weight, images, dtype=np.float64, copy=True, ensure_non_negative=True
        )

    def _weighted(self, examples: Examples, *, partial: bool) -> Examples:
        """Weigh the training images, with a mean weight of 1.

        The scale of `sample_weight` goes in every call. That of the class weights is the same in
        all calls of `partial_fit`, whose parts may lack a class.
        """
        examples = examples.scaled_weights(self._rows(examples))
        of_classes = self._class_weights(examples)
        if of_classes is None:
            return examples
        own = 1.0 if examples.weights is None else examples.weights
        examples = _with_weight(examples._replace(weights=own * of_classes))
        return examples if partial else examples.scaled_weights(self._rows(examples))

    def _class_weights(self, examples: Examples) -> np.ndarray | None:
        """Weight of each image by its class; None is 1 for all."""
        return None

    def _validation(self, X: Any, y: Any) -> Examples | None:
        if (X is None) != (y is None):
            raise ValueError("X_val and y_val come together: one of them is None.")
        return None if X is None else self._watched(X, y)

    def _watched(self, X: Any, y: Any) -> Examples:
        """Images to watch, checked, without weights."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Be as before if a fit fails: fitted as it was, or not at all."""
        before = self.__dict__.copy()
        network = before.get("network_")
        if network is not None:
            weights, trained = network.get_weights(), trained_layers(network)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            if network is not None:
                network.set_weights(weights)
                train_layers(network, trained)
            raise

    def __sklearn_clone__(self) -> KerasEstimator:
        clone = super().__sklearn_clone__()
        if isinstance(self.distribution, tf.distribute.Strategy):
            clone.distribution = self.distribution  # of a strategy a process may have one only
        return clone

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return state | {"distribution": for_pickle(state["distribution"])}

    def _on_scale(self, examples: Examples) -> Examples:
        self._check_shape(examples.images)
        return examples._replace(images=self.pixel_range_.bring(examples.images))

    def _hold_out(self, examples: Examples) -> tuple[Examples, Examples | None]:
        """Split off the part to watch, if there is to be one."""
        fraction = self.validation_fraction
        if fraction is None and (self.early_stopping or self.reduce_lr):
            fraction = _VALIDATION_FRACTION
        if fraction is None:
            return examples, None
        return held_out(examples, fraction, self._seed)


def _with_weight(examples: Examples) -> Examples:
    """Leave out images of weight 0."""
    if examples.weights is None or examples.weights.all():
        return examples
    if not examples.weights.any():
        raise ValueError(
            "The weight is 0 for every image, by sample_weight and class_weight: there is nothing "
            "to learn from."
        )
    return examples.take(np.flatnonzero(examples.weights))


def _copied(callbacks: list[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    copies = []
    for place, callback in enumerate(callbacks):
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            raise TypeError(
                f"callbacks[{place}], a {type(callback).__name__}, can't be copied ({error}), and "
                "every fit uses copies: open files and take locks in its on_train_begin."
            ) from error
    return copies
