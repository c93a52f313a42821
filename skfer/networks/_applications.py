"""Networks of `keras.applications` that take gray and RGB images in [0, 1]."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from skfer._utils import page
from skfer.networks._small import image_input

_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@dataclass(frozen=True)
class _Preprocessing:
    """Factor and offset of each channel, from RGB in [0, 1] to the input of a network."""

    scale: Sequence[float] | float
    offset: Sequence[float] | float
    # Whether its weights expect blue, green, red. The first convolution is then reversed.
    blue_first: bool = False


# VGG and ResNet: values up to 255 minus channel means.
_CENTRED = _Preprocessing(255.0, (-123.68, -116.779, -103.939), blue_first=True)
# ResNetV2 and Inception: from -1 to 1.
_SYMMETRIC = _Preprocessing(2.0, -1.0)
# EfficientNet: standardised. Its first layer divides by 255, which is undone here. Its
# normalisation layer stays the identity, because Keras's differs with and without the weights of
# ImageNet.
_STANDARDISED = _Preprocessing(
    tuple((255 / _DEVIATION).tolist()), tuple((-255 * _MEAN / _DEVIATION).tolist())
)


def _transfer_network(
    application: str, preprocessing: _Preprocessing, smallest: int = 32
) -> Callable[..., keras.Model]:
    """Return the function that builds a network."""

    def build(
        input_shape: tuple[int, int, int],
        n_outputs: int,
        *,
        dropout: float = 0.0,
        dense_units: int | None = None,
        weights: str | None = None,
    ) -> keras.Model:
        inputs, x = image_input(input_shape, smallest)
        base = getattr(keras.applications, application)(
            include_top=False, weights=None, input_tensor=_preprocess(x, preprocessing)
        )
        if weights == "imagenet":
            _copy_imagenet_weights(application, base, preprocessing)
        elif weights is not None:
            raise ValueError(f"weights must be 'imagenet' or None; got {weights!r}.")
        x = layers.GlobalAveragePooling2D(name="pooled")(base.output)
        if dropout:
            x = layers.Dropout(dropout)(x)
        if dense_units is not None:
            x = layers.Dense(dense_units, activation="relu")(x)
        outputs = layers.Dense(n_outputs, activation="softmax", name="expression")(x)
        return keras.Model(inputs, outputs, name=application.lower())

    build.__name__ = build.__qualname__ = application.lower()
    build.__doc__ = f"""{application} of `keras.applications` with a new head.

    The head is GlobalAveragePooling, [Dropout], [Dense, ReLU], softmax. Gray images are copied to
    three channels, and the network contains its scaling of the pixels. Images smaller than
    {smallest} pixels are enlarged. `dropout` is applied to the pooled features, `dense_units` are
    those of a dense layer before the softmax, and `weights` may be "imagenet", which Keras
    downloads.
    """
    return build


def _preprocess(x: keras.KerasTensor, preprocessing: _Preprocessing) -> keras.KerasTensor:
    channels = x.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"input_shape must end in 1 (gray) or 3 (RGB) channels; got {channels}.")
    if channels == 1:
        x = layers.Concatenate(name="gray_to_rgb")([x, x, x])
    return layers.Rescaling(preprocessing.scale, preprocessing.offset, name="preprocessing")(x)


def _copy_imagenet_weights(
    application: str, base: keras.Model, preprocessing: _Preprocessing
) -> None:
    try:
        trained = getattr(keras.applications, application)(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises the bare class when a download fails
        raise OSError(_download_error(application, str(error))) from error
    taken = [layer for layer in trained.layers if layer.weights and not _is_normalization(layer)]
    given = [layer for layer in base.layers if layer.weights and not _is_normalization(layer)]
    for source, target in zip(taken, given, strict=True):
        target.set_weights(source.get_weights())
    if preprocessing.blue_first:
        kernel, *rest = given[0].get_weights()
        given[0].set_weights([kernel[:, :, ::-1], *rest])


def _is_normalization(layer: keras.Layer) -> bool:
    return isinstance(layer, layers.Normalization)


def _download_error(application: str, message: str) -> str:
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    address = re.search(r"https?://[^\s:]+", message)
    what = f" {address[0]}" if address else f", which keras.applications.{application} names,"
    return (
        f"weights='imagenet': the weights of {application} could not be downloaded ({message}). "
        f"On a machine without network, put the file{what} into {folder}, or use weights=None. "
        f"See {page('guide/transfer')}"
    )


vgg16 = _transfer_network("VGG16", _CENTRED)
vgg19 = _transfer_network("VGG19", _CENTRED)
resnet50 = _transfer_network("ResNet50", _CENTRED)
resnet50v2 = _transfer_network("ResNet50V2", _SYMMETRIC)
resnet101v2 = _transfer_network("ResNet101V2", _SYMMETRIC)
resnet152v2 = _transfer_network("ResNet152V2", _SYMMETRIC)
inceptionv3 = _transfer_network("InceptionV3", _SYMMETRIC, smallest=75)
inceptionresnetv2 = _transfer_network("InceptionResNetV2", _SYMMETRIC, smallest=75)
efficientnetb0 = _transfer_network("EfficientNetB0", _STANDARDISED)
efficientnetb3 = _transfer_network("EfficientNetB3", _STANDARDISED)
efficientnetb5 = _transfer_network("EfficientNetB5", _STANDARDISED)
efficientnetb7 = _transfer_network("EfficientNetB7", _STANDARDISED)
