"""The resizing of `ImageResizer` as TensorFlow functions, for the graph of `export_onnx`."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from skfer.preprocessing._image_resizer import BRIGHT_SHARE, DARK_BELOW, MAX_GAIN

# Weights of red, green and blue in gray (ITU-R BT.601), in fixed point as in OpenCV.
_GRAY_WEIGHTS = (9798.0, 19235.0, 3735.0)
_GRAY_ONE = 32768.0
# 1 in the fixed-point format of OpenCV's bilinear weights.
_LINEAR_ONE = 2048.0


def resize_function(
    size: tuple[int, int], channels: int, *, brighten: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a TensorFlow function that converts and resizes images as `ImageResizer` does.

    It repeats OpenCV's arithmetic with its rounding: the mean over areas if an image shrinks,
    fixed-point bilinear weights if it grows. Sums are exact. OpenCV computes means over areas in
    single precision, and may round a mean that ends in exactly .5 to the other side.
    """

    def resize(images: tf.Tensor) -> tf.Tensor:
        planes = tf.transpose(_in_color(images, channels), (0, 3, 1, 2))
        shape = tf.shape(planes)
        shrinks = tf.logical_and(shape[2] >= size[0], shape[3] >= size[1])
        planes = tf.cond(shrinks, lambda: _area(planes, size), lambda: _linear(planes, size))
        planes = tf.ensure_shape(planes, (None, channels, *size))
        if brighten:
            planes = _brighten(planes)
        return tf.cast(tf.transpose(planes, (0, 2, 3, 1)), tf.float32)

    return resize


def _in_color(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Return gray or RGB images as integers in float64, in which all sums are exact."""
    # Channels 0, 1, 2 of a colour image, 0, 0, 0 of a gray one.
    indices = tf.minimum([0, 1, 2], tf.shape(images)[3] - 1)
    colors = tf.cast(tf.gather(images, indices, axis=3), tf.float64)
    return colors if channels == 3 else _gray(tf.unstack(colors, axis=3))[..., tf.newaxis]


def _gray(colors: list[tf.Tensor]) -> tf.Tensor:
    """Return the gray values of red, green and blue."""
    total = sum(weight * color for weight, color in zip(_GRAY_WEIGHTS, colors, strict=True))
    return tf.floor(total / _GRAY_ONE + 0.5)


def _brighten(planes: tf.Tensor) -> tf.Tensor:
    """Return brighter copies of dark images, and other images as they are."""
    gray = _gray(tf.unstack(planes, axis=1)) if planes.shape[1] == 3 else planes
    values = tf.reshape(gray, (-1, planes.shape[2] * planes.shape[3]))
    n_bright = max(1, round(BRIGHT_SHARE * values.shape[1]))
    bright = tf.math.top_k(tf.cast(values, tf.float32), n_bright).values[:, -1]
    gain = tf.minimum(DARK_BELOW / tf.maximum(tf.cast(bright, tf.float64), 1.0), MAX_GAIN)
    gain = tf.maximum(gain, 1.0)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.minimum(tf.round(planes * gain), 255.0)


def _area(planes: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return each pixel as the mean of the area it covers (cv2.INTER_AREA)."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    rows, columns = _overlaps(height, size[0]), _overlaps(width, size[1])
    sums = tf.matmul(tf.matmul(rows, planes), columns, transpose_b=True)
    tall, wide = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    means = tf.round(sums / (tall * wide))
    # For integer factors, OpenCV multiplies the sum of the pixels by the reciprocal of their number
    # in single precision. For 2 in both directions, it rounds halves up.
    sums = sums / (size[0] * size[1])
    factors = tf.stack([tall / size[0], wide / size[1]])
    share = tf.cast(1 / tf.reduce_prod(factors), tf.float32)
    of_whole = tf.cast(tf.round(tf.cast(sums, tf.float32) * share), tf.float64)
    of_two = tf.floor(sums / 4 + 0.5)
    whole = tf.reduce_all(tf.equal(factors, tf.floor(factors)))
    two = tf.reduce_all(tf.equal(factors, 2.0))
    return tf.where(two, of_two, tf.where(whole, of_whole, means))


def _overlaps(old: tf.Tensor, new: int) -> tf.Tensor:
    """Return how much of each old pixel each new one covers, ``(new, old)``, in 1 / new pixels."""
    old_side = tf.cast(old, tf.float64)
    first = tf.range(new, dtype=tf.float64)[:, tf.newaxis] * old_side
    covered = tf.cast(tf.range(old), tf.float64) * float(new)
    ends = tf.minimum(first + old_side, covered + float(new))
    return tf.maximum(ends - tf.maximum(first, covered), 0.0)


def _linear(planes: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return each pixel from the four around it (cv2.INTER_LINEAR; INTER_AREA if a side grows)."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    # ImageResizer uses INTER_AREA if one side shrinks, which has bilinear weights if the other
    # grows.
    area = tf.logical_or(height > size[0], width > size[1])
    left, share = _neighbours(width, size[1], area)
    outside = tf.logical_or(left < 0, left >= width - 1)
    share = tf.where(outside, tf.zeros_like(share), share)
    columns = sum(tf.gather(planes, at, axis=3) * of for at, of in _taps(left, share, width))
    columns = tf.floor(columns / 16)
    above, share = _neighbours(height, size[0], area)
    rows = sum(
        tf.floor(tf.gather(columns, at, axis=2) * of[:, tf.newaxis] / 65536)
        for at, of in _taps(above, share, height)
    )
    return tf.floor((rows + 2) / 4)


def _neighbours(old: tf.Tensor, new: int, area: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the old pixel before each new one, and the share of the next one, in [0, 1)."""
    index = tf.range(new, dtype=tf.float64)
    shrunk = float(new) / tf.cast(old, tf.float64)
    scale = 1 / shrunk
    centre = tf.cast((index + 0.5) * scale - 0.5, tf.float32)
    first = tf.where(area, tf.floor(index * scale), tf.cast(tf.floor(centre), tf.float64))
    beyond = tf.cast((index + 1) - (first + 1) * shrunk, tf.float32)
    covered = tf.where(beyond <= 0, tf.zeros_like(beyond), beyond - tf.floor(beyond))
    share = tf.where(area, covered, centre - tf.floor(centre))
    return tf.cast(first, tf.int32), share


def _taps(first: tf.Tensor, share: tf.Tensor, old: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return indices and fixed-point weights of the two old pixels of each new one."""
    weights = [tf.round(part * _LINEAR_ONE) for part in (1 - share, share)]
    return [
        (tf.clip_by_value(first + step, 0, old - 1), tf.cast(weight, tf.float64))
        for step, weight in enumerate(weights)
    ]
