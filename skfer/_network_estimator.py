"""What an estimator with a network can do: build it, predict with it, be pickled."""

from __future__ import annotations

import os
import warnings
from numbers import Real
from typing import Any, NoReturn

import keras
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skfer import _network_state as network_state
from skfer._base import ImageEstimator
from skfer._compiled_network import CompiledNetwork
from skfer._dense_images import dense_images
from skfer._file_array import parts
from skfer._onnx_network import BACKENDS
from skfer._pixel_range import PixelRange
from skfer._starting_weights import network_of, start_from
from skfer._threads import tensorflow_is_usable
from skfer.networks import build_network
from skfer.networks._anatomy import all_layers, features, trained_layers
from skfer.networks._keras_file import image_model, is_model, load_model_file, model_name
from skfer.networks._keras_settings import standard_keras
from skfer.networks._rebuild import has_strided_pointwise, rebuilt
from skfer.networks._registry import DEFAULT_NETWORK
from skfer.training import (
    VIEWS,
    isolated_random_state,
    no_graphs_left_behind,
    prepare_tensorflow,
)


class NetworkEstimator(ImageEstimator):
    """Base of the estimators that have a network; a subclass trains it."""

    _parameter_constraints: dict = {
        "network": [str, os.PathLike, keras.Model, callable, None],
        "weights": [str, os.PathLike, FrozenEstimator, None],
        "network_params": [dict, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "activation": [str, None],
        "pixel_range": [tuple, list],
        "test_time_augmentation": [StrOptions(set(VIEWS)), None],
        "backend": [StrOptions(set(BACKENDS))],
        "random_state": ["random_state"],
    }

    network: Any
    weights: str | os.PathLike | FrozenEstimator | None
    network_params: dict | None
    dropout: float | None
    activation: str | None
    pixel_range: tuple[float, float]
    test_time_augmentation: str | None
    backend: str
    random_state: int | np.random.RandomState | None

    history_: dict[str, list[float]]
    n_iter_: int
    fine_tune_epoch_: int | None
    _average: dict | None
    _seed: int
    _trained_at_first: list[bool]
    # Function, options and scaling the network was built with: parameters may change after a fit.
    _made_with: tuple[Any, dict[str, Any], tuple[float, float]] | None
    callbacks_: list[keras.callbacks.Callback]

    @standard_keras()
    @no_graphs_left_behind()
    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        prepare_tensorflow()
        self.image_shape_ = images.shape[1:]
        self.pixel_range_ = PixelRange.of(images)
        with isolated_random_state(self._seed):
            if is_model(self.network):
                if self.weights is not None:
                    raise ValueError(
                        f"network={model_name(self.network)} is a saved model and has weights: "
                        "leave weights at None."
                    )
                body = self._body_from_model(n_outputs, new_head=True)
                self._warn_if_scaled_twice(body)
            else:
                network, options = self._network_and_options()
                body = self._body(network, n_outputs, options)
                if self.weights is not None and self.weights != "imagenet":
                    start_from(body, self.weights, getattr(self, "classes_", None))
            self._compose(body, n_outputs)

    def _build_untrained(self, image_shape: tuple[int, ...], n_outputs: int) -> None:
        """Be fitted with the weights that a fit would start from, for images in uint8."""
        self._seed = self._seed_without_global_state()
        self._build(np.zeros((1, *image_shape), np.uint8), n_outputs)

    @standard_keras()
    @no_graphs_left_behind()
    def _build_from_model(self, n_outputs: int) -> None:
        """Be fitted with the weights of a Keras model, for images of the size it takes."""
        prepare_tensorflow()
        self._seed = self._seed_without_global_state()
        with isolated_random_state(self._seed):
            body = self._body_from_model(n_outputs, new_head=False)
            self._warn_if_scaled_twice(body)
            if None in body.input_shape[1:]:
                raise ValueError(
                    f"{model_name(self.network)} takes images of shape {body.input_shape[1:]}; "
                    "height, width and channels must all be fixed. Load it with Keras and give "
                    "from_keras a model with a size: "
                    "keras.Sequential([keras.Input((48, 48, 1)), model])."
                )
            self.image_shape_ = body.input_shape[1:]
            self.pixel_range_ = PixelRange(0.0, 255.0)
            self._compose(body, n_outputs)

    def _seed_without_global_state(self) -> int:
        """Return a seed; loading weights must not draw from the generator of the process."""
        random_state = 0 if self.random_state is None else self.random_state
        return int(check_random_state(random_state).randint(2**31 - 1))

    def _body(self, network: Any, n_outputs: int, options: dict[str, Any]) -> keras.Model:
        """The network as its function builds it, with the end that this estimator needs."""
        body = build_network(network, self.image_shape_, n_outputs, **options)
        if not isinstance(body, keras.Model):
            raise ValueError(
                f"The network {network!r} returned {_what_it_is(body)}; it must return a "
                "keras.Model, such as keras.Model(inputs, outputs)."
            )
        if isinstance(body, keras.Sequential) and not body.built:
            body.build((None, *self.image_shape_))
        body = image_model(body, f"The network {network!r}")
        if has_strided_pointwise(body):
            body = rebuilt(body)
        self._made_with = (network, options, self._rescaling())
        return self._ending(body)

    def _ending(self, body: keras.Model) -> keras.Model:
        """A network that ends in probabilities, with the end that this estimator needs."""
        return body

    def _body_from_model(self, n_outputs: int, *, new_head: bool) -> keras.Model:
        """A copy of a Keras model whose outputs stand in the order of this estimator's targets.

        With `new_head`, a model with another number of outputs gets a new last layer.
        """
        name = model_name(self.network)
        for parameter in ("dropout", "activation", "network_params"):
            if getattr(self, parameter) is not None:
                raise ValueError(
                    f"{parameter}={getattr(self, parameter)!r} has no effect on the saved model "
                    f"{name}: leave it at None."
                )
        given = isinstance(self.network, keras.Model)
        if given and not self.network.built:
            raise ValueError(f"{name} is not built: give it a keras.Input.")
        model = self.network if given else load_model_file(self.network)
        model = image_model(model, name)
        fits = model.output_shape == (None, n_outputs)
        if not fits and not (new_head and len(model.output_shape) == 2):
            raise ValueError(
                f"{name} has outputs of shape {model.output_shape}, which is "
                f"not one for each of the {self._outputs(n_outputs)}. For labels of your own, fit: "
                f"{type(self).__name__}(network=...).fit(X, y) gives the model new outputs."
            )
        if given or not fits:
            model = rebuilt(model, None if fits else n_outputs)
        self._made_with = None
        return self._ending(self._in_order(model) if fits else model)

    def _in_order(self, model: keras.Model) -> keras.Model:
        """A model with its outputs in the order of this estimator's targets."""
        return model

    def _outputs(self, n_outputs: int) -> str:
        """What the outputs stand for, for an error."""
        raise NotImplementedError

    def _warn_if_scaled_twice(self, saved: keras.Model) -> None:
        for layer in all_layers(saved):
            divides = isinstance(layer, keras.layers.Rescaling) and np.max(layer.scale) < 0.1
            if divides and max(self.pixel_range) <= 1:
                warnings.warn(
                    f"{model_name(self.network)} has a scaling layer of its own, "
                    f"{layer.name!r}, and pixel_range={self.pixel_range} scales the images before "
                    "it: set pixel_range=(0, 255) if it was trained on such pixels.",
                    UserWarning,
                    stacklevel=2,
                )

    def _network_and_options(self) -> tuple[Any, dict[str, Any]]:
        """Return the network that a fit builds and its options, some of which weights tell."""
        options = self._network_options()
        if self.network is not None:
            return self.network, options
        if self.weights is None:
            return DEFAULT_NETWORK, options
        network, own = network_of(self.weights)
        chosen = {name: value for name, value in options.items() if value is not None}
        return network, own | chosen

    def _network_options(self) -> dict[str, Any]:
        own = {"dropout": self.dropout, "activation": self.activation}
        twice = sorted(set(self.network_params or {}) & {n for n in own if own[n] is not None})
        if twice:
            raise ValueError(f"{twice[0]!r} is given twice: by itself and in network_params.")
        if isinstance(self.weights, str) and self.weights == "imagenet":
            own["weights"] = self.weights
        return own | (self.network_params or {})

    def _name_of(self, body: keras.Model) -> str:
        """Return how the network is called in errors."""
        return f"The network {body.name if self.network is None else self.network!r}"

    def _compose(self, body: keras.Model, n_outputs: int) -> None:
        """Put the scaling before the network, and look whether it fits images and targets."""
        if body.input_shape[1:] != self.image_shape_:
            raise ValueError(
                f"{self._name_of(body)} takes images of shape {body.input_shape[1:]}; "
                f"X has {self.image_shape_}. Put an ImageResizer or GrayscaleResizer before it."
            )
        network = _with_scaling(body, self.image_shape_, self._rescaling())
        if network.output_shape != (None, n_outputs):
            raise ValueError(
                f"{self._name_of(body)} has outputs of shape {network.output_shape}; "
                f"{self._outputs(n_outputs)} need (None, {n_outputs})."
            )
        self.history_ = {}
        self.n_iter_ = 0
        self.fine_tune_epoch_ = None
        self._average = None
        self._trained_at_first = trained_layers(body)
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
        made_with = getattr(self, "_made_with", None)
        if made_with is None:
            if is_model(self.network):
                _refuse_copy(n_outputs)
            made_with = (*self._network_and_options(), self._rescaling())
        network, options, rescaling = made_with
        body = self._body(network, n_outputs, options | {"weights": None})
        return _with_scaling(body, self.image_shape_, rescaling)

    def _set_network(self, network: keras.Model) -> None:
        self.network_ = network
        self._compiled = self._compile(network, self.test_time_augmentation)
        self._compiled_features: CompiledNetwork | None = None
        # Graphs that `skfer.inspection` made of the network, kept as long as it is.
        self._inspecting: dict[Any, Any] = {}

    def _compile(self, network: keras.Model, views: str | None = None) -> CompiledNetwork:
        pixels = self.pixel_range_
        return BACKENDS[self.backend](network, views, (pixels.low, pixels.high))

    @standard_keras()
    def _forward(self, X: Any) -> np.ndarray:
        """What the network says of every image, ``(n, n_outputs)`` float32."""
        prepare_tensorflow()
        images = self._checked_images(X)
        backend, views = BACKENDS[self.backend], self.test_time_augmentation
        if type(self._compiled) is not backend or self._compiled.views != views:
            self._compiled = self._compile(self.network_, views)
        return self._answers(self._compiled, images)

    @standard_keras()
    def _embed(self, X: Any) -> np.ndarray:
        """What the last layer of the network gets to see of every image, ``(n, n_features)``."""
        prepare_tensorflow()
        images = self._checked_images(X)
        backend = BACKENDS[self.backend]
        if type(self._compiled_features) is not backend:
            self._compiled_features = self._compile(self._features())
        return self._answers(self._compiled_features, images)

    def _answers(self, network: CompiledNetwork, images: np.ndarray) -> np.ndarray:
        """Return the outputs of a network for images, which are scaled part by part."""
        outputs = [network(self.pixel_range_.scaled(part)) for part in parts(images)]
        joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
        finite = np.isfinite(joined).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"The network gives NaN or infinity for X[{finite.argmin()}]: its weights are "
                "damaged, or its training diverged."
            )
        return joined

    @standard_keras()
    def _features(self) -> keras.Model:
        """The network without its last layer."""
        scaling, body = self.network_.layers[1:]
        return keras.Model(self.network_.inputs[0], features(body)(scaling.output))

    def _on_fitted_scale(self, X: Any) -> np.ndarray:
        """The images as one array, of the shape and on the scale of those fitted on."""
        return self.pixel_range_.scaled(self._checked_images(X))

    def _checked_images(self, X: Any) -> np.ndarray:
        """The images as one array, of the shape of those fitted on, and floats on their scale."""
        images = dense_images(self._images(X, reset=False))
        self._check_shape(images)
        self.pixel_range_.check(images)
        return images

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
        state.pop("_inspecting", None)
        state.pop("callbacks_", None)  # they hold the network, and what can't be pickled
        if "_average" in state:
            state["_average"] = None  # of use to a training that goes on, as the optimiser's state
        if isinstance(state.get("network"), keras.Model):
            state["network"] = network_state.freeze(state["network"])
        if "network_" in state:
            state["network_"] = network_state.freeze(state["network_"])
            state["_versions"] = network_state.versions()
        return state

    @standard_keras()
    @no_graphs_left_behind()
    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state.copy()
        network_state.warn_of_other_versions(type(self).__name__, state.pop("_versions", None))
        frozen = state.pop("network_", None)
        super().__setstate__(state)
        if isinstance(self.network, dict) and tensorflow_is_usable():
            prepare_tensorflow()
            self.network = network_state.thaw(self.network, _refuse_copy)
        if frozen is not None and not tensorflow_is_usable():
            # Whoever uses it is told. A pool of processes that met an error while it unpickles a
            # task would wait for good.
            self.network_ = frozen
        elif frozen is not None:
            prepare_tensorflow()
            with isolated_random_state(self._seed):
                self._set_network(network_state.thaw(frozen, self._rebuilt))


def _refuse_copy(n_outputs: int) -> NoReturn:
    """Raise for a model that neither its config nor a function can build."""
    raise ValueError(
        "The model given as network has a layer that can't be copied, such as a Lambda or a class "
        "that is not registered with keras.saving.register_keras_serializable. Give network= a "
        "function that builds the model."
    )


def _what_it_is(returned: Any) -> str:
    """What a network's function returned that is no model, for an error."""
    if returned is None:
        return "None (a return is missing)"
    if isinstance(returned, keras.KerasTensor):
        return "a tensor, the outputs without the model"
    if isinstance(returned, type):
        return f"the class {returned.__name__}"
    return f"a {type(returned).__name__}"


def _with_scaling(
    body: keras.Model, image_shape: tuple[int, ...], rescaling: tuple[float, float]
) -> keras.Model:
    """The network behind its weightless first layer, from pixels to the range it expects."""
    pixels = keras.Input(image_shape, name="pixels")
    factor, offset = rescaling
    scaled = keras.layers.Rescaling(factor, offset, dtype="float32", name="scaling")(pixels)
    return keras.Model(pixels, body(scaled), name=f"scaled_{body.name}")
