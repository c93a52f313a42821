"""`FacialExpressionClassifier`: a Keras CNN as a scikit-learn classifier."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d

from skfer._images import dense_images
from skfer._keras_estimator import KerasEstimator

# Held out by default where early stopping or a plateau needs something to watch.
_VALIDATION_FRACTION = 0.1


class FacialExpressionClassifier(ClassifierMixin, KerasEstimator):
    """Name the expression on a face with a convolutional network."""

    _parameter_constraints = {
        **KerasEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "classes": ["array-like", None],
    }
    _loss = "sparse_categorical_crossentropy"

    def __init__(
        self,
        network: str | os.PathLike | Callable[..., keras.Model] = "cnn4",
        *,
        epochs: int = 15,
        batch_size: int = 64,
        learning_rate: float | None = None,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        dropout: float | None = None,
        activation: str | None = None,
        augment: str | dict | None = None,
        class_weight: dict | str | None = None,
        classes: Sequence | None = None,
        validation_fraction: float | None = None,
        early_stopping: bool = False,
        patience: int = 5,
        reduce_lr: bool | dict = False,
        mixed_precision: str | None = None,
        pixel_range: tuple[float, float] = (0.0, 1.0),
        warm_start: bool = False,
        callbacks: list[keras.callbacks.Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.dropout = dropout
        self.activation = activation
        self.augment = augment
        self.class_weight = class_weight
        self.classes = classes
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.reduce_lr = reduce_lr
        self.mixed_precision = mixed_precision
        self.pixel_range = pixel_range
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> FacialExpressionClassifier:
        images = dense_images(self._images(X, reset=True))
        go_on = self.warm_start and hasattr(self, "network_")
        y = self._labels(y, len(images))
        self.classes_ = self._classes_of(y)
        weights = self._weights(y, sample_weight, images)
        validation = None if X_val is None else (
            dense_images(self._images(X_val, reset=False)), self._codes(self._labels(y_val, None))
        )
        fraction = self.validation_fraction
        if fraction is None and (self.early_stopping or self.reduce_lr):
            fraction = _VALIDATION_FRACTION
        codes = self._codes(y)
        if validation is None and fraction is not None:
            train, held_out = train_test_split(
                np.arange(len(codes)), test_size=fraction, stratify=codes,
                random_state=self.random_state,
            )
            validation = (images[held_out], codes[held_out])
            images, codes = images[train], codes[train]
            weights = None if weights is None else weights[train]
        self._fit_network(
            images, codes, weights, validation,
            n_outputs=len(self.classes_), epochs=self.epochs, go_on=go_on,
        )
        return self

    def _labels(self, y, n):
        return column_or_1d(y)

    def _classes_of(self, y):
        return np.unique(y)

    def _codes(self, y):
        return np.searchsorted(self.classes_, y)

    def _weights(self, y, sample_weight, images):
        return None

    def predict_proba(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "network_")
        return self._forward(X)

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
