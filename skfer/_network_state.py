"""A network as plain data, for pickles and copies, and back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy
import sklearn
import tensorflow

import skfer
from skfer._documentation import page

_RECORDED = (skfer, keras, tensorflow, sklearn, numpy)


def freeze(network: keras.Model) -> dict[str, Any]:
    """Architecture and weights, each once; the optimiser's state is left behind."""
    return {
        "config": network.get_config(),
        "weights": network.get_weights(),
        "n_outputs": network.output_shape[-1],
    }


def thaw(state: dict[str, Any], rebuilt: Callable[[int], keras.Model]) -> keras.Model:
    """The network that `freeze` took apart.

    Parameters
    ----------
    state : dict
    rebuilt : callable
        Makes the network for so many outputs where Keras can't from its config alone: it
        holds a Lambda, or a layer that isn't registered.
    """
    try:
        network = keras.Model.from_config(state["config"])
    except (TypeError, ValueError):
        network = rebuilt(state["n_outputs"])
    network.set_weights(state["weights"])
    return network


def load_model_file(path: str | os.PathLike) -> keras.Model:
    """A whole Keras model from a ``.keras`` or ``.h5`` file, not compiled.

    Raises
    ------
    ValueError
        If there is no such file, or it holds no model.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"network: there is no model file {str(path)!r}.")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its reader of the format does
        raise ValueError(
            f"{str(path)!r} can't be read as a Keras model ({error}). It must be a whole model "
            "(model.save(...)), not weights alone (model.save_weights(...))."
        ) from error
    if not isinstance(model, keras.Model) or len(model.inputs) != 1:
        raise ValueError(f"{str(path)!r} holds no model with one image input.")
    return model


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
