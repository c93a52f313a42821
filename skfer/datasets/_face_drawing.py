"""Paint a face model on a picture: shapes and the shading of the skin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from skfer.datasets import _face_shapes as shapes
from skfer.datasets._face_model import ActionUnits, Expression, Person
from skfer.datasets._face_pose import Pose

# Digits after the binary point of the coordinates given to OpenCV.
_SUBPIXEL_BITS = 4

# Shading is soft: it is computed on a small grid of face coordinates and then enlarged.
_GRID_SIZE = 72
_GRID_START, _GRID_END = np.array([-1.5, -1.5]), np.array([1.5, 2.1])
_GRID_STEP = (_GRID_END - _GRID_START) / (_GRID_SIZE - 1)
_GRID_U, _GRID_V = np.linspace(_GRID_START, _GRID_END, _GRID_SIZE).T


def draw_face(canvas: np.ndarray, person: Person, expression: Expression, pose: Pose) -> None:
    """Draw head and shoulders over an RGB uint8 picture, in place."""
    paint(canvas, pose, shapes.head(person, expression))
    _shade(canvas, pose, _skin_relief(person, expression, pose))
    paint(canvas, pose, _features(person, expression))


def _features(person: Person, expression: Expression) -> Iterator[shapes.Shape]:
    for side, units in expression.halves():
        yield from shapes.eye(person, units, side)
        yield from shapes.brow(person, units, side)
        yield from shapes.nostril(person, units, side)
    yield from shapes.mouth(person, expression)
    yield from shapes.hair_in_front(person)
    if person.glasses:
        yield from shapes.glasses(person)


def paint(canvas: np.ndarray, pose: Pose, parts: Iterable[shapes.Shape]) -> None:
    """Fill shapes given in face coordinates, with smooth edges, in place."""
    outlines, colors = zip(*parts, strict=True)
    pixels = _fixed_point(pose.project(np.concatenate(outlines)))
    ends = np.cumsum([len(outline) for outline in outlines])[:-1]
    for polygon, color in zip(np.split(pixels, ends), colors, strict=True):
        # OpenCV saturates colours to [0, 255].
        rgb = tuple(map(float, color))
        cv2.fillPoly(canvas, [polygon], rgb, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def _fixed_point(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _shade(canvas: np.ndarray, pose: Pose, relief: np.ndarray) -> None:
    """Multiply the canvas by a map of brightness on the shading grid."""
    grid_to_face = np.diag([*_GRID_STEP, 1.0])
    grid_to_face[:2, 2] = _GRID_START
    to_pixels = pose.matrix() @ grid_to_face
    last = _GRID_SIZE - 1
    corners = np.array([(0, 0, 1), (last, 0, 1), (0, last, 1), (last, last, 1)]) @ to_pixels.T
    low = np.maximum(corners.min(0).astype(int), 0)
    high = np.ceil(corners.max(0)).astype(int) + 1
    window = canvas[low[1] : high[1], low[0] : high[0]]
    to_pixels[:, 2] -= low
    light = cv2.warpAffine(relief, to_pixels, window.shape[1::-1], borderValue=1.0)
    window[:] = cv2.multiply(window, cv2.merge([light] * 3), dtype=cv2.CV_8U)


def _skin_relief(person: Person, expression: Expression, pose: Pose) -> np.ndarray:
    """Brightness of the skin relative to its tone, on the shading grid.

    Detectors know a face by this more than by its lines: dark eyes between a bright forehead,
    cheeks and bridge of the nose, and a shadow below nose and lips.
    """
    hollows = np.array(list(_hollows(person, expression)))
    centers, widths, change = pose.turn(hollows[:, :2]), hollows[:, 2:4], hollows[:, 4]
    across = np.exp(-(((_GRID_U - centers[:, :1]) / widths[:, :1]) ** 2))
    down = np.exp(-(((_GRID_V - centers[:, 1:]) / widths[:, 1:]) ** 2))
    relief = 1 + (down.T * change) @ across

    folds = [
        (depth, shapes.arc(*points) * (side, 1))
        for side, units in expression.halves()
        for depth, *points in _creases(person, units)
    ]
    depths, lines = zip(*folds, strict=True)
    on_grid = (pose.turn(np.concatenate(lines)) - _GRID_START) / _GRID_STEP
    darkness = np.zeros(relief.shape, np.uint8)
    for depth, line in zip(depths, np.split(_fixed_point(on_grid), len(depths)), strict=True):
        cv2.polylines(darkness, [line], False, depth * 255, 2, cv2.LINE_AA, _SUBPIXEL_BITS)
    return (relief - cv2.blur(darkness, (3, 3)) / 255.0).astype(np.float32)


def _hollows(person: Person, expression: Expression) -> Iterator[tuple[float, ...]]:
    """Soft spots: u, v, width in u, width in v, change of brightness."""
    yield 0.0, -0.55, 0.50, 0.25, 0.10  # forehead
    yield 0.0, 0.05, 0.07, 0.28, 0.22  # bridge of the nose
    yield 0.0, 0.52, 0.10, 0.10, 0.16  # tip of the nose
    yield 0.0, person.nose_length + 0.09, 0.18, 0.05, -0.24  # shadow of the nose
    yield 0.0, shapes.MOUTH_V + 0.24, 0.22, 0.06, -0.16  # below the lips
    yield 0.0, 1.42, 0.20, 0.12, 0.08 + 0.06 * expression.mean("chin_raiser")  # chin
    yield 0.0, 1.75, 0.90, 0.16, -0.30  # underside of the jaw
    yield 0.0, 1.25, 0.55, 0.35, -person.stubble
    for side, units in expression.halves():
        yield side * person.eye_distance, -0.10, 0.22, 0.13, -0.30  # eye socket
        yield side * 0.19, -0.04, 0.07, 0.14, -0.24  # beside the bridge
        yield side * 0.58, 0.42 - 0.08 * units.cheek_raiser, 0.20, 0.20, 0.14  # cheekbone
        yield side * (person.nose_width - 0.05), 0.42, 0.05, 0.22, -0.12  # side of the nose
        yield side * 1.02, 0.50, 0.20, 0.90, -0.34  # where the face curves away
        yield side * 0.80, 1.25, 0.22, 0.35, -0.12  # hollow of the cheek


def _creases(
    person: Person, units: ActionUnits
) -> Iterator[tuple[float, shapes.Point, shapes.Point, shapes.Point]]:
    """Folds in the right half of the face: the depth, 0 to 1, and three points on each."""
    u, v = shapes.mouth_corner(person, units)
    wing, e = person.nose_width, person.eye_distance
    nasolabial = 0.10 + 0.45 * max(
        units.lip_corner_puller, units.upper_lip_raiser, units.nose_wrinkler, 0.8 * units.dimpler
    )
    yield nasolabial, (wing + 0.03, 0.52), (wing + 0.18, 0.75), (u + 0.10, v)
    yield 0.5 * units.dimpler, (u + 0.05, v - 0.10), (u + 0.09, v), (u + 0.05, v + 0.10)
    marionette = 0.35 * units.lip_corner_depressor
    yield marionette, (u - 0.02, v + 0.03), (u + 0.04, v + 0.12), (u + 0.05, v + 0.26)

    forehead = 0.30 * person.wrinkles * max(units.inner_brow_raiser, 0.8 * units.outer_brow_raiser)
    reach = 0.25 + 0.35 * units.outer_brow_raiser
    for v in (-0.62, -0.72):
        yield forehead, (0, v - 0.02), (reach / 2, v - 0.03), (reach, v)
    frown = 0.40 * units.brow_lowerer * (1 - 0.5 * units.inner_brow_raiser)
    yield frown, (0.07, -0.42), (0.08, -0.30), (0.06, -0.18)
    for v in (-0.10, 0.02):
        yield 0.40 * units.nose_wrinkler, (0, v), (0.06, v + 0.01), (0.14, v + 0.05)

    lower_lid = 0.08 + 0.25 * max(units.lid_tightener, units.cheek_raiser)
    yield lower_lid, (e - 0.18, 0.14), (e, 0.19), (e + 0.20, 0.13)
    crows_foot = 0.35 * person.wrinkles * units.cheek_raiser
    for v in (0.0, 0.10):
        yield crows_foot, (e + 0.26, v), (e + 0.33, v + 0.02), (e + 0.40, v + 0.05)
