"""Augmentation of batches of small gray images in NumPy.

Each change has a strength, 0 or absent for none:

- ``rotation`` degrees; ``zoom`` and ``shear`` shares; ``shift`` pixels: the largest deviation
- ``gamma``, ``contrast``, ``brightness``: the largest deviation, of gamma in powers of e
- ``blur``, ``resolution``, ``jpeg``, ``noise``, ``erasing``, ``cutmix``, ``mixup``: share of the
  images that are changed

Half of the images are mirrored.
"""

from __future__ import annotations

import numpy as np

_MAX_BLUR = 1.2  # pixels
_MAX_NOISE = 0.08  # share of the pixel range
_MIN_VIEW = 40  # pixels of an image that are seen at least, also in smaller training images
_ERASED_AREA = (0.03, 0.25)
# Luminance quantisation of the JPEG standard, annex K.
_JPEG = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)


def augment(
    images: np.ndarray,
    targets: np.ndarray,
    random: np.random.Generator,
    size: int,
    settings: dict[str, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return changed copies of uint8 images and their targets.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, side, side)
    targets : ndarray of float32, shape (n, n_outputs)
    random : numpy.random.Generator
    size : int
        Side of the square cut out of the middle after the geometric changes. Below 40, a square of
        40 pixels is reduced to it.
    settings : dict
        Strengths by name.

    Returns
    -------
    images : ndarray of float32, shape (n, size, size, 1)
        In [0, 1].
    targets : ndarray of float32, shape (n, n_outputs)
    """
    changed = _warp(images, random, size, settings)
    changed = _degrade(changed, random, settings)
    changed = _change_light(changed, random, settings)
    changed = _add_noise(changed, random, settings.get("noise", 0.0))
    changed = _erase(changed, random, settings.get("erasing", 0.0))
    np.clip(changed, 0, 1, out=changed)
    changed, targets = _mix(changed, targets, random, settings)
    return changed[..., None], targets


def _warp(
    images: np.ndarray, random: np.random.Generator, size: int, settings: dict[str, float]
) -> np.ndarray:
    """Mirror, rotate, zoom, shear and shift in one bilinear interpolation."""
    n, side, _ = images.shape

    def draw(name: str) -> np.ndarray:
        return random.uniform(-1, 1, n) * settings.get(name, 0.0)

    angle, scale = np.deg2rad(draw("rotation")), np.exp(draw("zoom"))
    shear, mirror = draw("shear"), random.choice([-1.0, 1.0], n)
    shift_x, shift_y = draw("shift"), draw("shift")
    grid = np.arange(size, dtype=np.float32) - (size - 1) / 2
    grid *= max(1.0, _MIN_VIEW / size)
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    middle = (side - 1) / 2

    def coordinates(of_x: np.ndarray, of_y: np.ndarray, offset: np.ndarray) -> np.ndarray:
        of_x, of_y, offset = (a.astype(np.float32)[:, None, None] for a in (of_x, of_y, offset))
        return of_x * grid[None, None, :] + (of_y * grid[None, :, None] + (offset + middle))

    x = coordinates(mirror * cosine, mirror * (shear * cosine - sine), shift_x)
    y = coordinates(sine, shear * sine + cosine, shift_y)
    for axis in (x, y):  # mirrored at the border
        np.abs(axis, out=axis)
        np.subtract(side - 1, np.abs(side - 1 - axis), out=axis)
        np.clip(axis, 0, side - 1.001, out=axis)
    left, top = x.astype(np.int32), y.astype(np.int32)
    x -= left
    y -= top
    flat = images.reshape(-1)
    first = top * side + left + (np.arange(n, dtype=np.int32) * side * side)[:, None, None]
    upper = flat[first] * (1 - x) + flat[first + 1] * x
    lower = flat[first + side] * (1 - x) + flat[first + side + 1] * x
    return (upper + (lower - upper) * y) * np.float32(1 / 255)


def _select_rows(n: int, random: np.random.Generator, share: float) -> np.ndarray:
    return np.flatnonzero(random.random(n) < share)


def _degrade(
    images: np.ndarray, random: np.random.Generator, settings: dict[str, float]
) -> np.ndarray:
    """Blur, reduce the resolution or compress some of the images."""
    n, size, _ = images.shape
    rows = _select_rows(n, random, settings.get("blur", 0.0))
    if len(rows):
        deviation = random.uniform(0.3, _MAX_BLUR, len(rows))
        images[rows] = _transform_axes(images[rows], _gaussian_matrices(size, deviation))
    rows = _select_rows(n, random, settings.get("resolution", 0.0))
    if len(rows):
        smaller = random.integers(size // 3, size, len(rows))
        images[rows] = _transform_axes(
            images[rows], np.stack([_resize_matrix(size, s) for s in smaller])
        )
    rows = _select_rows(n, random, settings.get("jpeg", 0.0))
    if len(rows):
        images[rows] = _compress(images[rows], random.uniform(8, 60, len(rows)))
    return images


def _transform_axes(images: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    return matrices @ images @ matrices.transpose(0, 2, 1)


def _gaussian_matrices(size: int, deviation: np.ndarray) -> np.ndarray:
    """Return the matrix of a Gaussian filter for each image."""
    distance = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-0.5 * (distance / deviation[:, None, None]) ** 2)
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)


def _resize_matrix(size: int, smaller: int) -> np.ndarray:
    """Return the matrix that resizes to a smaller side and back, linearly."""
    down = _interpolation_matrix(smaller, size)
    return (_interpolation_matrix(size, smaller) @ down).astype(np.float32)


def _interpolation_matrix(target: int, source: int) -> np.ndarray:
    """Return the matrix of linear interpolation between two sides, with antialiasing."""
    scale = source / target
    centre = (np.arange(target) + 0.5) * scale - 0.5
    weights = 1 - np.abs(np.arange(source) - centre[:, None]) / max(scale, 1)
    weights = np.maximum(weights, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _compress(images: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Round the coefficients of 8x8 blocks, as JPEG does."""
    n, size, _ = images.shape
    index = np.arange(8)
    cosines = np.cos(np.pi * (2 * index + 1) * index[:, None] / 16) / 2
    cosines[0] /= np.sqrt(2)
    cosines = cosines.astype(np.float32)
    scale = np.where(quality < 50, 50 / quality, 2 - quality / 50).astype(np.float32)
    steps = np.maximum(1, _JPEG * scale[:, None, None, None, None])
    blocks = images.reshape(n, size // 8, 8, size // 8, 8).transpose(0, 1, 3, 2, 4) * 255 - 128
    coefficients = cosines @ blocks @ cosines.T
    blocks = cosines.T @ (np.round(coefficients / steps) * steps) @ cosines
    return ((blocks + 128) / 255).transpose(0, 1, 3, 2, 4).reshape(n, size, size)


def _change_light(
    images: np.ndarray, random: np.random.Generator, settings: dict[str, float]
) -> np.ndarray:
    """Change gamma, contrast about the mean and brightness."""

    def draw(name: str) -> np.ndarray:
        value = random.uniform(-1, 1, len(images)) * settings.get(name, 0.0)
        return value.astype(np.float32)[:, None, None]

    gamma = np.exp(draw("gamma"))
    images = np.clip(images, 1e-4, 1) ** gamma
    mean = images.mean(axis=(1, 2), keepdims=True)
    # Contrast is multiplied or divided by a factor, equally often.
    return mean + (images - mean) * np.exp(draw("contrast")) + draw("brightness")


def _add_noise(images: np.ndarray, random: np.random.Generator, share: float) -> np.ndarray:
    """Add Gaussian noise to some of the images."""
    rows = _select_rows(len(images), random, share)
    if len(rows):
        deviation = random.uniform(0, _MAX_NOISE, len(rows)).astype(np.float32)
        noise = random.standard_normal((len(rows), *images.shape[1:]), dtype=np.float32)
        images[rows] += deviation[:, None, None] * noise
    return images


def _erase(images: np.ndarray, random: np.random.Generator, share: float) -> np.ndarray:
    """Fill a rectangle of some of the images with one gray value."""
    size = images.shape[1]
    for row in _select_rows(len(images), random, share):
        area, aspect = random.uniform(*_ERASED_AREA), np.exp(random.uniform(-0.7, 0.7))
        height = min(size, max(1, round(size * np.sqrt(area * aspect))))
        width = min(size, max(1, round(size * np.sqrt(area / aspect))))
        top, left = random.integers(size - height + 1), random.integers(size - width + 1)
        images[row, top : top + height, left : left + width] = random.random()
    return images


def _mix(
    images: np.ndarray,
    targets: np.ndarray,
    random: np.random.Generator,
    settings: dict[str, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Mix images of the batch: insert a rectangle of another image, or blend both."""
    n, size, _ = images.shape
    cutmix, mixup = settings.get("cutmix", 0.0), settings.get("mixup", 0.0)
    if not cutmix and not mixup:
        return images, targets
    kinds, partners = random.random(n), random.permutation(n)
    others, shares = images[partners], np.zeros(n, np.float32)
    for row in np.flatnonzero(kinds < cutmix):
        side = int(size * np.sqrt(random.uniform(0, 0.5)))
        top, left = random.integers(size - side + 1, size=2)
        window = (row, slice(top, top + side), slice(left, left + side))
        images[window] = others[window]
        shares[row] = (side / size) ** 2
    rows = np.flatnonzero((kinds >= cutmix) & (kinds < cutmix + mixup))
    shares[rows] = random.beta(0.4, 0.4, len(rows)).astype(np.float32) / 2
    weight = shares[rows, None, None]
    images[rows] = (1 - weight) * images[rows] + weight * others[rows]
    return images, (1 - shares[:, None]) * targets + shares[:, None] * targets[partners]
