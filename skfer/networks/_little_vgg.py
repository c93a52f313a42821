"""The "little VGG": pairs of 3x3 convolutions, with ELU."""

from __future__ import annotations

import keras
from keras import layers

from skfer.networks._blocks import image_input

_STAGES = (32, 64, 128, 256)
_DENSE = (64, 64)


def little_vgg(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "elu",
    dropout: float = 0.2,
    dense_dropout: float = 0.5,
) -> keras.Model:
    """Four stages of two 3x3 convolutions and two small dense layers, 1.3 million parameters.

    Each stage is twice [Conv (32, 64, 128, 256) - activation - BatchNorm], MaxPool, Dropout;
    then twice [Dense 64 - activation - BatchNorm - Dropout].

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels. Smaller than 16 pixels is enlarged to 16.
    n_outputs : int
        Number of classes.
    activation : str, default="elu"
        Keras name of the activation.
    dropout : float, default=0.2
        Share of activations dropped after every stage, in [0, 1).
    dense_dropout : float, default=0.5
        Share dropped after each of the dense layers.

    Returns
    -------
    keras.Model
    """
    inputs, x = image_input(input_shape, smallest=2 ** len(_STAGES))
    for filters in _STAGES:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal")(x)
            x = layers.Activation(activation)(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    for units in _DENSE:
        x = layers.Dense(units, kernel_initializer="he_normal")(x)
        x = layers.Activation(activation)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Dropout(dense_dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="little_vgg")
