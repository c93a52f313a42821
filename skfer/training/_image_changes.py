"""The single changes that an augmentation is made of, each a function of images and a seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from skfer.training._augmentation import Augmentation

# Area of an erased rectangle as a share of the image, and its height over its width.
_ERASED_AREA = (0.02, 0.2)
_ERASED_ASPECT = 3.3


def moved(images: tf.Tensor, seed: tf.Tensor, by: Augmentation) -> tf.Tensor:
    """Mirrored, turned, shifted, zoomed and slanted, of any dtype."""
    shape = tf.shape(images)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=_transforms(shape[0], shape[1], shape[2], seed, by),
        output_shape=shape[1:3],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _transforms(
    n: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor, by: Augmentation
) -> tf.Tensor:
    """One row of eight numbers an image: output pixel to input pixel."""
    # Six uniform draws an image, whatever is switched on: turning one change off does not
    # alter the others.
    draws = tf.random.stateless_uniform((6, n), seed, -1.0, 1.0)
    mirror = tf.where(draws[0] < 0, -1.0, 1.0) if by.flip else tf.ones_like(draws[0])
    angle = draws[1] * (by.rotation * math.pi / 180.0)
    scale = 1.0 / (1.0 + draws[2] * by.zoom)
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    shift_x, shift_y = draws[3] * by.shift * width, draws[4] * by.shift * height
    slant = tf.tan(draws[5] * (by.shear * math.pi / 180.0))

    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    a, b = mirror * cosine, mirror * (slant * cosine - sine)
    c, d = sine, slant * sine + cosine
    # About the centre of the image, which no turn, mirror or zoom moves.
    x0, y0 = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    x = x0 - a * (x0 + shift_x) - b * (y0 + shift_y)
    y = y0 - c * (x0 + shift_x) - d * (y0 + shift_y)
    zero = tf.zeros_like(a)
    return tf.stack([a, b, x, c, d, y, zero, zero], axis=1)


def blurred(images: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """Convolved with a Gaussian of up to `most` pixels."""
    deviation = tf.maximum(_uniform(images, seed, 0.0, most), 1e-3)
    reach = math.ceil(2 * most)
    offsets = tf.range(-reach, reach + 1)
    kernel = tf.exp(-0.5 * (tf.cast(offsets, tf.float32) / deviation[:, None]) ** 2)
    kernel /= tf.reduce_sum(kernel, axis=1, keepdims=True)
    for axis in (1, 2):
        side = tf.shape(images)[axis]
        images = tf.add_n(
            [
                kernel[:, place, None, None, None]
                * tf.gather(
                    images,
                    tf.clip_by_value(tf.range(side) + place - reach, 0, side - 1),
                    axis=axis,
                )
                for place in range(2 * reach + 1)
            ]
        )
    return images


def contrasted(images: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """Stretched about the mean of each image by a factor from 1 - most to 1 + most."""
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    factor = _for_images(_uniform(images, seed, 1 - most, 1 + most))
    return mean + factor * (images - mean)


def lit(images: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """Brighter or darker by up to `most`."""
    return images + _for_images(_uniform(images, seed, -most, most))


def noisy(images: tf.Tensor, seed: tf.Tensor, most: float) -> tf.Tensor:
    """With Gaussian noise of a standard deviation of up to `most`."""
    deviation = _for_images(_uniform(images, seed, 0.0, most))
    own = tf.random.experimental.stateless_fold_in(seed, 1)
    return images + deviation * tf.random.stateless_normal(tf.shape(images), own)


def erased(
    images: tf.Tensor, seed: tf.Tensor, probability: float, low: float, high: float
) -> tf.Tensor:
    """With a rectangle of random pixels in some of them."""
    shape = tf.shape(images)
    draws = tf.random.stateless_uniform((5, shape[0]), seed)
    area = _ERASED_AREA[0] + draws[0] * (_ERASED_AREA[1] - _ERASED_AREA[0])
    aspect = tf.exp((2 * draws[1] - 1) * math.log(_ERASED_ASPECT))
    sides = tf.sqrt(area * aspect), tf.sqrt(area / aspect)
    rows, columns = (
        _within(shape[axis], side, place)
        for axis, side, place in zip((1, 2), sides, (draws[2], draws[3]), strict=True)
    )
    chosen = (draws[4] < probability)[:, None, None]
    mask = rows[:, :, None] & columns[:, None, :] & chosen
    own = tf.random.experimental.stateless_fold_in(seed, 1)
    pixels = tf.random.stateless_uniform(shape, own, low, high)
    return tf.where(mask[..., None], pixels, images)


def _within(side: tf.Tensor, share: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Which of `side` rows lie in a stretch of that share, at a place from 0 to 1."""
    share = tf.minimum(share, 1.0)[:, None]
    start = place[:, None] * (1.0 - share)
    centres = (tf.range(tf.cast(side, tf.float32)) + 0.5) / tf.cast(side, tf.float32)
    return (centres >= start) & (centres < start + share)


def beta(shape: tf.Tensor, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draws from Beta(alpha, alpha)."""
    gammas = tf.random.stateless_gamma(tf.concat([[2], shape], axis=0), seed, alpha)
    return gammas[0] / (gammas[0] + gammas[1])


def _uniform(images: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """One draw an image."""
    return tf.random.stateless_uniform(tf.shape(images)[:1], seed, low, high)


def _for_images(draws: tf.Tensor) -> tf.Tensor:
    return draws[:, None, None, None]
