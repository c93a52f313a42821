"""The default network: quick on a processor, and enough for a few thousand images."""

from __future__ import annotations

import keras
from keras import layers

from skfer.networks._blocks import image_input

_STEM = 32
_FILTERS = (32, 64, 128)


def small_cnn(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.3,
) -> keras.Model:
    """Four convolutions and average pooling, 104 thousand parameters.

    Each image is scaled to a mean of 0 and a variance of 1. A 5x5 convolution of 32 filters
    halves the resolution. Then follow 3x3 convolutions of 32, 64 and 128 filters with MaxPool
    between them; global average pooling, Dropout, softmax. Each convolution is followed by
    BatchNorm and the activation.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels. Smaller than 16 pixels is enlarged to 16.
    n_outputs : int
        Number of classes.
    activation : str, default="relu"
        Keras name of the activation.
    dropout : float, default=0.3
        Share of the pooled features dropped before the softmax, in [0, 1).

    Returns
    -------
    keras.Model
    """
    inputs, x = image_input(input_shape, smallest=16)
    # The same face in other light gives the same values.
    x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False)(x)
    x = _convolution(x, _STEM, activation, kernel=5, strides=2)
    for stage, filters in enumerate(_FILTERS):
        if stage > 0:
            x = layers.MaxPooling2D()(x)
        x = _convolution(x, filters, activation)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="small_cnn")


def _convolution(
    x: keras.KerasTensor, filters: int, activation: str, *, kernel: int = 3, strides: int = 1
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x)
