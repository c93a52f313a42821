"""A compact residual network made for small gray faces."""

from __future__ import annotations

import keras
from keras import layers

from skfer.networks._blocks import image_input

_STEM = 64
# Filters and blocks of each stage.
_STAGES = ((64, 1), (128, 2), (256, 1))
# The squeeze is to an eighth of the channels: at these widths, a sixteenth would be a handful.
_SQUEEZE = 8


def mini_resnet(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.3,
    width: float = 1.0,
) -> keras.Model:
    """Four residual blocks with squeeze and excitation, 1.6 million parameters.

    A 5x5 convolution of 64 filters that halves the resolution, then three stages: one block of 64
    filters, two of 128, one of 256, each stage after the first at half the resolution of the one
    before; global average pooling, Dropout, softmax. A block is Conv 3x3 - BatchNorm -
    activation - Conv 3x3 - BatchNorm - squeeze and excitation, added to its input; where the
    resolution changes, the input is averaged over 2x2 pixels and projected.

    Most of the arithmetic is at 12x12 pixels and fewer, in wide convolutions: on a processor an
    epoch takes half as long as with as much of it at full resolution.

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
    width : float, default=1.0
        Factor on the number of filters of every layer, rounded to multiples of 8. Parameters and
        arithmetic grow with its square.

    Returns
    -------
    keras.Model

    References
    ----------
    He, K. et al. (2016). Deep residual learning for image recognition. CVPR.

    Hu, J., Shen, L. & Sun, G. (2018). Squeeze-and-excitation networks. CVPR.

    He, T. et al. (2019). Bag of tricks for image classification with convolutional neural
    networks. CVPR (averaging before the projection).
    """
    inputs, x = image_input(input_shape, smallest=16)
    x = _convolution(x, _scaled(_STEM, width), kernel=5, strides=2)
    x = layers.BatchNormalization()(x)
    x = layers.Activation(activation)(x)
    for stage, (filters, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            halves = stage > 0 and block == 0
            x = _residual_block(x, _scaled(filters, width), activation, strides=2 if halves else 1)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="mini_resnet")


def _scaled(filters: int, width: float) -> int:
    return max(8, 8 * round(filters * width / 8))


def _residual_block(
    x: keras.KerasTensor, filters: int, activation: str, strides: int
) -> keras.KerasTensor:
    shortcut = x
    if strides > 1:
        shortcut = layers.AveragePooling2D(strides, padding="same")(shortcut)
    if shortcut.shape[-1] != filters:
        shortcut = _convolution(shortcut, filters, kernel=1)
        shortcut = layers.BatchNormalization()(shortcut)
    x = _convolution(x, filters, strides=strides)
    x = layers.BatchNormalization()(x)
    x = layers.Activation(activation)(x)
    x = _convolution(x, filters)
    x = layers.BatchNormalization()(x)
    x = _squeeze_and_excitation(x)
    x = layers.Add()([x, shortcut])
    return layers.Activation(activation)(x)


def _squeeze_and_excitation(x: keras.KerasTensor) -> keras.KerasTensor:
    """Scale every channel by a factor read off all of them."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Dense(channels // _SQUEEZE, activation="relu")(gate)
    gate = layers.Dense(channels, activation="sigmoid")(gate)
    return layers.Multiply()([x, gate])


def _convolution(
    x: keras.KerasTensor, filters: int, *, kernel: int = 3, strides: int = 1
) -> keras.KerasTensor:
    """Without a bias: batch normalisation, which follows, would take it out again."""
    return layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
