"""A very small network of separable convolutions."""

from __future__ import annotations

import keras
from keras import layers

from skfer.networks._blocks import image_input

_STEM = 8
_STAGES = (16, 32, 64, 128)


def mini_xception(
    input_shape: tuple[int, int, int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    l2: float = 0.01,
) -> keras.Model:
    """Separable convolutions with shortcuts, 58 thousand parameters.

    Two 3x3 convolutions of 8 filters; four blocks (16, 32, 64, 128 filters) of two separable
    convolutions and MaxPool, added to a strided 1x1 convolution of their input; a convolution
    to one map a class, averaged; softmax.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels. Smaller than 16 pixels is enlarged to 16.
    n_outputs : int
        Number of classes.
    activation : str, default="relu"
        Keras name of the activation.
    dropout : float, default=0
        Share of activations dropped before the last convolution, in [0, 1).
    l2 : float, default=0.01
        Weight in the loss of the squares of the first two convolutions' weights.

    Returns
    -------
    keras.Model

    References
    ----------
    Arriaga, O., Valdenegro-Toro, M. & Plöger, P. (2017). Real-time convolutional neural networks
    for emotion and gender classification. arXiv:1710.07557.
    """
    inputs, x = image_input(input_shape, smallest=16)
    for _ in range(2):
        x = layers.Conv2D(_STEM, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(l2))(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation(activation)(x)
    for filters in _STAGES:
        x = _separable_block(x, filters, activation)
    x = layers.Dropout(dropout)(x)
    x = layers.Conv2D(n_outputs, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Activation("softmax")(x)
    return keras.Model(inputs, outputs, name="mini_xception")


def _separable_block(x: keras.KerasTensor, filters: int, activation: str) -> keras.KerasTensor:
    # Every second pixel, then a convolution: the same as a 1x1 convolution of stride 2, of which
    # TensorFlow 2.21's gradient for 8 channels writes outside its memory on AVX-512 processors.
    shortcut = layers.MaxPooling2D(1, strides=2)(x)
    shortcut = layers.Conv2D(filters, 1, use_bias=False)(shortcut)
    shortcut = layers.BatchNormalization()(shortcut)
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation(activation)(x)
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return layers.Add()([x, shortcut])
