"""Random changes to training images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real

import tensorflow as tf

# Largest value of each parameter.
_LIMITS = {
    "rotation": 180.0,
    "shift": 1.0,
    "zoom": 0.9,
    "shear": 60.0,
    "brightness": 1.0,
    "contrast": 0.9,
    "noise": 1.0,
    "blur": 5.0,
    "erasing": 1.0,
    "mixup": 10.0,
}
# Area of an erased rectangle as a share of the image, and its largest aspect ratio.
_ERASED_AREA = (0.02, 0.2)
_ERASED_ASPECT = 3.3


@dataclass(frozen=True)
class Augmentation:
    """Random changes to a batch of images, drawn for every image and step.

    All geometric changes of an image are one projective transform, so that it is interpolated
    once. Pixels from outside the image repeat its edge. Values stay in the pixel range. Erasing is
    that of [1]_, mixup that of [2]_.

    References
    ----------
    .. [1] Zhong, Z. et al. (2020). Random erasing data augmentation. AAAI.
    .. [2] Zhang, H. et al. (2018). mixup: beyond empirical risk minimization. ICLR.
    """

    flip: bool = False  # mirror half of the images
    rotation: float = 0.0  # largest angle, in degrees
    shift: float = 0.0  # largest shift, as a share of the height and the width
    zoom: float = 0.0  # largest change of size: 0.1 draws a factor from 0.9 to 1.1
    shear: float = 0.0  # largest angle of a shear, in degrees
    brightness: float = 0.0  # largest value added to all pixels, as a share of the pixel range
    contrast: float = 0.0  # largest change of contrast: 0.2 draws a factor from 0.8 to 1.2
    noise: float = 0.0  # largest standard deviation of Gaussian noise, as such a share
    blur: float = 0.0  # largest standard deviation of a Gaussian blur, in pixels
    erasing: float = 0.0  # share of images with a rectangle of random pixels, 2 to 20 % of the area
    mixup: float = 0.0  # alpha of the Beta(alpha, alpha) shares with which two images are mixed

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) <= limit:
                raise ValueError(f"augment: {name!r} must be from 0 to {limit:g}; got {value!r}.")

    @classmethod
    def from_parameter(cls, augment: str | Mapping | None) -> Augmentation | None:
        """Return the augmentation for the `augment` parameter of an estimator."""
        if augment is None:
            return None
        if isinstance(augment, Mapping):
            known = [field.name for field in fields(cls)]
            unknown = sorted(set(augment) - set(known))
            if unknown:
                raise ValueError(
                    f"augment has no entry {unknown[0]!r}; it may hold any of {known}."
                )
            return cls(**augment)
        if augment not in _PRESETS:
            raise ValueError(
                f"augment must be one of {sorted(_PRESETS)}, None or a dict such as "
                f"{{'flip': True, 'rotation': 10}}; got {augment!r}."
            )
        return _PRESETS[augment]

    def __call__(
        self, images: tf.Tensor, seed: tf.Tensor, pixel_range: tuple[float, float] = (0.0, 255.0)
    ) -> tf.Tensor:
        """Change a batch ``(n, height, width, channels)``; its dtype is kept."""
        if self.flip or self.rotation or self.shift or self.zoom or self.shear:
            images = self._transform(images, seed)
        if not (self.brightness or self.contrast or self.noise or self.blur or self.erasing):
            return images
        changed = tf.cast(images, tf.float32)
        low, high = pixel_range
        width = high - low
        # Each change has its own seed: turning one off does not alter the others. Batches fold in
        # the numbers from 1.
        seeds = [tf.random.experimental.stateless_fold_in(seed, 1001 + k) for k in range(5)]
        if self.blur:
            changed = _blur(changed, seeds[0], self.blur)
        if self.contrast:
            mean = tf.reduce_mean(changed, axis=(1, 2, 3), keepdims=True)
            factor = _uniform(changed, seeds[1], 1 - self.contrast, 1 + self.contrast)
            changed = mean + factor * (changed - mean)
        if self.brightness:
            change = self.brightness * width
            changed += _uniform(changed, seeds[2], -change, change)
        if self.noise:
            deviation = _uniform(changed, seeds[3], 0.0, self.noise * width)
            noise_seed = tf.random.experimental.stateless_fold_in(seeds[3], 1)
            changed += deviation * tf.random.stateless_normal(tf.shape(changed), noise_seed)
        if self.erasing:
            changed = _erase(changed, seeds[4], self.erasing, low, high)
        return _cast(tf.clip_by_value(changed, low, high), images.dtype)

    def mix(
        self, images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Mix every image and target with the next one of the shuffled batch (mixup).

        Each of the two losses is weighted by the weight of its image.
        """
        gammas = tf.random.stateless_gamma(
            tf.concat([[2], tf.shape(images)[:1]], axis=0), seed, self.mixup
        )
        share = gammas[0] / (gammas[0] + gammas[1])  # Beta(mixup, mixup)
        column, image_share = share[:, None], share[:, None, None, None]
        pixels = tf.cast(images, tf.float32)
        mixed = image_share * pixels + (1 - image_share) * tf.roll(pixels, shift=1, axis=0)
        mixed = _cast(mixed, images.dtype)
        if weights is None:
            targets = column * targets + (1 - column) * tf.roll(targets, shift=1, axis=0)
            return mixed, targets, None
        # The sum of the two weights is the weight of the mixed target.
        first = share * tf.cast(weights, tf.float32)
        second = (1 - share) * tf.roll(tf.cast(weights, tf.float32), shift=1, axis=0)
        total = first + second
        targets = first[:, None] * targets + second[:, None] * tf.roll(targets, shift=1, axis=0)
        return mixed, tf.math.divide_no_nan(targets, total[:, None]), total

    def _transform(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Flip, rotate, shift, zoom and shear images of any dtype."""
        shape = tf.shape(images)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=self._matrices(shape[0], shape[1], shape[2], seed),
            output_shape=shape[1:3],
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )

    def _matrices(
        self, n: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """Return eight numbers for each image, which map output pixels to input pixels."""
        # Six draws for each image, whatever is switched on: turning one change off does not alter
        # the others.
        draws = tf.random.stateless_uniform((6, n), seed, -1.0, 1.0)
        mirror = tf.where(draws[0] < 0, -1.0, 1.0) if self.flip else tf.ones_like(draws[0])
        angle = draws[1] * (self.rotation * math.pi / 180.0)
        scale = 1.0 / (1.0 + draws[2] * self.zoom)
        height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        shift_x, shift_y = draws[3] * self.shift * width, draws[4] * self.shift * height
        slant = tf.tan(draws[5] * (self.shear * math.pi / 180.0))

        cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
        a, b = mirror * cosine, mirror * (slant * cosine - sine)
        c, d = sine, slant * sine + cosine
        # About the centre of the image.
        x0, y0 = (width - 1.0) / 2.0, (height - 1.0) / 2.0
        x = x0 - a * (x0 + shift_x) - b * (y0 + shift_y)
        y = y0 - c * (x0 + shift_x) - d * (y0 + shift_y)
        zero = tf.zeros_like(a)
        return tf.stack([a, b, x, c, d, y, zero, zero], axis=1)


def _blur(images: tf.Tensor, seed: tf.Tensor, max_deviation: float) -> tf.Tensor:
    deviation = tf.maximum(_uniform(images, seed, 0.0, max_deviation)[:, :, 0, 0], 1e-3)
    radius = math.ceil(2 * max_deviation)
    offsets = tf.cast(tf.range(-radius, radius + 1), tf.float32)
    kernel = tf.exp(-0.5 * (offsets / deviation) ** 2)
    kernel /= tf.reduce_sum(kernel, axis=1, keepdims=True)
    for axis in (1, 2):
        side = tf.shape(images)[axis]
        images = tf.add_n(
            [
                kernel[:, k, None, None, None]
                * tf.gather(
                    images, tf.clip_by_value(tf.range(side) + k - radius, 0, side - 1), axis=axis
                )
                for k in range(2 * radius + 1)
            ]
        )
    return images


def _erase(
    images: tf.Tensor, seed: tf.Tensor, probability: float, low: float, high: float
) -> tf.Tensor:
    """Replace a rectangle by random pixels in some of the images."""
    shape = tf.shape(images)
    draws = tf.random.stateless_uniform((5, shape[0]), seed)
    area = _ERASED_AREA[0] + draws[0] * (_ERASED_AREA[1] - _ERASED_AREA[0])
    aspect = tf.exp((2 * draws[1] - 1) * math.log(_ERASED_ASPECT))
    sides = tf.sqrt(area * aspect), tf.sqrt(area / aspect)
    rows, columns = (
        _interval(shape[axis], side, start)
        for axis, side, start in zip((1, 2), sides, (draws[2], draws[3]), strict=True)
    )
    chosen = (draws[4] < probability)[:, None, None]
    mask = rows[:, :, None] & columns[:, None, :] & chosen
    pixel_seed = tf.random.experimental.stateless_fold_in(seed, 1)
    pixels = tf.random.stateless_uniform(shape, pixel_seed, low, high)
    return tf.where(mask[..., None], pixels, images)


def _interval(side: tf.Tensor, share: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Return a mask of `side` pixels for an interval of this share; `start` is from 0 to 1."""
    share = tf.minimum(share, 1.0)[:, None]
    first = start[:, None] * (1.0 - share)
    centres = (tf.range(tf.cast(side, tf.float32)) + 0.5) / tf.cast(side, tf.float32)
    return (centres >= first) & (centres < first + share)


def _uniform(images: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Return one draw for each image, ``(n, 1, 1, 1)``."""
    return tf.random.stateless_uniform(tf.shape(images)[:1], seed, low, high)[:, None, None, None]


def _cast(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(tf.round(images) if tf.as_dtype(dtype).is_integer else images, dtype)


_PRESETS = {
    "none": Augmentation(),
    "flip": Augmentation(flip=True),
    "light": Augmentation(flip=True, rotation=10.0, shift=0.08, zoom=0.1),
    "strong": Augmentation(
        flip=True,
        rotation=15.0,
        shift=0.1,
        zoom=0.15,
        shear=8.0,
        brightness=0.15,
        contrast=0.2,
        noise=0.03,
        blur=0.5,
        erasing=0.25,
    ),
}
