"""Small networks for gray faces of about 48x48 pixels.

All functions take `input_shape`, which is height, width and number of channels; `n_outputs`;
`activation`, a Keras name; and `dropout`, a share in [0, 1). Smaller images are enlarged.
"""

from __future__ import annotations

import keras
from keras import layers

Shape = tuple[int, int, int]


def image_input(input_shape: Shape, smallest: int) -> tuple:
    """Return the `keras.Input` of a network and the tensor of its first layer.

    A network that halves its image k times needs ``2**k`` pixels a side; smaller images are
    enlarged to that, bilinearly.
    """
    inputs = keras.Input(input_shape, name="image")
    height, width, _ = input_shape
    if min(height, width) >= smallest:
        return inputs, inputs
    resize = layers.Resizing(max(height, smallest), max(width, smallest), name="enlarge")
    return inputs, resize(inputs)


def small_cnn(
    input_shape: Shape, n_outputs: int, *, activation: str = "relu", dropout: float = 0.3
) -> keras.Model:
    """Four convolutions and average pooling, 104 thousand parameters.

    Each image is scaled to a mean of 0 and a variance of 1. A 5x5 convolution of 32 filters
    halves the resolution. Then follow 3x3 convolutions of 32, 64 and 128 filters with MaxPool
    between them; global average pooling, Dropout, softmax. Each convolution is followed by
    BatchNorm and the activation.

    `dropout` is applied to the pooled features.
    """
    inputs, x = image_input(input_shape, smallest=16)
    # Removes brightness and contrast.
    x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False)(x)
    x = _normalized_convolution(x, 32, activation, kernel=5, strides=2)
    for stage, filters in enumerate((32, 64, 128)):
        if stage > 0:
            x = layers.MaxPooling2D()(x)
        x = _normalized_convolution(x, filters, activation)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="small_cnn")


def _normalized_convolution(
    x: keras.KerasTensor, filters: int, activation: str, *, kernel: int = 3, strides: int = 1
) -> keras.KerasTensor:
    x = _convolution(x, filters, kernel=kernel, strides=strides)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x)


def cnn4(
    input_shape: Shape, n_outputs: int, *, activation: str = "relu", dropout: float = 0.25
) -> keras.Model:
    """Four convolution blocks and two dense layers, 4.5 million parameters.

    Each block is Conv (64 of 3x3, 128 of 5x5, 512 of 3x3, 512 of 3x3) - BatchNorm -
    activation - MaxPool - Dropout; then Dense 256 and 512, each with BatchNorm, activation
    and Dropout.

    `dropout` is applied after every block. Its authors also tried the activation "elu".
    """
    inputs, x = image_input(input_shape, smallest=16)
    for filters, kernel in ((64, 3), (128, 5), (512, 3), (512, 3)):
        x = layers.Conv2D(filters, kernel, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation(activation)(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    for units in (256, 512):
        x = layers.Dense(units)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation(activation)(x)
        x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="cnn4")


def plain_cnn(
    input_shape: Shape, n_outputs: int, *, activation: str = "relu", dropout: float = 0.0
) -> keras.Model:
    """Three Conv - MaxPool blocks and a dense layer.

    Conv 3x3 of 32, 64 and 128 filters, each followed by the activation and MaxPool; Flatten;
    Dense 128; softmax. The baseline of a study on AffectNet that states neither filters nor units.

    `dropout` is applied before the softmax.
    """
    return _convolutions_and_dense(
        (32, 64, 128), 128, input_shape, n_outputs, activation, dropout, name="plain_cnn"
    )


def cnn5(
    input_shape: Shape, n_outputs: int, *, activation: str = "relu", dropout: float = 0.0
) -> keras.Model:
    """Five Conv - MaxPool blocks and a dense layer.

    Conv 3x3 of 32, 64, 128, 256 and 512 filters, each followed by the activation and MaxPool;
    Flatten; Dense 256; softmax. The proposal of a study on AffectNet that states five blocks and
    ReLU, and neither filters nor units.

    `dropout` is applied before the softmax.
    """
    return _convolutions_and_dense(
        (32, 64, 128, 256, 512), 256, input_shape, n_outputs, activation, dropout, name="cnn5"
    )


def _convolutions_and_dense(
    stages: tuple[int, ...],
    units: int,
    input_shape: Shape,
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


def little_vgg(
    input_shape: Shape,
    n_outputs: int,
    *,
    activation: str = "elu",
    dropout: float = 0.2,
    dense_dropout: float = 0.5,
) -> keras.Model:
    """Four stages of two 3x3 convolutions and two small dense layers, 1.3 million parameters.

    Each stage is twice [Conv (32, 64, 128, 256) - activation - BatchNorm], MaxPool, Dropout;
    then twice [Dense 64 - activation - BatchNorm - Dropout].

    `dropout` is applied after every stage, `dense_dropout` after each dense layer.
    """
    inputs, x = image_input(input_shape, smallest=16)
    for filters in (32, 64, 128, 256):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal")(x)
            x = layers.Activation(activation)(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    for units in (64, 64):
        x = layers.Dense(units, kernel_initializer="he_normal")(x)
        x = layers.Activation(activation)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Dropout(dense_dropout)(x)
    outputs = layers.Dense(n_outputs, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="little_vgg")


def mini_resnet(
    input_shape: Shape,
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

    Most of the arithmetic is in wide convolutions at 12x12 pixels and fewer. On a CPU, an epoch
    takes half as long as with the same arithmetic at full resolution.

    `dropout` is applied to the pooled features. `width` is a factor on the number of filters,
    rounded to multiples of 8; parameters and arithmetic grow with its square.

    References
    ----------
    He, K. et al. (2016). Deep residual learning for image recognition. CVPR.

    Hu, J., Shen, L. & Sun, G. (2018). Squeeze-and-excitation networks. CVPR.

    He, T. et al. (2019). Bag of tricks for image classification with convolutional neural
    networks. CVPR (averaging before the projection).
    """
    inputs, x = image_input(input_shape, smallest=16)
    x = _normalized_convolution(x, _scaled(64, width), activation, kernel=5, strides=2)
    for stage, (filters, blocks) in enumerate(((64, 1), (128, 2), (256, 1))):
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
    x = _normalized_convolution(x, filters, activation, strides=strides)
    x = _convolution(x, filters)
    x = layers.BatchNormalization()(x)
    x = _squeeze_and_excitation(x)
    x = layers.Add()([x, shortcut])
    return layers.Activation(activation)(x)


def _squeeze_and_excitation(x: keras.KerasTensor) -> keras.KerasTensor:
    """Multiply every channel by a factor that depends on all channels."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Dense(channels // 8, activation="relu")(gate)
    gate = layers.Dense(channels, activation="sigmoid")(gate)
    return layers.Multiply()([x, gate])


def mini_xception(
    input_shape: Shape,
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

    `dropout` is applied before the last convolution; `l2` regularises the first two convolutions.

    References
    ----------
    Arriaga, O., Valdenegro-Toro, M. & Plöger, P. (2017). Real-time convolutional neural networks
    for emotion and gender classification. arXiv:1710.07557.
    """
    inputs, x = image_input(input_shape, smallest=16)
    for _ in range(2):
        x = layers.Conv2D(8, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(l2))(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation(activation)(x)
    for filters in (16, 32, 64, 128):
        x = _separable_block(x, filters, activation)
    x = layers.Dropout(dropout)(x)
    x = layers.Conv2D(n_outputs, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Activation("softmax")(x)
    return keras.Model(inputs, outputs, name="mini_xception")


def _separable_block(x: keras.KerasTensor, filters: int, activation: str) -> keras.KerasTensor:
    # A pooling of single pixels and a 1x1 convolution equal a 1x1 convolution with stride 2, whose
    # gradient crashes TensorFlow 2.21 on AVX-512 processors; see `copy_network`.
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


def _convolution(
    x: keras.KerasTensor, filters: int, *, kernel: int = 3, strides: int = 1
) -> keras.KerasTensor:
    """Convolve without a bias, which batch normalisation would remove."""
    return layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
