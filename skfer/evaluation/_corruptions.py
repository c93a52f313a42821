"""Images as bad light, cameras and lines make them, at strengths that are told in numbers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from sklearn.utils import check_random_state

from skfer._images import image_sequence
from skfer._pixel_range import PixelRange


@dataclass(frozen=True)
class Corruption:
    """One way in which an image gets worse.

    Attributes
    ----------
    name : str
        As in `CORRUPTIONS`.
    unit : str
        What a level counts.
    levels : tuple of 5 float
        From mild to strong.

    Examples
    --------
    >>> from skfer.evaluation import CORRUPTIONS
    >>> rotation = CORRUPTIONS["rotation"]
    >>> rotation.unit, rotation.levels[-1]
    ('degrees', 60.0)
    """

    name: str
    unit: str
    levels: tuple[float, float, float, float, float]
    _apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

    def __call__(self, image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
        """The image, float32 on 0-255, as it looks at that level."""
        return self._apply(image, level, rng)


def _lit(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    return image * np.float32(factor)


def _noisy(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(255 * deviation)


def _blurred(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    pixels = deviation * min(image.shape[:2])
    return cv2.GaussianBlur(image, (0, 0), pixels) if pixels > 0 else image


def _occluded(image: np.ndarray, area: float, rng: np.random.Generator) -> np.ndarray:
    """Behind a square of one gray, as a hand or a cup may be, anywhere in the image."""
    y, x, gray = rng.random(3)
    height, width = (round(side * np.sqrt(area)) for side in image.shape[:2])
    top = round(y * (image.shape[0] - height))
    left = round(x * (image.shape[1] - width))
    image = image.copy()
    image[top : top + height, left : left + width] = np.rint(255 * gray)
    return image


def _turned(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """To the left or to the right, with the border mirrored into the corners."""
    height, width = image.shape[:2]
    sign = rng.choice((-1, 1))
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), sign * degrees, 1)
    return cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def _compressed(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    eight_bits = _rounded(image)
    # OpenCV writes blue first: the encoder keeps green and red better than blue.
    bgr = cv2.cvtColor(eight_bits, cv2.COLOR_RGB2BGR) if image.ndim == 3 else eight_bits
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if image.ndim == 3 else decoded


def _coarse(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    small = max(1, round(width * share)), max(1, round(height * share))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


#: Every corruption by its name.
CORRUPTIONS = {
    corruption.name: corruption
    for corruption in (
        Corruption("low_light", "share of the light", (0.6, 0.4, 0.25, 0.15, 0.08), _lit),
        Corruption("overexposure", "times the light", (1.25, 1.5, 2.0, 2.75, 4.0), _lit),
        Corruption("noise", "deviation / pixel range", (0.04, 0.08, 0.12, 0.18, 0.26), _noisy),
        Corruption("blur", "deviation / side", (0.01, 0.02, 0.03, 0.045, 0.06), _blurred),
        Corruption("occlusion", "share of the area", (0.05, 0.1, 0.2, 0.3, 0.4), _occluded),
        Corruption("rotation", "degrees", (10.0, 20.0, 30.0, 45.0, 60.0), _turned),
        Corruption("jpeg", "quality", (60.0, 40.0, 25.0, 15.0, 8.0), _compressed),
        Corruption("resolution", "share of the side", (0.75, 0.5, 0.375, 0.25, 0.1875), _coarse),
    )
}


def corrupt_images(
    X: Any,
    corruption: str,
    level: float,
    *,
    random_state: int | np.random.RandomState | None = 0,
) -> np.ndarray | list[np.ndarray]:
    """Images made worse in one way.

    Parameters
    ----------
    X : batch of n images
        Arrays, paths or bytes.
    corruption : str
        A name from `CORRUPTIONS`: "low_light", "overexposure", "noise", "blur", "occlusion",
        "rotation", "jpeg" or "resolution".
    level : float
        How much, in the unit of the corruption.
    random_state : int, RandomState instance or None, default=0
        Decides noise, places and directions. With the same int an image has the same ones at
        every level, so that levels differ in strength alone.

    Returns
    -------
    ndarray of shape (n, H, W, channels), or list of n ndarray
        An array if `X` was one, else a list. uint8 stays uint8, and floats stay on their scale.

    Raises
    ------
    ValueError
        If `corruption` is none, or `X` no batch of images.

    References
    ----------
    Hendrycks, D. & Dietterich, T. (2019). Benchmarking neural network robustness to common
    corruptions and perturbations. ICLR.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import CORRUPTIONS, corrupt_images
    >>> images = make_faces(3, random_state=0).images
    >>> bool(corrupt_images(images, "low_light", 0.25).mean() < 0.3 * images.mean())
    True
    >>> CORRUPTIONS["rotation"].levels
    (10.0, 20.0, 30.0, 45.0, 60.0)
    """
    kind = known_corruption(corruption)
    seed = check_random_state(random_state).randint(2**31 - 1)
    images = image_sequence(X)
    common = PixelRange.of(images) if isinstance(images, np.ndarray) else None
    changed = [
        _on_own_scale(
            kind,
            image,
            common or PixelRange.of(image),
            level,
            np.random.default_rng([seed, zlib.crc32(kind.name.encode()), index]),
        )
        for index, image in enumerate(images)
    ]
    return np.stack(changed) if isinstance(images, np.ndarray) else changed


def known_corruption(name: str) -> Corruption:
    """The corruption of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption={name!r} must be one of {sorted(CORRUPTIONS)}.")
    return CORRUPTIONS[name]


def _on_own_scale(
    kind: Corruption,
    image: np.ndarray,
    scale: PixelRange,
    level: float,
    rng: np.random.Generator,
) -> np.ndarray:
    shape = image.shape
    if image.ndim == 3 and shape[-1] == 1:
        image = image[..., 0]
    width = (scale.high - scale.low) / 255
    light = ((image.astype(np.float32) - scale.low) / width).astype(np.float32)
    changed = np.clip(kind(light, level, rng), 0, 255)
    if image.dtype == np.uint8:
        return _rounded(changed).reshape(shape)
    return (changed * width + scale.low).astype(np.float32).reshape(shape)


def _rounded(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)
