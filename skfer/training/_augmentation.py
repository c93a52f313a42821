"""Random changes to training images, made in the input pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import tensorflow as tf

from skfer.training import _image_changes as changes

# What each change may be at most.
_MOST = {
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


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed; each change is drawn anew for every image.

    All geometric changes of an image become one projective transform, so that it is
    interpolated once. Pixels from outside the image repeat its edge. Pixels stay in the range
    they may have.

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
    shear : float, default=0
        Largest slant of upright lines, in degrees, either way.
    brightness : float, default=0
        Largest amount added to all pixels, as a share of the pixel range, either way.
    contrast : float, default=0
        Largest change of the distance from the image's mean: 0.2 draws a factor from 0.8 to 1.2.
    noise : float, default=0
        Largest standard deviation of Gaussian noise, as a share of the pixel range.
    blur : float, default=0
        Largest standard deviation of a Gaussian blur, in pixels.
    erasing : float, default=0
        How many of the images get a rectangle of 2 to 20 % of their area filled with random
        pixels [1]_.
    mixup : float, default=0
        Alpha of the Beta(alpha, alpha) distribution from which shares are drawn, by which
        images and targets are mixed with others of the batch [2]_; 0 mixes none.

    Raises
    ------
    ValueError
        If a value is out of its range.

    References
    ----------
    .. [1] Zhong, Z. et al. (2020). Random erasing data augmentation. AAAI.
    .. [2] Zhang, H. et al. (2018). mixup: beyond empirical risk minimization. ICLR.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.training import Augmentation
    >>> faces = make_faces(2, random_state=0).images[..., None]
    >>> changed = Augmentation(flip=True, rotation=10)(faces, seed=(0, 1))
    >>> changed.shape.as_list(), changed.dtype.name
    ([2, 48, 48, 1], 'uint8')
    """

    flip: bool = False
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    erasing: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"augment: {name!r} must be from 0 to {most:g}; got {value!r}.")

    @classmethod
    def of(cls, augment: str | Mapping | None) -> Augmentation | None:
        """What the estimators' ``augment`` parameter stands for.

        Parameters
        ----------
        augment : {"none", "flip", "light", "strong"}, dict or None
            The entries of a dict are the parameters of this class.

        Returns
        -------
        Augmentation or None
            None, for None, changes nothing.

        Raises
        ------
        ValueError
            If there is no such name or entry, or a value is out of its range.
        """
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

    def __call__(
        self, images: tf.Tensor, seed: tf.Tensor, pixel_range: tuple[float, float] = (0.0, 255.0)
    ) -> tf.Tensor:
        """Change a batch ``(n, height, width, channels)`` of any dtype, keeping the dtype."""
        if self.flip or self.rotation or self.shift or self.zoom or self.shear:
            images = changes.moved(images, seed, self)
        if not (self.brightness or self.contrast or self.noise or self.blur or self.erasing):
            return images
        changed = tf.cast(images, tf.float32)
        low, high = pixel_range
        if self.blur:
            changed = changes.blurred(changed, _own(seed, 1), self.blur)
        if self.contrast:
            changed = changes.contrasted(changed, _own(seed, 2), self.contrast)
        if self.brightness:
            changed = changes.lit(changed, _own(seed, 3), self.brightness * (high - low))
        if self.noise:
            changed = changes.noisy(changed, _own(seed, 4), self.noise * (high - low))
        if self.erasing:
            changed = changes.erased(changed, _own(seed, 5), self.erasing, low, high)
        return _as_type(tf.clip_by_value(changed, low, high), images.dtype)

    def mix(
        self,
        images: tf.Tensor,
        targets: tf.Tensor,
        weights: tf.Tensor | None,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Mix every image and its target with the next one's of the (shuffled) batch.

        Parameters
        ----------
        images : tensor of shape (n, height, width, channels)
        targets : tensor of shape (n, n_outputs), float32
            Shares of the classes.
        weights : tensor of shape (n,) or None
            The mixed loss weighs every image by its own.
        seed : tensor of shape (2,)

        Returns
        -------
        images, targets, weights
            Like the given ones.
        """
        share = changes.beta(tf.shape(images)[:1], seed, self.mixup)
        column, map_ = share[:, None], share[:, None, None, None]
        pixels = tf.cast(images, tf.float32)
        mixed = _as_type(
            map_ * pixels + (1 - map_) * tf.roll(pixels, shift=1, axis=0), images.dtype
        )
        if weights is None:
            targets = column * targets + (1 - column) * tf.roll(targets, shift=1, axis=0)
            return mixed, targets, None
        # Weights of the two losses: their sum goes before the mixed target's loss.
        one = share * tf.cast(weights, tf.float32)
        other = (1 - share) * tf.roll(tf.cast(weights, tf.float32), shift=1, axis=0)
        both = one + other
        targets = one[:, None] * targets + other[:, None] * tf.roll(targets, shift=1, axis=0)
        return mixed, tf.math.divide_no_nan(targets, both[:, None]), both


def _own(seed: tf.Tensor, number: int) -> tf.Tensor:
    """A seed for each change: turning one off does not alter the others."""
    # The batches fold in numbers from 1 themselves.
    return tf.random.experimental.stateless_fold_in(seed, 1000 + number)


def _as_type(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(tf.round(images) if tf.as_dtype(dtype).is_integer else images, dtype)


PRESETS = {
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
