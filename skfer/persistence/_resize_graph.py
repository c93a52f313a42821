"""What `ImageResizer` does to 8-bit images, as a TensorFlow graph."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Red, green and blue in gray (ITU-R BT.601), in fixed point as OpenCV has them.
_GRAY_WEIGHTS = (9798.0, 19235.0, 3735.0)
_GRAY_ONE = 32768.0
# 1 in the fixed point of OpenCV's bilinear weights.
_LINEAR_ONE = 2048.0


def resizing(size: tuple[int, int], channels: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function of images that converts and resizes them as `ImageResizer` does.

    It repeats OpenCV's arithmetic, roundings included: the mean over areas where an image
    shrinks, fixed-point bilinear weights where it grows. Sums are exact; OpenCV's means over areas
    are made in single precision, and where one ends in exactly .5, may round to the other side.

    Parameters
    ----------
    size : (int, int)
        Height and width of the result.
    channels : int
        1 for gray, 3 for RGB.

    Returns
    -------
    callable
        From uint8 ``(n, H, W, 1 or 3)`` to whole numbers ``(n, height, width, channels)``, float32.
    """

    def resized(images: tf.Tensor) -> tf.Tensor:
        planes = tf.transpose(_in_color(images, channels), (0, 3, 1, 2))
        shape = tf.shape(planes)
        shrinks = tf.logical_and(shape[2] >= size[0], shape[3] >= size[1])
        planes = tf.cond(shrinks, lambda: _area(planes, size), lambda: _linear(planes, size))
        planes = tf.ensure_shape(planes, (None, channels, *size))
        return tf.cast(tf.transpose(planes, (0, 2, 3, 1)), tf.float32)

    return resized


def _in_color(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Whole numbers in double precision, in which all that follows is exact."""
    # The channels 0, 1, 2 of a colour image, 0, 0, 0 of a gray one.
    places = tf.minimum([0, 1, 2], tf.shape(images)[3] - 1)
    colors = tf.cast(tf.gather(images, places, axis=3), tf.float64)
    if channels == 3:
        return colors
    red, green, blue = (
        weight * colors[..., place : place + 1] for place, weight in enumerate(_GRAY_WEIGHTS)
    )
    return tf.floor((red + green + blue) / _GRAY_ONE + 0.5)


def _area(planes: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Every pixel as the mean of what it covers (cv2.INTER_AREA); neither side grows."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    rows, columns = _overlaps(height, size[0]), _overlaps(width, size[1])
    sums = tf.matmul(tf.matmul(rows, planes), columns, transpose_b=True)
    tall, wide = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    means = tf.round(sums / (tall * wide))
    # By whole factors OpenCV multiplies the sum of the pixels by the reciprocal of their number in
    # single precision; by 2 in both directions it rounds halves up.
    sums = sums / (size[0] * size[1])
    factors = tf.stack([tall / size[0], wide / size[1]])
    share = tf.cast(1 / tf.reduce_prod(factors), tf.float32)
    of_whole = tf.cast(tf.round(tf.cast(sums, tf.float32) * share), tf.float64)
    of_two = tf.floor(sums / 4 + 0.5)
    whole = tf.reduce_all(tf.equal(factors, tf.floor(factors)))
    two = tf.reduce_all(tf.equal(factors, 2.0))
    return tf.where(two, of_two, tf.where(whole, of_whole, means))


def _overlaps(old: tf.Tensor, new: int) -> tf.Tensor:
    """How much of each old pixel each new one covers, ``(new, old)``, in 1 / new pixels."""
    old_side = tf.cast(old, tf.float64)
    first = tf.range(new, dtype=tf.float64)[:, tf.newaxis] * old_side
    covered = tf.cast(tf.range(old), tf.float64) * float(new)
    ends = tf.minimum(first + old_side, covered + float(new))
    return tf.maximum(ends - tf.maximum(first, covered), 0.0)


def _linear(planes: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Every pixel from the four around it; where one side grows (cv2.INTER_LINEAR, INTER_AREA)."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    # Of INTER_AREA, which ImageResizer takes where one side shrinks, bilinear weights are left
    # if the other side grows.
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
    """The old pixel before each new one, and the next one's share, in [0, 1)."""
    place = tf.range(new, dtype=tf.float64)
    shrunk = float(new) / tf.cast(old, tf.float64)
    scale = 1 / shrunk
    centre = tf.cast((place + 0.5) * scale - 0.5, tf.float32)
    first = tf.where(area, tf.floor(place * scale), tf.cast(tf.floor(centre), tf.float64))
    beyond = tf.cast((place + 1) - (first + 1) * shrunk, tf.float32)
    covered = tf.where(beyond <= 0, tf.zeros_like(beyond), beyond - tf.floor(beyond))
    share = tf.where(area, covered, centre - tf.floor(centre))
    return tf.cast(first, tf.int32), share


def _taps(first: tf.Tensor, share: tf.Tensor, old: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Places and fixed-point weights of the two old pixels that make each new one."""
    weights = [tf.round(part * _LINEAR_ONE) for part in (1 - share, share)]
    return [
        (tf.clip_by_value(first + step, 0, old - 1), tf.cast(weight, tf.float64))
        for step, weight in enumerate(weights)
    ]
