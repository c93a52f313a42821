"""Keras networks for faces, as functions with names.

Every function takes ``(input_shape, n_outputs, ...)`` and returns an uncompiled
`keras.Model` that maps images scaled to [0, 1] to class probabilities. The package does not use
scikit-learn.
"""

from skfer.networks._registry import build_network, list_networks, register_network

__all__ = ["build_network", "list_networks", "register_network"]
