"""Image corruptions, and the scores of a classifier on corrupted images."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state

from skfer._images._batch import image_sequence
from skfer._images._pixel_range import PixelRange

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Corruption:
    """A kind of image corruption.

    Attributes
    ----------
    name : str
        Its name in `CORRUPTIONS`.
    unit : str
        Unit of the levels.
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
        """Return a corrupted copy of a float32 image with values from 0 to 255."""
        return self._apply(image, level, rng)


def _scale_brightness(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    return image * np.float32(factor)


def _add_noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(255 * deviation)


def _blur(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    pixels = deviation * min(image.shape[:2])
    return cv2.GaussianBlur(image, (0, 0), pixels) if pixels > 0 else image


def _occlude(image: np.ndarray, area: float, rng: np.random.Generator) -> np.ndarray:
    """Cover a random part, of the shape of the image, with a random gray."""
    y, x, gray = rng.random(3)
    height, width = (round(side * np.sqrt(min(area, 1))) for side in image.shape[:2])
    top = round(y * (image.shape[0] - height))
    left = round(x * (image.shape[1] - width))
    image = image.copy()
    image[top : top + height, left : left + width] = np.rint(255 * gray)
    return image


def _rotate(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Rotate in a random direction; the corners are filled by reflection."""
    height, width = image.shape[:2]
    sign = rng.choice((-1, 1))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), sign * degrees, 1)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def _compress(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    pixels = _to_uint8(image)
    # OpenCV expects BGR: the encoder preserves green and red better than blue.
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if image.ndim == 3 else pixels
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if image.ndim == 3 else decoded


def _reduce_resolution(image: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


#: All corruptions by name.
CORRUPTIONS = {
    name: Corruption(name, unit, levels, apply)
    for name, unit, levels, apply in (
        ("low_light", "factor of brightness", (0.6, 0.4, 0.25, 0.15, 0.08), _scale_brightness),
        ("overexposure", "factor of brightness", (1.25, 1.5, 2.0, 2.75, 4.0), _scale_brightness),
        ("noise", "deviation / pixel range", (0.04, 0.08, 0.12, 0.18, 0.26), _add_noise),
        ("blur", "deviation / side", (0.01, 0.02, 0.03, 0.045, 0.06), _blur),
        ("occlusion", "fraction of the area", (0.05, 0.1, 0.2, 0.3, 0.4), _occlude),
        ("rotation", "degrees", (10.0, 20.0, 30.0, 45.0, 60.0), _rotate),
        ("jpeg", "quality", (60.0, 40.0, 25.0, 15.0, 8.0), _compress),
        (
            "resolution",
            "fraction of the side",
            (0.75, 0.5, 0.375, 0.25, 0.1875),
            _reduce_resolution,
        ),
    )
}


def corrupt_images(
    X: Any, corruption: str, level: float, *, random_state: int | np.random.RandomState | None = 0
) -> np.ndarray | list[np.ndarray]:
    """Apply a corruption to images.

    Parameters
    ----------
    X : batch of n images
        Arrays, paths or bytes.
    corruption : str
        A name from `CORRUPTIONS`: "low_light", "overexposure", "noise", "blur", "occlusion",
        "rotation", "jpeg" or "resolution".
    level : float
        Strength in the unit of the corruption.
    random_state : int, RandomState instance or None, default=0
        Seed of noise, positions and directions. With the same int they are equal at all levels.

    Returns
    -------
    ndarray of shape (n, H, W, channels), or list of n ndarray
        An array if `X` is an array, else a list. uint8 remains uint8; floats keep their scale.

    Raises
    ------
    ValueError
        If `corruption` is unknown, `level` is negative or not finite, or `X` is not a batch of
        images.

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
    kind = _corruption(corruption)
    if not isinstance(level, Real) or not 0 <= level < np.inf:
        raise ValueError(f"level={level!r} must be a finite number that is not negative.")
    seed = check_random_state(random_state).randint(2**31 - 1)
    images = image_sequence(X)
    common = PixelRange.from_images(images) if isinstance(images, np.ndarray) else None
    corrupted = []
    for index, image in enumerate(images):
        rng = np.random.default_rng([seed, zlib.crc32(corruption.encode()), index])
        corrupted.append(_corrupt(image, kind, level, common or PixelRange.from_images(image), rng))
    return np.stack(corrupted) if isinstance(images, np.ndarray) else corrupted


def _corruption(name: str) -> Corruption:
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption={name!r} must be one of {sorted(CORRUPTIONS)}.")
    return CORRUPTIONS[name]


def _corrupt(
    image: np.ndarray, kind: Corruption, level: float, scale: PixelRange, rng: np.random.Generator
) -> np.ndarray:
    """Corrupt an image on the scale from 0 to 255, and return it on its own scale."""
    shape = image.shape
    if image.ndim == 3 and shape[-1] == 1:
        image = image[..., 0]
    width = (scale.high - scale.low) / 255
    pixels = ((image.astype(np.float32) - scale.low) / width).astype(np.float32)
    corrupted = np.clip(kind(pixels, level, rng), 0, 255)
    if image.dtype == np.uint8:
        return _to_uint8(corrupted).reshape(shape)
    return (corrupted * width + scale.low).astype(np.float32).reshape(shape)


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def robustness_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    corruptions: str | Sequence[str] | Mapping[str, Sequence[float]] | None = None,
    scoring: str | Callable | Sequence[str] = "accuracy",
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Score a fitted estimator on corrupted images.

    Parameters
    ----------
    estimator : fitted classifier, regressor or Pipeline
        The images are corrupted before any cropping.
    X : batch of n images
        Images that the estimator was not fitted on.
    y : array-like of shape (n,)
    corruptions : str, sequence of str or dict, default=None
        Names from `CORRUPTIONS`, or a dict from names to levels. None is all, at five levels each.
    scoring : str, callable or sequence of str, default="accuracy"
        As in `sklearn.model_selection.cross_validate`.
    random_state : int, RandomState instance or None, default=0
        Seed of noise, positions and directions, which are equal at all levels.

    Returns
    -------
    DataFrame
        A row for the unchanged images (corruption "none", strength 0), and one for each corruption
        and level, with the columns

        corruption : str
            Name in `CORRUPTIONS`.
        strength : int
            Number of the level, from 1.
        level : float
            Level in the unit of the corruption.
        unit : str
            The unit.
        images : int
            Number of images.
        one column for each score : float
            Named as in `scoring`; "score" for a callable.
        the same with the suffix "_change" : float
            Difference from the score of the unchanged images.

    Raises
    ------
    ValueError
        If a corruption is unknown or has no levels.

    See Also
    --------
    skfer.inspection.RobustnessDisplay : Plot of the report.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import robustness_report
    >>> faces = make_faces(20, classes=["happy", "sad"], random_state=0)
    >>> guess = DummyClassifier().fit(faces.images, faces.labels)
    >>> report = robustness_report(
    ...     guess, faces.images, faces.labels, corruptions={"noise": [0.1, 0.2]}
    ... )
    >>> report[["corruption", "strength", "level", "accuracy"]]
      corruption  strength  level  accuracy
    0       none         0    NaN       0.5
    1      noise         1    0.1       0.5
    2      noise         2    0.2       0.5
    """
    import pandas as pd

    levels = _levels(corruptions)
    score = _scorer(estimator, scoring)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    rows = [("none", 0, np.nan, "", len(X))]
    scores = [score(X, y)]
    for name, values in levels.items():
        for strength, level in enumerate(values, start=1):
            corrupted = corrupt_images(X, name, level, random_state=seed)
            scores.append(score(corrupted, y))
            rows.append((name, strength, float(level), CORRUPTIONS[name].unit, len(corrupted)))
    columns = ["corruption", "strength", "level", "unit", "images"]
    table = pd.DataFrame(scores)
    changes = (table - table.iloc[0]).add_suffix("_change")
    return pd.concat([pd.DataFrame(rows, columns=columns), table, changes], axis=1)


def _levels(
    corruptions: str | Sequence[str] | Mapping[str, Sequence[float]] | None,
) -> Mapping[str, Sequence[float]]:
    if corruptions is None:
        corruptions = list(CORRUPTIONS)
    if isinstance(corruptions, str):
        corruptions = [corruptions]
    if not isinstance(corruptions, Mapping):
        return {name: _corruption(name).levels for name in corruptions}
    for name, levels in corruptions.items():
        _corruption(name)
        if isinstance(levels, Real):
            raise ValueError(
                f"corruptions[{name!r}]={levels!r} must be a list of levels, such as [{levels!r}]."
            )
        if not len(levels):
            raise ValueError(f"corruptions[{name!r}] has no levels: give at least 1, or the name.")
    return corruptions


def _scorer(
    estimator: Any, scoring: str | Callable | Sequence[str]
) -> Callable[[Any, Any], dict[str, float]]:
    if callable(scoring):
        return lambda X, y: {"score": float(scoring(estimator, X, y))}
    names = [scoring] if isinstance(scoring, str) else list(scoring)
    # One scorer for all names predicts only once.
    scorer = check_scoring(estimator, scoring=names)
    return lambda X, y: {name: float(value) for name, value in scorer(estimator, X, y).items()}
