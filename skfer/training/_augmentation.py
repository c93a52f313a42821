"""Random changes to training images, made in the input pipeline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import tensorflow as tf


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed; each change is drawn anew for every image.

    All geometric changes of an image become one projective transform, so that it is
    interpolated once. Pixels from outside the image repeat its edge.

    Parameters
    ----------
    flip : bool, default=False
        Mirror left and right, one image in two.
    rotation : float, default=0
        Largest angle, in degrees, either way.
    shift : float, default=0
        Largest move, as a share of the height and of the width, either way.
    zoom : float, default=0
        Largest change of size: 0.1 draws a factor from 0.9 to 1.1.
    """

    flip: bool = False
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("rotation", 180), ("shift", 1), ("zoom", 0.9)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"augment: {name!r} must be from 0 to {most}; got {value!r}.")

    @classmethod
    def of(cls, augment: str | Mapping | None) -> Augmentation | None:
        """What the estimators' ``augment`` parameter stands for; None changes nothing."""
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
        if augment not in PRESETS:
            raise ValueError(
                f"augment must be one of {sorted(PRESETS)}, None or a dict such as "
                f"{{'flip': True, 'rotation': 10}}; got {augment!r}."
            )
        return PRESETS[augment]

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Change a batch ``(n, height, width, channels)`` of any dtype, keeping the dtype."""
        if not any(getattr(self, field.name) for field in fields(self)):
            return images
        shape = tf.shape(images)
        transforms = self._transforms(shape[0], shape[1], shape[2], seed)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=transforms,
            output_shape=shape[1:3],
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )

    def _transforms(
        self, n: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """One row of eight numbers an image: output pixel to input pixel."""
        # Five uniform draws an image, whatever is switched on: turning one change off does
        # not alter the others.
        draws = tf.random.stateless_uniform((5, n), seed, -1.0, 1.0)
        mirror = tf.where(draws[0] < 0, -1.0, 1.0) if self.flip else tf.ones_like(draws[0])
        angle = draws[1] * (self.rotation * math.pi / 180.0)
        scale = 1.0 / (1.0 + draws[2] * self.zoom)
        height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        shift_x, shift_y = draws[3] * self.shift * width, draws[4] * self.shift * height

        a, b = mirror * scale * tf.cos(angle), -mirror * scale * tf.sin(angle)
        c, d = scale * tf.sin(angle), scale * tf.cos(angle)
        # About the centre of the image, which no turn, mirror or zoom moves.
        x0, y0 = (width - 1.0) / 2.0, (height - 1.0) / 2.0
        x = x0 - a * (x0 + shift_x) - b * (y0 + shift_y)
        y = y0 - c * (x0 + shift_x) - d * (y0 + shift_y)
        zero = tf.zeros_like(a)
        return tf.stack([a, b, x, c, d, y, zero, zero], axis=1)


PRESETS = {
    "none": Augmentation(),
    "flip": Augmentation(flip=True),
    "light": Augmentation(flip=True, rotation=10.0, shift=0.08, zoom=0.1),
}
