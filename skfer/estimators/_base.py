"""Base of the estimators with a network: parameters, fit, prediction, state."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import sklearn
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, _check_y

import skfer
from skfer import _training
from skfer._base import ImageEstimator
from skfer._images._dense import dense_images
from skfer._images._pixel_range import PixelRange
from skfer._inference import BACKENDS, VIEWS, Backend, OnnxBackend, OnnxNetwork
from skfer._storage import iter_blocks
from skfer._utils import page, tensorflow_is_usable
from skfer.estimators._sklearn_callbacks import CallbackSupportMixin, FitTask, begin_fit
from skfer.networks._keras_settings import standard_keras

if TYPE_CHECKING:
    import keras

    from skfer._training._checkpoint import CheckpointFile
    from skfer._training._data import Examples
    from skfer._training._phases import FitSettings

# Default share of the images that early stopping and a plateau watch.
_VALIDATION_FRACTION = 0.1
# Parameters that a fit gets as they are.
_FIT_PARAMETERS = (
    "epochs", "batch_size", "learning_rate", "optimizer", "schedule", "augment",
    "early_stopping", "reduce_lr", "weight_average", "mixed_precision", "distribution",
    "verbose",
)  # fmt: skip
# Parameters that change neither the weights nor the history of a fit, or whose effect is in the
# network that it starts with. The number of devices may change when a fit continues.
_NOT_IN_FINGERPRINT = {
    "backend", "class_prior", "temperature", "test_time_augmentation",
    "callbacks", "checkpoint_dir", "distribution", "verbose",
    "network", "network_params", "weights", "warm_start",
}  # fmt: skip


class NetworkEstimator(CallbackSupportMixin, ImageEstimator):
    """Base of the estimators that fit a network.

    `network_` is a scaling layer and a body, which is the network of the parameters.

    A subclass prepares the targets in `fit`, and implements `_objective`, `_validation_examples`,
    `_describe_targets` and, where it needs them, the other hooks.
    """

    _parameter_constraints: dict = {
        "network": [str, os.PathLike, callable, None],
        "weights": [str, os.PathLike, FrozenEstimator, None],
        "network_params": [dict, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "activation": [str, None],
        "pixel_range": [tuple, list],
        "test_time_augmentation": [StrOptions(set(VIEWS)), None],
        "backend": [StrOptions(set(BACKENDS))],
        "random_state": ["random_state"],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer": [str, HasMethods(["get_config", "apply_gradients"])],
        "schedule": [StrOptions({"auto", *_training.SCHEDULES}), None],
        "augment": [str, dict, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "reduce_lr": ["boolean", dict],
        "weight_average": [Interval(Real, 0, 1, closed="neither"), None],
        "fine_tune": [dict, None],
        "checkpoint_dir": [str, os.PathLike, None],
        "mixed_precision": [StrOptions({"auto", "bfloat16", "float16"}), None],
        "distribution": [
            StrOptions(set(_training.DISTRIBUTIONS)),
            HasMethods(["scope", "run"]),
            callable,
            None,
        ],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "verbose": ["verbose", StrOptions({"auto"})],
    }

    network: Any
    history_: dict[str, list[float]]
    n_iter_: int
    fine_tune_epoch_: int | None
    _average: dict | None = None  # state of `weight_average` for the next call of `partial_fit`
    # Whether each layer of the body is trainable before a fit freezes some.
    _trained_at_first: list[bool]
    # Function, options and scaling of the network; parameters may change after a fit.
    _built_with: tuple[Any, dict[str, Any], tuple[float, float]] | None

    # Hooks of the subclasses

    def _objective(self, targets: np.ndarray, n_outputs: int) -> dict[str, Any]:
        """Return `loss`, `metrics` and `target_transform` of `FitSettings` for targets."""
        raise NotImplementedError

    def _validation_examples(self, X: Any, y: Any) -> Examples:
        """Return checked validation examples without weights."""
        raise NotImplementedError

    def _describe_targets(self, n_outputs: int) -> str:
        """Return a description of the targets, for errors."""
        raise NotImplementedError

    def _check_outputs(self) -> None:
        """Raise an error if a new network has outputs that are not targets."""

    def _adapt_head(self, body: keras.Model) -> keras.Model:
        """Return a body that ends in a softmax with the last activation of the estimator."""
        return body

    def _sort_outputs(self, model: keras.Model) -> keras.Model:
        """Return a model with its outputs in the order of the targets."""
        return model

    def _epoch_rows(self, examples: Examples) -> np.ndarray | None:
        """Return the rows of an epoch, some of them repeated; None is each once."""
        return None

    def _class_weights(self, examples: Examples) -> np.ndarray | None:
        """Return the weight of the class of each example; None is 1 for all."""
        return None

    # Fit

    def _image_and_target_arrays(
        self, X: Any, y: Any, *, reset: bool, **checks: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return checked images and targets; `checks` are arguments of scikit-learn's check."""
        images = dense_images(self._images(X, reset=reset))
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y = _check_y(y, estimator=self, **checks)
        if len(y) != len(images):
            raise ValueError(f"X holds {len(images)} images, but y holds {len(y)} labels.")
        return images, y

    def _checked_weights(self, sample_weight: Any, images: np.ndarray) -> np.ndarray | None:
        """Return a validated copy of `sample_weight`."""
        if sample_weight is None:
            return None
        return _check_sample_weight(
            sample_weight, images, dtype=np.float64, copy=True, ensure_non_negative=True
        )

    def _validation(self, X: Any, y: Any) -> Examples | None:
        """Return the validation examples of `fit`; None if there are none."""
        if (X is None) != (y is None):
            raise ValueError("X_val and y_val must be given together: one of them is None.")
        return None if X is None else self._validation_examples(X, y)

    def _begin_fit(self, X: Any, y: Any, sample_weight: Any) -> FitTask | None:
        """Begin the task of a fit for `sklearn.callback`."""
        if isinstance(self.verbose, int) and self.verbose and "tensorflow" not in sys.modules:
            print("Loading TensorFlow ...", flush=True)  # takes some seconds
        epochs = self.epochs
        if hasattr(X, "__len__"):
            frozen = _training.FineTuning.from_parameter(self.fine_tune).frozen_epochs
            epochs = _training.count_epochs(len(X), epochs, self.weights is not None, frozen)
        return begin_fit(self, X, y, sample_weight, epochs=epochs)

    @contextlib.contextmanager
    def _restore_on_error(self) -> Iterator[None]:
        """Restore the fitted state if the fit raises."""
        before = self.__dict__.copy()
        network = before.get("_network")
        if network is not None and not isinstance(network, OnnxNetwork):
            from skfer.networks._layers import set_trainable, trainable_flags

            weights, trainable = network.get_weights(), trainable_flags(network)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            if network is not None and not isinstance(network, OnnxNetwork):
                network.set_weights(weights)
                set_trainable(network, trainable)
            raise

    @standard_keras()
    def _fit_network(
        self,
        examples: Examples,
        validation: Examples | None,
        *,
        n_outputs: int,
        new: bool,
        partial: bool = False,
        task: FitTask | None = None,
    ) -> None:
        """Train a new network or the fitted one; `partial` is for `partial_fit`."""
        _training.prepare_tensorflow()
        # The next call of partial_fit uses the kernels again.
        with _training.release_graphs(keep_kernels=partial and not new):
            callbacks = _copy_callbacks(self.callbacks or [])
            if new:
                self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
                self._build(examples.images, n_outputs)
            network = self.network_  # built here if it was loaded
            settings = self._fit_settings(examples.targets, n_outputs)
            if partial:
                phases, checkpoint_file = _training.plan_partial_fit(settings, new), None
            else:
                phases = _training.plan_phases(settings, len(examples.images))
                checkpoint_file = self._checkpoint_file(examples, validation)
            examples = self._scaled_examples(examples).without_zero_weights()
            if validation is not None:
                validation = self._scaled_examples(validation)
            elif not partial:
                examples, validation = self._hold_out(examples)
            examples = self._normalized(examples, partial=partial)
            fitted = self.history_, self.n_iter_, self.fine_tune_epoch_
            result = _training.fit_network(
                network,
                examples,
                None if validation is None else validation.normalized(),
                settings,
                phases,
                rows=self._epoch_rows(examples),
                before=_training.FitResult(*fitted, self._average if partial else None),
                callbacks=callbacks,
                checkpoint_file=checkpoint_file,
                monitor=None if task is None else _training.EpochTasks(task),
            )
            self._set_network(network)  # graphs that predicted during the fit are outdated
            self.history_, self.n_iter_ = result.history, result.n_epochs
            self.fine_tune_epoch_, self._average = result.fine_tune_epoch, result.average
            self.callbacks_ = callbacks

    def _fit_settings(self, targets: np.ndarray, n_outputs: int) -> FitSettings:
        """Return the settings of a fit from the parameters and the built network."""
        return _training.FitSettings(
            **{name: getattr(self, name) for name in _FIT_PARAMETERS},
            **self._objective(targets, n_outputs),
            fine_tuning=_training.FineTuning.from_parameter(self.fine_tune),
            seed=self._seed,
            pixel_limits=(self.pixel_range_.low, self.pixel_range_.high),
            default_network=self.network is None and self.weights is None,
            from_weights=self.weights is not None,
            initially_trainable=self._trained_at_first,
            rebuild=self._rebuild,
        )

    def _checkpoint_file(
        self, examples: Examples, validation: Examples | None
    ) -> CheckpointFile | None:
        """Return the file of this fit; fits on other data or with other parameters differ."""
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
            if name not in _NOT_IN_FINGERPRINT
        }
        fingerprint = _training.fit_fingerprint(self.network_, settings, examples, validation)
        return _training.CheckpointFile(self.checkpoint_dir, fingerprint)

    def _hold_out(self, examples: Examples) -> tuple[Examples, Examples | None]:
        """Return training and validation examples."""
        fraction = self.validation_fraction
        reduces_lr = isinstance(self.reduce_lr, dict) or self.reduce_lr
        if fraction is None and (self.early_stopping or reduces_lr):
            fraction = _VALIDATION_FRACTION
        return (examples, None) if fraction is None else examples.split(fraction, self._seed)

    def _normalized(self, examples: Examples, *, partial: bool) -> Examples:
        """Return training examples with weights of mean 1.

        `sample_weight` is normalized in every call. Class weights have the same scale in all calls
        of `partial_fit`, whose data may lack a class.
        """
        examples = examples.normalized(self._epoch_rows(examples))
        class_weights = self._class_weights(examples)
        if class_weights is None:
            return examples
        own = 1.0 if examples.weights is None else examples.weights
        examples = examples._replace(weights=own * class_weights).without_zero_weights()
        return examples if partial else examples.normalized(self._epoch_rows(examples))

    def _scaled_examples(self, examples: Examples) -> Examples:
        """Return examples whose images have the fitted shape and scale."""
        self._check_shape(examples.images)
        return examples._replace(images=self.pixel_range_.convert(examples.images))

    # Network

    @standard_keras()
    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        """Build the network for images like these, with the weights that a fit starts from."""
        from skfer.estimators._network import load_weights_into, resolve_network
        from skfer.networks._keras_file import is_model, model_name

        _training.prepare_tensorflow()
        self.image_shape_ = images.shape[1:]
        self.pixel_range_ = PixelRange.from_images(images)
        with _training.release_graphs(), _training.isolated_random_state(self._seed):
            if is_model(self.network):
                if self.weights is not None:
                    raise ValueError(
                        f"network={model_name(self.network)} is a saved model and has weights: "
                        "leave weights at None."
                    )
                body = self._model_body(n_outputs, new_head=True)
            else:
                body = self._build_body(*resolve_network(self), n_outputs)
                if self.weights is not None and self.weights != "imagenet":
                    load_weights_into(body, self.weights, getattr(self, "classes_", None))
            self._use_body(body, n_outputs)

    @standard_keras()
    def _build_from_model(self, n_outputs: int) -> None:
        """Set the fitted state to that of a Keras model, for images of the size it takes."""
        from skfer.networks._keras_file import model_name

        _training.prepare_tensorflow()
        self._seed = self._fixed_seed()
        with _training.release_graphs(), _training.isolated_random_state(self._seed):
            body = self._model_body(n_outputs, new_head=False)
            if None in body.input_shape[1:]:
                raise ValueError(
                    f"{model_name(self.network)} takes images of shape {body.input_shape[1:]}; "
                    "height, width and channels must all be fixed. Load it with Keras and give "
                    "from_keras a model with a size: "
                    "keras.Sequential([keras.Input((48, 48, 1)), model])."
                )
            self.image_shape_ = body.input_shape[1:]
            self.pixel_range_ = PixelRange(0.0, 255.0)
            self._use_body(body, n_outputs)

    def _fixed_seed(self) -> int:
        """Return a seed without a draw from the global generator."""
        random_state = 0 if self.random_state is None else self.random_state
        return int(check_random_state(random_state).randint(2**31 - 1))

    def _build_body(self, network: Any, options: dict[str, Any], n_outputs: int) -> keras.Model:
        """Build the body from a name or a function."""
        from skfer.estimators._network import build_body, scaling

        body = build_body(network, options, self.image_shape_, n_outputs)
        self._built_with = network, options, scaling(self.pixel_range_, self.pixel_range)
        return self._adapt_head(body)

    def _model_body(self, n_outputs: int, *, new_head: bool) -> keras.Model:
        """Return a copy of the Keras model in the parameter `network` as the body."""
        from skfer.estimators._network import body_from_model, warn_if_scaled_twice

        targets = self._describe_targets(n_outputs)
        model, same_head = body_from_model(self, n_outputs, targets, new_head=new_head)
        warn_if_scaled_twice(self.network, model, self.pixel_range)
        self._built_with = None
        return self._adapt_head(self._sort_outputs(model) if same_head else model)

    def _use_body(self, body: keras.Model, n_outputs: int) -> None:
        """Set the fitted state to a new network: scaling and body."""
        from skfer.estimators._network import add_scaling, scaling
        from skfer.networks._layers import trainable_flags

        name = f"The network {body.name if self.network is None else self.network!r}"
        if body.input_shape[1:] != self.image_shape_:
            raise ValueError(
                f"{name} takes images of shape {body.input_shape[1:]}; "
                f"X has {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )
        scale = scaling(self.pixel_range_, self.pixel_range)
        network = add_scaling(body, self.image_shape_, scale)
        if network.output_shape != (None, n_outputs):
            raise ValueError(
                f"{name} has outputs of shape {network.output_shape}; "
                f"{self._describe_targets(n_outputs)} need (None, {n_outputs})."
            )
        self.history_, self.n_iter_ = {}, 0
        self.fine_tune_epoch_ = self._average = None
        self._trained_at_first = trainable_flags(body)
        self._set_network(network)
        self._check_outputs()

    def _rebuild(self, n_outputs: int) -> keras.Model:
        """Build the network again, with weights to be set."""
        from skfer.estimators._network import add_scaling, resolve_network, scaling
        from skfer.networks._keras_file import is_model

        built_with = getattr(self, "_built_with", None)
        if built_with is None:
            if is_model(self.network):
                _refuse_copy(n_outputs)
            built_with = *resolve_network(self), scaling(self.pixel_range_, self.pixel_range)
        network, options, scale = built_with
        body = self._build_body(network, options | {"weights": None}, n_outputs)
        self._built_with = built_with
        return add_scaling(body, self.image_shape_, scale)

    @property
    def network_(self) -> keras.Model:
        """The fitted network, from pixels to outputs. It is built on first access."""
        if "_network" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'network_'")
        if isinstance(self._network, OnnxNetwork):
            self._set_network(self._keras_network(self._network))
        return self._network

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in vars(self)

    @standard_keras()
    def _keras_network(self, stored: OnnxNetwork) -> keras.Model:
        """Build the Keras network of a stored one."""
        from skfer.networks._description import build_described
        from skfer.networks._layers import trainable_flags

        _training.prepare_tensorflow()
        with _training.release_graphs(), _training.isolated_random_state(self._seed):
            network = build_described(*stored.read())
            if not hasattr(self, "_trained_at_first"):
                self._trained_at_first = trainable_flags(network.layers[-1])
        return network

    def _use_stored_network(self, network: OnnxNetwork, image_shape: tuple[int, ...]) -> None:
        """Set the fitted state to a trained network for uint8 images."""
        self._seed = self._fixed_seed()
        self.image_shape_ = image_shape
        self.pixel_range_ = PixelRange(0.0, 255.0)
        self.history_, self.n_iter_ = {}, 0
        self.fine_tune_epoch_ = None
        self._built_with = None
        self._set_network(network)

    # Prediction

    def _set_network(self, network: keras.Model | OnnxNetwork) -> None:
        """Set the network, and discard graphs of the previous one."""
        self._network = network
        # Keys: backend, test-time augmentation, and whether features are returned.
        self._backends: dict[tuple, Backend] = {}
        # Graphs that `skfer.inspection` traced, by what they compute.
        self._inspecting: dict[Any, Any] = {}

    def _forward(self, X: Any) -> np.ndarray:
        """Return the outputs of the network, ``(n, n_outputs)`` float32."""
        images = self._checked_images(X)
        return self._run(self._backend(self.test_time_augmentation, features=False), images)

    def _embed(self, X: Any) -> np.ndarray:
        """Return the inputs of the last layer of the network, ``(n, n_features)`` float32."""
        images = self._checked_images(X)
        return self._run(self._backend(None, features=True), images)

    def _backend(self, views: str | None, *, features: bool) -> Backend:
        """Return the function from images on the fitted scale to outputs or features."""
        if not isinstance(self._network, OnnxNetwork) or self.backend == "keras":
            _training.prepare_tensorflow()
        key = (self.backend, views, features)
        if key not in self._backends:
            self._backends[key] = self._create_backend(views, features=features)
        return self._backends[key]

    def _create_backend(self, views: str | None, *, features: bool) -> Backend:
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {list(BACKENDS)}; got {self.backend!r}.")
        pixels = self.pixel_range_.low, self.pixel_range_.high
        if isinstance(self._network, OnnxNetwork) and self.backend != "keras":
            calibration = pixels if self.backend == "onnx-int8" else None
            return OnnxBackend(self._network, views, features=features, calibration=calibration)
        from skfer._inference._keras import keras_backend

        network = self.network_
        return keras_backend(network, self.backend, views, features=features, pixel_range=pixels)

    def _n_features(self) -> int:
        """Return the number of inputs of the last layer."""
        blank = np.zeros((1, *self.image_shape_), np.uint8)
        return self._run(self._backend(None, features=True), blank).shape[1]

    def _run(self, backend: Backend, images: np.ndarray) -> np.ndarray:
        """Return the outputs for images, which are scaled part by part."""
        outputs = [backend(self.pixel_range_.scaled(part)) for part in iter_blocks(images)]
        joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
        finite = np.isfinite(joined).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"The network gives NaN or infinity for X[{finite.argmin()}]: its weights are "
                "damaged, or its training diverged."
            )
        return joined

    def _checked_images(self, X: Any) -> np.ndarray:
        """Return the images as one array, of the shape and on a scale of those of the fit."""
        images = dense_images(self._images(X, reset=False))
        self._check_shape(images)
        self.pixel_range_.check(images)
        return images

    def _scaled_images(self, X: Any) -> np.ndarray:
        """Return the images as one array, on the scale of those of the fit."""
        return self.pixel_range_.scaled(self._checked_images(X))

    def _check_shape(self, images: np.ndarray) -> None:
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[1:]}, but {type(self).__name__} was fitted "
                f"on {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )

    # State

    def __sklearn_clone__(self) -> NetworkEstimator:
        clone = super().__sklearn_clone__()
        if _is_strategy(self.distribution):
            clone.distribution = self.distribution  # a process may have only one of a strategy
        return clone

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        # Callbacks hold the network, and may hold what cannot be pickled. The average of weights is
        # used by a continued fit only, like the optimizer.
        for name in ("_backends", "_inspecting", "callbacks_", "_average"):
            state.pop(name, None)
        if _is_strategy(state["distribution"]):
            state["distribution"] = _training.PickledStrategy(type(self.distribution).__name__)
        if is_keras_model(state.get("network")):
            state["network"] = _network_data(state["network"])
        if "_network" in state:
            if is_keras_model(state["_network"]):
                state["_network"] = _network_data(state["_network"], export=True)
            state["_versions"] = package_versions()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state.copy()
        _warn_of_other_versions(type(self).__name__, state.pop("_versions", None))
        network = state.pop("_network", None)
        super().__setstate__(state)
        if isinstance(network, OnnxNetwork):
            self._set_network(network)
            network = None
        if network is None and not isinstance(self.network, dict):
            return
        if not tensorflow_is_usable():
            # Prediction raises the error. A pool of processes whose task cannot be unpickled waits
            # forever.
            if network is not None:
                self._set_network(network)
            return
        self._restore_keras_models(network)

    @standard_keras()
    def _restore_keras_models(self, network: dict[str, Any] | None) -> None:
        """Build the models that a pickle holds as data."""
        from skfer.networks._copies import network_from_state

        _training.prepare_tensorflow()
        with _training.release_graphs():
            if isinstance(self.network, dict):
                self.network = network_from_state(self.network, _refuse_copy)
            if network is not None:
                with _training.isolated_random_state(self._seed):
                    self._set_network(network_from_state(network, self._rebuild))


def is_keras_model(value: Any) -> bool:
    """Return whether a value is a Keras model. Keras is not imported."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.Model)


def _is_strategy(value: Any) -> bool:
    """Return whether a value is a strategy of TensorFlow, which is not imported."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, tensorflow.distribute.Strategy)


def _network_data(network: keras.Model, *, export: bool = False) -> OnnxNetwork | dict[str, Any]:
    """Return a network as data: in ONNX, or as its config if it cannot be exported."""
    from skfer._inference._keras import export_network
    from skfer.networks._copies import network_state

    if export:
        with contextlib.suppress(ValueError):
            return export_network(network)
    return network_state(network)


def _copy_callbacks(callbacks: list[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    copies = []
    for index, callback in enumerate(callbacks):
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            raise TypeError(
                f"callbacks[{index}], a {type(callback).__name__}, can't be copied ({error}), and "
                "every fit uses copies: open files and take locks in its on_train_begin."
            ) from error
    return copies


def _refuse_copy(n_outputs: int) -> NoReturn:
    """Raise the error for a model that cannot be built from its config."""
    raise ValueError(
        "The model given as network has a layer that can't be copied, such as a Lambda or a class "
        "that is not registered with keras.saving.register_keras_serializable. Give network= a "
        "function that builds the model."
    )


def package_versions() -> dict[str, str]:
    """Return the versions of packages that are saved with a network; "none" if not installed."""
    versions = {module.__name__: module.__version__ for module in (skfer, sklearn, np)}
    for package in ("keras", "tensorflow"):  # not imported for their version
        versions[package] = "none"
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _warn_of_other_versions(name: str, recorded: dict[str, str] | None) -> None:
    """Warn if a pickle was made with other versions of packages."""
    if recorded is None:
        return
    here = package_versions()
    other = [
        f"{package} {version} (here {here[package]})"
        for package, version in recorded.items()
        if version != here.get(package)
    ]
    if other:
        warnings.warn(
            f"This {name} was pickled with {', '.join(other)}. It may not load or predict as "
            "it did: install those versions, or check its predictions. Files of skfer.save don't "
            f"depend on them, see {page('guide/deploy')}",
            UserWarning,
            stacklevel=3,
        )
