"""A picture of a face: what is behind and before it, its light, and the noise of a sensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from skfer.datasets import _face_shapes as shapes
from skfer.datasets._face_drawing import draw_face, paint
from skfer.datasets._face_model import SKIN_TONES, sample_expression, sample_person
from skfer.datasets._face_pose import Pose

# Pictures are drawn enlarged and reduced afterwards, which smooths every edge.
_CROP_ENLARGEMENT, _SCENE_ENLARGEMENT = 3, 2
_CROP_SHAPES, _SCENE_SHAPES = 3, 40


def draw_picture(
    rng: np.random.RandomState,
    name: str,
    intensity: float,
    pose: Pose,
    occlusion: float,
    cluttered: bool,
    shape: tuple[int, int],
) -> np.ndarray:
    """Draw one RGB picture of the given shape, before light and noise."""
    n_shapes, factor = (
        (_SCENE_SHAPES, _SCENE_ENLARGEMENT) if cluttered else (_CROP_SHAPES, _CROP_ENLARGEMENT)
    )
    height, width = shape
    canvas = cv2.resize(background(rng, shape, n_shapes), (width * factor, height * factor))
    large = pose.enlarged(factor)
    draw_face(canvas, sample_person(rng), sample_expression(rng, name, intensity), large)
    if rng.uniform() < occlusion:
        paint(canvas, large, _occluder(rng))
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


def _muted_color(rng: np.random.RandomState) -> np.ndarray:
    return rng.uniform(30, 220) + rng.uniform(-25, 25, 3)


def background(rng: np.random.RandomState, shape: tuple[int, int], n_shapes: int) -> np.ndarray:
    """Blurred colours with so many shapes before them."""
    height, width = shape
    coarse = np.stack([_muted_color(rng) for _ in range(6)]).reshape(2, 3, 3).astype(np.uint8)
    canvas = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(n_shapes):
        corners = rng.uniform(0, 1, 2) + rng.uniform(-0.25, 0.25, (rng.randint(3, 6), 2))
        polygon = np.rint(corners * (width, height)).astype(np.int32)
        cv2.fillConvexPoly(canvas, cv2.convexHull(polygon), _muted_color(rng).tolist(), cv2.LINE_AA)
    return canvas


def _occluder(rng: np.random.RandomState) -> list[shapes.Shape]:
    center = rng.uniform((-0.6, -0.1), (0.6, 1.3))
    angle = rng.uniform(-np.pi, np.pi)
    if rng.uniform() < 0.5:
        return list(shapes.hand(center, angle, SKIN_TONES[rng.randint(len(SKIN_TONES))]))
    return list(shapes.bar(center, angle, _muted_color(rng)))


def photograph(
    rng: np.random.RandomState, picture: np.ndarray, noise: float, brightness: float
) -> np.ndarray:
    """Light the picture unevenly and add the noise of a sensor."""
    height, width, *channels = picture.shape
    gain = 1 + rng.uniform(-brightness, brightness)
    slope_x, slope_y = rng.uniform(-brightness, brightness, 2) / 2
    across, down = slope_x * np.linspace(-1, 1, width), slope_y * np.linspace(-1, 1, height)
    light = _per_channel(gain * (1 + across + down[:, None]), channels)
    grain = _per_channel(255 * noise * rng.standard_normal((height, width)), channels)
    return cv2.add(cv2.multiply(picture, light, dtype=cv2.CV_32F), grain, dtype=cv2.CV_8U)


def _per_channel(plane: np.ndarray, channels: Sequence[int]) -> np.ndarray:
    return cv2.merge([plane.astype(np.float32)] * math.prod(channels))
