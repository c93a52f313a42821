"""Networks by name."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skfer.networks._keras_settings import import_keras, standard_keras

if TYPE_CHECKING:
    import keras

# Network of the estimators if neither a network nor weights are given.
DEFAULT_NETWORK = "small_cnn"

# Names of the networks by module. The modules import Keras; they are imported to build a network.
_NAMES = {
    "_small": "cnn4 cnn5 little_vgg mini_resnet mini_xception plain_cnn small_cnn",
    "_applications": "efficientnetb0 efficientnetb3 efficientnetb5 efficientnetb7 "
    "inceptionresnetv2 inceptionv3 resnet101v2 resnet152v2 resnet50 resnet50v2 vgg16 vgg19",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}
_REGISTERED: dict[str, Callable[..., keras.Model]] = {}


def list_networks() -> list[str]:
    """Return the names of the networks.

    Returns
    -------
    list of str
        Sorted names for `build_network` and the ``network`` parameter of the estimators.

    Examples
    --------
    >>> from skfer.networks import list_networks
    >>> list_networks()[:4]
    ['cnn4', 'cnn5', 'efficientnetb0', 'efficientnetb3']
    """
    return sorted([*_MODULES, *_REGISTERED])


def is_model_file(network: Any) -> bool:
    """Return whether a ``network`` parameter is the path of a saved Keras model."""
    return isinstance(network, os.PathLike) or (
        isinstance(network, str) and network.lower().endswith((".keras", ".h5", ".hdf5"))
    )


def network_function(name: str) -> Callable[..., keras.Model]:
    """Return the function that builds a network."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _MODULES:
        close = difflib.get_close_matches(str(name), list_networks(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"Unknown network {name!r}. Known networks: {', '.join(list_networks())}.{hint} "
            "A callable (input_shape, n_outputs) -> keras.Model is accepted as well."
        )
    import_keras()  # with an error that says what is missing
    return getattr(importlib.import_module(f"skfer.networks.{_MODULES[name]}"), name)


def register_network(name: str, function: Callable[..., keras.Model]) -> None:
    """Register a function that builds a network under a name.

    `skfer.save` can save an estimator whose network is a name, not one whose network is a
    function. Names are known in the process that registered them: for worker processes
    (``n_jobs`` of a search), register in the module that defines the function.

    Parameters
    ----------
    name : str
        A Python identifier that is not a network of skfer. A registered name is replaced.
    function : callable
        ``(input_shape, n_outputs, ...) -> keras.Model``, as for `build_network`.

    Raises
    ------
    ValueError
        If a network of skfer has the name, or it is not an identifier.

    Examples
    --------
    >>> import keras
    >>> from skfer import FacialExpressionClassifier
    >>> from skfer.networks import register_network
    >>> def linear(input_shape, n_outputs):
    ...     outputs = keras.layers.Dense(n_outputs, activation="softmax")
    ...     return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), outputs])
    >>> register_network("linear", linear)
    >>> classifier = FacialExpressionClassifier("linear")
    """
    if not name.isidentifier():
        raise ValueError(f"name={name!r} must be letters, digits and underscores, as in 'my_cnn'.")
    if not callable(function):
        raise ValueError(f"function must be callable; got {function!r}.")
    if name in _MODULES:
        raise ValueError(f"name={name!r} is the name of a network of skfer: choose another.")
    _REGISTERED[name] = function


def build_network(
    network: str | Callable[..., keras.Model],
    input_shape: tuple[int, int, int],
    n_outputs: int,
    **options: Any,
) -> keras.Model:
    """Build a network from its name or with a function.

    Parameters
    ----------
    network : str or callable
        A name from `list_networks`, or a function ``(input_shape, n_outputs, ...)`` that
        returns a `keras.Model`.
    input_shape : tuple of int
        Height and width in pixels, and the number of channels (1 gray, 3 RGB). A network
        enlarges images that are smaller than its smallest legal input.
    n_outputs : int
        Number of classes: the length of the softmax output.
    **options : dict
        Further parameters of the network's function, such as ``dropout`` or ``activation``.
        None stands for the default of the function.

    Returns
    -------
    keras.Model
        An uncompiled network from images in [0, 1], ``(n, height, width, channels)``, to
        probabilities ``(n, n_outputs)``.

    Raises
    ------
    ValueError
        If the name is unknown, or the function takes no such option.

    Examples
    --------
    >>> from skfer.networks import build_network
    >>> build_network("cnn4", (48, 48, 1), 7).count_params()
    4478727
    """
    function = network_function(network) if isinstance(network, str) else network
    if not callable(function):
        raise ValueError(
            f"network must be one of {list_networks()} or a callable "
            f"(input_shape, n_outputs) -> keras.Model; got {network!r}."
        )
    chosen = {name: value for name, value in options.items() if value is not None}
    _check_options(function, chosen)
    with standard_keras():
        return function(tuple(input_shape), n_outputs, **chosen)


def _check_options(function: Callable[..., keras.Model], options: dict[str, Any]) -> None:
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    unknown = sorted(set(options) - set(parameters))
    if unknown:
        name = getattr(function, "__name__", repr(function))
        known = [p for p in parameters if p not in ("input_shape", "n_outputs")]
        raise ValueError(
            f"The network {name!r} takes no {unknown[0]!r}: its options are "
            f"{known or 'none'}. Leave {unknown[0]} at None for this network."
        )
