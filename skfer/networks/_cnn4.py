"""The four-block CNN that most student projects on FER2013 train."""

from __future__ import annotations

import keras
from keras import layers

from skfer.networks._blocks import image_input

_CONVOLUTIONS = ((64, 3), (128, 5), (512, 3), (512, 3))
_DENSE = (256, 512)


def cnn4(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.25,
) -> keras.Model:
    """Four convolution blocks and two dense layers, 4.5 million parameters.

    Each block is Conv (64 of 3x3, 128 of 5x5, 512 of 3x3, 512 of 3x3) - BatchNorm -
    activation - MaxPool - Dropout; then Dense 256 and 512, each with BatchNorm, activation
    and Dropout.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels. Smaller than 16 pixels is enlarged to 16.
    n_outputs : int
        Number of classes.
    activation : str, default="relu"
        Keras name of the activation; "elu" is the variant its authors tried.
    dropout : float, default=0.25
        Share of activations dropped after every block, in [0, 1).

    Returns
    -------
    keras.Model
    """
    inputs, x = image_input(input_shape, smallest=2 ** len(_CONVOLUTIONS))
    for filters, kernel in _CONVOLUTIONS:
        x = layers.Conv2D(filters, kernel, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation(activation)(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    for units in _DENSE:
        x = layers.Dense(units)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation(activation)(x)
        x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="cnn4")
