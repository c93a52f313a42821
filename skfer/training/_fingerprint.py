"""A name for a fit, by what decides its weights."""

from __future__ import annotations

from typing import Any

import joblib
import keras


def fingerprint(network: keras.Model, settings: dict[str, Any], *data: Any) -> str:
    """A name for a fit that another fit doesn't have.

    Parameters
    ----------
    network : keras.Model
        As the fit begins: its layers and weights count, whatever function or file they are from.
    settings : dict
        Of the fit, by name.
    *data : arrays of shape (n, ...), or None
        Images, targets, weights.

    Returns
    -------
    str
        Sixteen characters that may stand in the name of a file.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.networks import build_network
    >>> from skfer.training import fingerprint
    >>> network = build_network("mini_xception", (48, 48, 1), 3)
    >>> three, four = (fingerprint(network, {"epochs": n}, np.zeros(8)) for n in (3, 4))
    >>> len(three), three == four
    (16, False)
    """
    plain = {
        name: value.get_config() if isinstance(value, keras.optimizers.Optimizer) else value
        for name, value in settings.items()
    }
    layers = [_without_names(layer) for layer in network.layers]
    return joblib.hash([layers, network.get_weights(), plain, data])[:16]


def _without_names(layer: keras.Layer) -> Any:
    """What a layer is; Keras numbers the names of those that were given none."""
    if isinstance(layer, keras.Model):
        return [_without_names(inner) for inner in layer.layers]
    config = {name: value for name, value in layer.get_config().items() if name != "name"}
    return type(layer).__name__, config
