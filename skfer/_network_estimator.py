"""What an estimator with a network can do: build it, predict with it, be pickled."""

from __future__ import annotations

import os
import warnings
from numbers import Real
from typing import Any

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
from skfer._starting_weights import is_model_file, network_of, start_from
from skfer.networks import build_network
from skfer.networks._anatomy import features, trained_layers
from skfer.networks._registry import DEFAULT_NETWORK
from skfer.training import VIEWS, is_usable, isolated_random_state, prepare_tensorflow


class NetworkEstimator(ImageEstimator):
    """Base of the estimators that have a network; a subclass trains it."""

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

    def _build(self, images: np.ndarray, n_outputs: int) -> None:
        prepare_tensorflow()
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
                self._warn_if_scaled_twice(body)
            else:
                body = self._body(n_outputs, self._network_options())
                if self.weights is not None and self.weights != "imagenet":
                    start_from(body, self.weights, getattr(self, "classes_", None))
            self._compose(body, n_outputs)

    def _build_untrained(self, image_shape: tuple[int, ...], n_outputs: int) -> None:
        """Be fitted with the weights that a fit would start from, for images in uint8."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._build(np.zeros((1, *image_shape), np.uint8), n_outputs)

    def _build_from_file(self, n_outputs: int) -> None:
        """Be fitted with the weights of a saved model, for images of the size it takes."""
        prepare_tensorflow()
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with isolated_random_state(self._seed):
            body = self._network_from_file(self.network, n_outputs)
            self._warn_if_scaled_twice(body)
            if None in body.input_shape[1:]:
                raise ValueError(
                    f"{os.fspath(self.network)!r} takes images of shape {body.input_shape[1:]}; "
                    "height, width and channels must all be fixed."
                )
            self.image_shape_ = body.input_shape[1:]
            self.pixel_range_ = PixelRange(0.0, 255.0)
            self._compose(body, n_outputs)

    def _body(self, n_outputs: int, options: dict[str, Any]) -> keras.Model:
        """The network as its function builds it, with the end that this estimator needs."""
        network, own = self._network_and_options()
        chosen = {name: value for name, value in options.items() if value is not None}
        body = build_network(network, self.image_shape_, n_outputs, **own | chosen)
        return self._ending(body)

    def _network_and_options(self) -> tuple[Any, dict[str, Any]]:
        """Return the network that is built, and options of it that come with the weights."""
        if self.network is not None:
            return self.network, {}
        if self.weights is None:
            return DEFAULT_NETWORK, {}
        return network_of(self.weights)

    def _ending(self, body: keras.Model) -> keras.Model:
        """A network that ends in probabilities, with the end that this estimator needs."""
        return body

    def _network_from_file(self, path: str | os.PathLike, n_outputs: int) -> keras.Model:
        """A saved model whose outputs stand in the order of this estimator's targets."""
        for name in ("dropout", "activation", "network_params"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} has no effect on the saved model "
                    f"{os.fspath(path)!r}: leave it at None."
                )
        model = network_state.load_model_file(path)
        if model.output_shape != (None, n_outputs):
            raise ValueError(
                f"{os.fspath(path)!r} has outputs of shape {model.output_shape}, which is "
                f"not one for each of the {self._outputs(n_outputs)}."
            )
        return self._ending(model)

    def _outputs(self, n_outputs: int) -> str:
        """What the outputs stand for, for an error."""
        raise NotImplementedError

    def _warn_if_scaled_twice(self, saved: keras.Model) -> None:
        for layer in saved.layers:
            divides = isinstance(layer, keras.layers.Rescaling) and np.max(layer.scale) < 0.1
            if divides and max(self.pixel_range) <= 1:
                warnings.warn(
                    f"{os.fspath(self.network)!r} has a scaling layer of its own, "
                    f"{layer.name!r}, and pixel_range={self.pixel_range} scales the images before "
                    "it: set pixel_range=(0, 255) if it was trained on such pixels.",
                    UserWarning,
                    stacklevel=2,
                )

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
        options = self._network_options() | {"weights": None}
        body = self._body(n_outputs, options)
        return _with_scaling(body, self.image_shape_, self._rescaling())

    def _set_network(self, network: keras.Model) -> None:
        self.network_ = network
        self._compiled = self._compile(network, self.test_time_augmentation)
        self._compiled_features: CompiledNetwork | None = None
        # Graphs that `skfer.inspection` made of the network, kept as long as it is.
        self._inspecting: dict[Any, Any] = {}

    def _compile(self, network: keras.Model, views: str | None = None) -> CompiledNetwork:
        pixels = self.pixel_range_
        return BACKENDS[self.backend](network, views, (pixels.low, pixels.high))

    def _forward(self, X: Any) -> np.ndarray:
        """What the network says of every image, ``(n, n_outputs)`` float32."""
        prepare_tensorflow()
        images = self._checked_images(X)
        backend, views = BACKENDS[self.backend], self.test_time_augmentation
        if type(self._compiled) is not backend or self._compiled.views != views:
            self._compiled = self._compile(self.network_, views)
        return self._answers(self._compiled, images)

    def _embed(self, X: Any) -> np.ndarray:
        """What the last layer of the network gets to see of every image, ``(n, n_features)``."""
        prepare_tensorflow()
        images = self._checked_images(X)
        backend = BACKENDS[self.backend]
        if type(self._compiled_features) is not backend:
            self._compiled_features = self._compile(self._features())
        return self._answers(self._compiled_features, images)

    def _answers(self, network: CompiledNetwork, images: np.ndarray) -> np.ndarray:
        """What a network says of images, which are brought to its scale part by part."""
        answers = [network(self.pixel_range_.scaled(part)) for part in parts(images)]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

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
        if frozen is not None and not is_usable():
            # Whoever uses it is told. A pool of processes that met an error while it unpickles a
            # task would wait for good.
            self.network_ = frozen
        elif frozen is not None:
            prepare_tensorflow()
            with isolated_random_state(self._seed):
                self._set_network(network_state.thaw(frozen, self._rebuilt))


def _with_scaling(
    body: keras.Model, image_shape: tuple[int, ...], rescaling: tuple[float, float]
) -> keras.Model:
    """The network behind its weightless first layer, from pixels to the range it expects."""
    pixels = keras.Input(image_shape, name="pixels")
    factor, offset = rescaling
    scaled = keras.layers.Rescaling(factor, offset, dtype="float32", name="scaling")(pixels)
    return keras.Model(pixels, body(scaled), name=f"scaled_{body.name}")
