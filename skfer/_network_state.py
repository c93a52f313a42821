"""A network as plain data, for pickles and copies, and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy
import numpy as np
import sklearn
import tensorflow

import skfer
from skfer._documentation import page
from skfer.networks._keras_settings import standard_keras

_NO_COPY = "The network has layers with code of its own, and its copy would predict otherwise"
_RECORDED = (skfer, keras, tensorflow, sklearn, numpy)


@standard_keras()
def freeze(network: keras.Model) -> dict[str, Any]:
    """Architecture and weights, each once; the optimiser's state is left behind."""
    state = {
        "config": network.get_config(),
        "class": type(network).__name__,
        "weights": network.get_weights(),
        "n_outputs": network.output_shape[-1],
    }
    if _holds_code(network):
        state["outputs"] = _outputs(network)
    return state


@standard_keras()
def thaw(state: dict[str, Any], rebuilt: Callable[[int], keras.Model]) -> keras.Model:
    """The network that `freeze` took apart.

    Parameters
    ----------
    state : dict
    rebuilt : callable
        Makes the network for so many outputs where Keras can't from its config alone: it
        holds a Lambda, or a layer that isn't registered.

    Raises
    ------
    ValueError
        If the network computes something else than the one that was taken apart.
    """
    kind = keras.Sequential if state.get("class") == "Sequential" else keras.Model
    try:
        network = kind.from_config(state["config"])
    except (TypeError, ValueError):
        network = rebuilt(state["n_outputs"])
    differs = "the function that builds it returned another architecture"
    try:
        network.set_weights(state["weights"])
    except ValueError as error:
        raise ValueError(f"{_NO_COPY}: {differs}.") from error
    if "outputs" in state and not np.allclose(_outputs(network), state["outputs"], atol=1e-5):
        raise ValueError(f"{_NO_COPY}: {differs}, or its code depends on a value that has changed.")
    return network


def _holds_code(network: keras.Model) -> bool:
    """Whether some of its layers compute what their config does not tell."""
    return any(
        _holds_code(layer)
        if isinstance(layer, keras.Model)
        else isinstance(layer, keras.layers.Lambda)
        or not type(layer).__module__.startswith("keras")
        for layer in network.layers
    )


def _outputs(network: keras.Model) -> np.ndarray:
    """Outputs for an image of noise, by which two networks are compared."""
    shape = [side or 1 for side in network.input_shape]
    return np.asarray(network(np.random.default_rng(0).uniform(0, 255, shape), training=False))


def versions() -> dict[str, str]:
    """Versions a pickled network was made with."""
    return {package.__name__: package.__version__ for package in _RECORDED}


def warn_of_other_versions(name: str, recorded: dict[str, str] | None) -> None:
    """Say which packages a pickle was made with, where they differ from those here."""
    if recorded is None:
        return
    here = versions()
    other = [
        f"{package} {made} (here {here[package]})"
        for package, made in recorded.items()
        if made != here.get(package)
    ]
    if other:
        warnings.warn(
            f"This {name} was pickled with {', '.join(other)}. It may not load or predict as "
            "it did: install those versions, or check its predictions. Files of skfer.save don't "
            f"depend on them, see {page('guide/deploy')}",
            UserWarning,
            stacklevel=3,
        )
