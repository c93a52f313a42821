"""Pieces that more than one network is made of."""

from __future__ import annotations

import keras
from keras import layers


def image_input(input_shape: tuple[int, int, int], smallest: int) -> tuple:
    """Input of a network, enlarged where it is below the smallest legal size.

    Returns the `keras.Input` and the tensor to go on from. A network that halves its image
    k times needs ``2**k`` pixels a side; anything smaller is enlarged to that, bilinearly.
    """
    inputs = keras.Input(input_shape, name="image")
    height, width, _ = input_shape
    if min(height, width) >= smallest:
        return inputs, inputs
    resize = layers.Resizing(max(height, smallest), max(width, smallest), name="enlarge")
    return inputs, resize(inputs)
