"""Drawing of a face: its features as coloured polygons, and the shading of the skin.

Shapes are points of shape (n, 2) in face coordinates (see `_face_model`) and an RGB colour in
[0, 255], in the order of painting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from skfer.datasets._face_model import ActionUnits, Expression, Person, Pose

Point = Sequence[float] | np.ndarray
Color = Sequence[float] | np.ndarray
Shape = tuple[np.ndarray, Color]

MOUTH_V = 1.02
TEETH = (236, 232, 222)
TONGUE = (170, 80, 84)
MOUTH_CAVITY = (58, 20, 22)

_TURN = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)
_ALONG = np.linspace(0, 1, 9)
_BULGE = np.sin(np.pi * _ALONG)
# Weights of three points on the parabola through them, at each place along it.
_PARABOLA = np.stack(
    [(1 - _ALONG) * (1 - 2 * _ALONG), 4 * _ALONG * (1 - _ALONG), _ALONG * (2 * _ALONG - 1)], 1
)


def arc(start: Point, middle: Point, end: Point) -> np.ndarray:
    """Return a parabola through three points, with `middle` at half its length; shape (9, 2)."""
    return _PARABOLA @ np.array([start, middle, end])


def ellipse(center: Point, radii: Point) -> np.ndarray:
    """Return the outline of an upright ellipse."""
    return _CIRCLE * radii + center


def ribbon(line: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Return the outline of a band along a line of shape (n, 2), with one width or n widths."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    normal = along[:, ::-1] * (-1, 1)
    offset = normal * (width / 2 / np.hypot(along[:, 0], along[:, 1]))[:, None]
    return np.concatenate([line + offset, (line - offset)[::-1]])


def between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the outline of the area between two lines of one direction."""
    return np.concatenate([one, other[::-1]])


def _crown(person: Person) -> float:
    """Return the upper end of the skull."""
    return 0.2 - 1.45 * person.face_height


def head(person: Person, expression: Expression) -> Iterator[Shape]:
    """Yield shoulders, neck, hair behind the head, ears and face."""
    shoulders = [(-2.1, 2.6), (-0.7, 2.05), (0.7, 2.05), (2.1, 2.6), (2.4, 9.0), (-2.4, 9.0)]
    yield np.array(shoulders), person.clothes
    neck = [(-0.58, 1.0), (0.58, 1.0), (0.66, 2.15), (0.0, 2.4), (-0.66, 2.15)]
    yield np.array(neck), person.skin * 0.72

    volume = person.hair_volume
    height = volume - _crown(person)
    yield ellipse((0, 0), (1.0 + 0.7 * volume, height)), person.hair
    if person.hair_length:
        width, end = 1.05 + volume, person.hair_length
        half = [(0, 0), (width, 0), (width, end - 0.4), (width - 0.15, end - 0.08), (0, end)]
        fall = between(np.array(half), np.array(half) * (-1, 1))
        yield fall, person.hair * 0.85
    for side in (-1, 1):
        yield ellipse((side, 0.25), (0.12, 0.28)), person.skin * 0.80
    yield _face_outline(person, expression), person.skin


def _face_outline(person: Person, expression: Expression) -> np.ndarray:
    theta = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    u, down = np.cos(theta), np.sin(theta)
    # The jaw tapers below the cheekbones; an open one also makes the face longer.
    u = u * (1 - person.jaw * np.clip(down, 0, 1) ** 1.5)
    below = 1.38 * person.face_height + 0.16 * expression.mean("jaw_drop")
    above = 0.2 - _crown(person)
    return np.stack([u, 0.2 + np.where(down > 0, below, above) * down], 1)


def hair_in_front(person: Person) -> Iterator[Shape]:
    """Yield the hair from the hairline to the crown."""
    low = person.hairline + person.fringe
    temple = -0.15
    across = np.linspace(-1, 1, 15)
    hairline = np.stack([0.99 * across, low + (temple - low) * across**4], 1)
    outer = 1.0 + 0.65 * person.hair_volume
    top = _crown(person) - person.hair_volume
    crown = np.stack([outer * across, temple + (top - temple) * np.sqrt(1 - across**2)], 1)
    yield between(hairline, crown), person.hair
    # Locks fall from the parting; the light from above gleams on the crown.
    parting = np.array([0.25, 0.6 * top + 0.4 * low])
    for i, u in enumerate((-0.75, -0.4, -0.05, 0.3, 0.65)):
        lock = arc(parting, (0.6 * u + 0.1, 0.5 * (low + parting[1])), (u, low - 0.06))
        yield ribbon(lock, 0.06 * _BULGE + 0.01), person.hair * (0.7 if i % 2 else 1.25)
    gleam = arc(
        (-0.75, 0.45 * top + 0.5 * low),
        (0, 0.78 * top + 0.22 * low),
        (0.75, 0.45 * top + 0.5 * low),
    )
    yield ribbon(gleam, 0.10 * _BULGE + 0.005), person.hair * 1.2 + 12


def eye(person: Person, units: ActionUnits, side: int) -> Iterator[Shape]:
    """Yield the shapes of an eye."""
    mirror = (side, 1)
    size = person.eye_size
    inner = np.array([person.eye_distance - 0.20 * size, 0.03])
    outer = np.array([person.eye_distance + 0.21 * size, 0.0])
    middle = (inner + outer) / 2
    # Grief pulls up the inner brow and with it the inner upper lid; the outer lid droops.
    grief = units.inner_brow_raiser * units.brow_lowerer * (1 - units.upper_lid_raiser)
    upper = 0.115 * (1 + 0.75 * units.upper_lid_raiser - 0.40 * units.lid_tightener)
    upper *= 1 - 0.30 * units.nose_wrinkler - 0.25 * units.cheek_raiser - 0.35 * grief
    lower = 0.075 * (1 + 0.35 * units.upper_lid_raiser - 0.55 * units.lid_tightener)
    lower *= 1 - 0.55 * units.cheek_raiser
    droop = outer + (0, 0.06 * grief)
    upper_lid = arc(inner, middle + (-0.05 * grief, -upper * size), droop)
    lower_lid = arc(inner, middle + (0, lower * size), droop)

    yield between(upper_lid, lower_lid) * mirror, (226, 222, 216)
    for radius, color in ((0.118, person.iris), (0.055, (16, 12, 12))):
        disc = ellipse(middle + (0, -0.012), (radius * size, radius * size))
        # The disc is narrower than the eye, so clipping it to the lids is exact.
        disc[:, 1] = np.clip(
            disc[:, 1],
            np.interp(disc[:, 0], upper_lid[:, 0], upper_lid[:, 1]),
            np.interp(disc[:, 0], lower_lid[:, 0], lower_lid[:, 1]),
        )
        yield disc * mirror, color
    yield ellipse((side * middle[0] - 0.035, -0.04), (0.022, 0.022)), (250, 250, 250)
    yield ribbon(upper_lid * mirror, 0.015 + 0.035 * _BULGE), person.skin * 0.22
    yield ribbon(lower_lid * mirror, 0.018), person.skin * 0.55
    fold = upper_lid + (0, -0.055 - 0.02 * units.upper_lid_raiser)
    yield ribbon(fold * mirror, 0.018 * _BULGE), person.skin * 0.55


def brow(person: Person, units: ActionUnits, side: int) -> Iterator[Shape]:
    """Yield an eyebrow."""
    e, rest = person.eye_distance, -0.30 - person.brow_height
    raised, lifted = units.inner_brow_raiser, units.outer_brow_raiser
    lowered, wrinkled = units.brow_lowerer * (1 - 0.6 * raised), units.nose_wrinkler
    drawn_in = 0.07 * units.brow_lowerer + 0.02 * wrinkled
    inner = (e - 0.25 - drawn_in, rest + 0.03 - 0.20 * raised + 0.21 * lowered + 0.10 * wrinkled)
    peak = rest - 0.07 - 0.06 * raised - 0.14 * lifted + 0.13 * lowered + 0.06 * wrinkled
    outer = (e + 0.31, rest + 0.05 - 0.13 * lifted + 0.01 * lowered)
    line = arc(inner, (e + 0.02 - drawn_in / 2, peak), outer)
    # Brows are darker than the hair of the fair and the gray.
    color = np.minimum(person.hair * 0.75, person.skin * 0.45)
    yield ribbon(line * (side, 1), person.brow_thickness * (1.15 - 0.75 * _ALONG)), color


def nostril(person: Person, units: ActionUnits, side: int) -> Iterator[Shape]:
    """Yield a nostril and its wing."""
    v = person.nose_length - 0.06 * units.nose_wrinkler - 0.02 * units.upper_lip_raiser
    width = person.nose_width * (1 + 0.12 * units.nose_wrinkler)
    wing = arc((width - 0.02, v - 0.16), (width + 0.025, v - 0.06), (width - 0.05, v + 0.02))
    yield ribbon(wing * (side, 1), 0.035 * _BULGE + 0.01), person.skin * 0.55
    yield ellipse((side * width * 0.5, v + 0.02), (0.065, 0.032)), person.skin * 0.30


def mouth_corner(person: Person, units: ActionUnits) -> tuple[float, float]:
    """Return the right corner of a horizontal mouth."""
    u = person.mouth_width * (
        1
        + 0.30 * units.lip_corner_puller
        + 0.32 * units.lip_stretcher
        + 0.10 * units.dimpler
        - 0.10 * units.lip_tightener
        - 0.22 * units.jaw_drop
    )
    v = MOUTH_V - 0.20 * units.lip_corner_puller - 0.03 * units.upper_lip_raiser
    v += 0.15 * units.lip_corner_depressor + 0.03 * units.lip_stretcher + 0.06 * units.jaw_drop
    return u, v


def mouth(person: Person, expression: Expression) -> Iterator[Shape]:
    """Yield lips, teeth and tongue, and the shadow below."""
    part, jaw = expression.mean("lips_part"), expression.mean("jaw_drop")
    smile, sneer = expression.mean("lip_corner_puller"), expression.mean("upper_lip_raiser")
    stretch, pout = expression.mean("lip_stretcher"), expression.mean("chin_raiser")
    press = expression.mean("lip_tightener")

    left, right = (
        np.array(mouth_corner(person, units)) * (side, 1) + (0, side * person.mouth_slope)
        for side, units in expression.halves()
    )
    top = MOUTH_V + 0.03 * smile - 0.13 * sneer - 0.07 * pout - 0.03 * part * stretch
    top -= 0.03 * expression.mean("lip_corner_depressor")
    gap = 0.04 * part + 0.16 * part * smile + 0.10 * part * stretch + 0.08 * sneer + 0.42 * jaw
    fullness = person.lip_fullness * (1 - 0.65 * press) * (1 - 0.25 * smile)
    # Lips at rest stick together: a slight contraction does not part them.
    is_open = part + jaw > 0.25
    upper_seam = arc(left, (0, top), right)
    lower_seam = arc(left, (0, top + gap), right) if is_open else upper_seam
    taper = _BULGE**0.6
    cupids_bow = 1 - 0.25 * np.exp(-(((_ALONG - 0.5) / 0.08) ** 2))
    upper_edge, lower_edge = upper_seam.copy(), lower_seam.copy()
    upper_edge[:, 1] -= fullness * taper * cupids_bow
    lower_edge[:, 1] += fullness * taper * 1.25

    yield between(upper_edge, upper_seam), person.lips * 0.88
    yield between(lower_seam, lower_edge), person.lips
    if is_open:
        yield between(upper_seam, lower_seam), MOUTH_CAVITY
        bared = min(0.03 + 0.10 * smile + 0.08 * sneer + 0.05 * stretch, 0.8 * gap)
        teeth = arc(left, (0, top + bared), right)
        yield between(upper_seam[1:-1], teeth[1:-1]), TEETH
        if jaw > 0.3:
            yield ellipse((0, top + gap * 0.80), (0.16, gap * 0.16)), TONGUE
    else:
        yield ribbon(upper_seam, 0.035 * taper + 0.012), person.skin * 0.30
    shadow = lower_edge[2:-2] + (0, 0.035)
    yield ribbon(shadow, 0.03 * _BULGE[2:-2]), person.skin * 0.72


def glasses(person: Person) -> Iterator[Shape]:
    """Yield the frame of glasses."""
    frame, e = person.hair * 0.5, person.eye_distance
    for side in (-1, 1):
        rim = ellipse((side * e, 0.02), (0.32, 0.24))
        yield ribbon(np.concatenate([rim, rim[:2]]), 0.035), frame
        yield ribbon(np.array([(side * (e + 0.32), -0.03), (side, -0.06)]), 0.035), frame
    yield ribbon(arc((0.31 - e, 0), (0, -0.05), (e - 0.31, 0)), 0.035), frame


def hand(center: Point, angle: float, skin: np.ndarray) -> Iterator[Shape]:
    """Yield a hand in front of the face."""
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([(cosine, sine), (-sine, cosine)])
    yield ellipse((0, 0.45), (0.36, 0.34)) @ rotation + center, skin * 0.9
    for i, length in enumerate((0.42, 0.52, 0.50, 0.38)):
        u = (i - 1.5) * 0.18
        finger = np.array([(u, 0.5), (1.1 * u, 0.25 - length / 2), (1.2 * u, 0.2 - length)])
        width = np.array([0.17, 0.17, 0.13])
        yield ribbon(finger @ rotation + center, width), skin * (0.92 + 0.06 * (i % 2))


def bar(center: Point, angle: float, color: Color) -> Iterator[Shape]:
    """Yield a bar in front of the face."""
    along = 0.75 * np.array([np.cos(angle), np.sin(angle)])
    yield ribbon(np.array([center - along, center, center + along]), 0.32), color


# Digits after the binary point of the coordinates given to OpenCV.
_SUBPIXEL_BITS = 4

# Shading is soft: it is computed on a small grid of face coordinates and then enlarged.
_GRID_SIZE = 72
_GRID_START, _GRID_END = np.array([-1.5, -1.5]), np.array([1.5, 2.1])
_GRID_STEP = (_GRID_END - _GRID_START) / (_GRID_SIZE - 1)
_GRID_U, _GRID_V = np.linspace(_GRID_START, _GRID_END, _GRID_SIZE).T


def draw_face(canvas: np.ndarray, person: Person, expression: Expression, pose: Pose) -> None:
    """Draw head and shoulders over an RGB uint8 image, in place."""
    paint(canvas, pose, head(person, expression))
    _shade(canvas, pose, _skin_relief(person, expression, pose))
    paint(canvas, pose, _features(person, expression))


def _features(person: Person, expression: Expression) -> Iterator[Shape]:
    for side, units in expression.halves():
        yield from eye(person, units, side)
        yield from brow(person, units, side)
        yield from nostril(person, units, side)
    yield from mouth(person, expression)
    yield from hair_in_front(person)
    if person.glasses:
        yield from glasses(person)


def paint(canvas: np.ndarray, pose: Pose, parts: Iterable[Shape]) -> None:
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
    """Return the relative brightness of the skin on the shading grid, which detectors rely on."""
    hollows = np.array(list(_hollows(person, expression)))
    centers, widths, change = pose.turn(hollows[:, :2]), hollows[:, 2:4], hollows[:, 4]
    across = np.exp(-(((_GRID_U - centers[:, :1]) / widths[:, :1]) ** 2))
    down = np.exp(-(((_GRID_V - centers[:, 1:]) / widths[:, 1:]) ** 2))
    relief = 1 + (down.T * change) @ across

    folds = [
        (depth, arc(*points) * (side, 1))
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
    """Yield u, v, width in u, width in v and change of brightness of soft spots."""
    yield 0.0, -0.55, 0.50, 0.25, 0.10  # forehead
    yield 0.0, 0.05, 0.07, 0.28, 0.22  # bridge of the nose
    yield 0.0, 0.52, 0.10, 0.10, 0.16  # tip of the nose
    yield 0.0, person.nose_length + 0.09, 0.18, 0.05, -0.24  # shadow of the nose
    yield 0.0, MOUTH_V + 0.24, 0.22, 0.06, -0.16  # below the lips
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


def _creases(person: Person, units: ActionUnits) -> Iterator[tuple[float, Point, Point, Point]]:
    """Yield the depth, from 0 to 1, and three points of each fold in the right half."""
    u, v = mouth_corner(person, units)
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
