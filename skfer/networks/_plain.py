"""Networks of bare convolutions and pooling, as of the study on AffectNet."""

from __future__ import annotations

import keras
from keras import layers

from skfer.networks._blocks import image_input


def plain_cnn(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
) -> keras.Model:
    """Three Conv - MaxPool blocks and a dense layer: the plain baseline.

    Conv 3x3 of 32, 64 and 128 filters, each followed by the activation and MaxPool; Flatten;
    Dense 128; softmax. The study states neither filters nor units: these are our choice.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels. Smaller than 8 pixels is enlarged to 8.
    n_outputs : int
        Number of classes.
    activation : str, default="relu"
        Keras name of the activation.
    dropout : float, default=0
        Share of activations dropped before the softmax, in [0, 1).

    Returns
    -------
    keras.Model
    """
    return _convolutions_and_dense(
        (32, 64, 128), 128, input_shape, n_outputs, activation, dropout, name="plain_cnn"
    )


def cnn5(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
) -> keras.Model:
    """Five Conv - MaxPool blocks and a dense layer: what the study on AffectNet proposes.

    Conv 3x3 of 32, 64, 128, 256 and 512 filters, each followed by the activation and MaxPool;
    Flatten; Dense 256; softmax. The study states five blocks and ReLU; filters and units are
    our choice.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels. Smaller than 32 pixels is enlarged to 32.
    n_outputs : int
        Number of classes.
    activation : str, default="relu"
        Keras name of the activation.
    dropout : float, default=0
        Share of activations dropped before the softmax, in [0, 1).

    Returns
    -------
    keras.Model
    """
    return _convolutions_and_dense(
        (32, 64, 128, 256, 512), 256, input_shape, n_outputs, activation, dropout, name="cnn5"
    )


def _convolutions_and_dense(
    stages: tuple[int, ...],
    units: int,
    input_shape: tuple[int, int, int],
    n_outputs: int,
    activation: str,
    dropout: float,
    name: str,
) -> keras.Model:
    inputs, x = image_input(input_shape, smallest=2 ** len(stages))
    for filters in stages:
        x = layers.Conv2D(filters, 3, padding="same", activation=activation)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation=activation)(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name=name)
