"""Networks of the tests' own, in a module that a worker process can import."""

from __future__ import annotations


def tiny_network(input_shape, n_outputs):
    """A CNN small enough to be fitted in a moment."""
    import keras

    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(n_outputs, activation="softmax"),
        ],
        name="tiny_network",
    )
