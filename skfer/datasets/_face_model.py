"""Model of a drawn face: expressions as facial action units, people, and poses."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class ActionUnits:
    """Contractions of one half of the face, from 0 (at rest) to 1 (maximal).

    Names and numbers are those of the Facial Action Coding System.
    """

    inner_brow_raiser: float = 0.0  # AU 1
    outer_brow_raiser: float = 0.0  # AU 2
    brow_lowerer: float = 0.0  # AU 4
    upper_lid_raiser: float = 0.0  # AU 5
    cheek_raiser: float = 0.0  # AU 6
    lid_tightener: float = 0.0  # AU 7
    nose_wrinkler: float = 0.0  # AU 9
    upper_lip_raiser: float = 0.0  # AU 10
    lip_corner_puller: float = 0.0  # AU 12
    dimpler: float = 0.0  # AU 14
    lip_corner_depressor: float = 0.0  # AU 15
    chin_raiser: float = 0.0  # AU 17
    lip_stretcher: float = 0.0  # AU 20
    lip_tightener: float = 0.0  # AU 23
    lips_part: float = 0.0  # AU 25
    jaw_drop: float = 0.0  # AU 26


@dataclass(frozen=True, slots=True)
class Prototype:
    """An expression at full intensity and the feeling it shows."""

    units: ActionUnits
    valence: float
    arousal: float
    unilateral: bool = False


# The action units follow the prototypes of EMFACS. Valence and arousal are the mean ratings that
# Russell and Mehrabian (1977) report for angry, disgusted, fearful, happy, sad and surprised;
# contempt, which has no such rating, is placed beside disgust with less arousal.
PROTOTYPES = {
    "angry": Prototype(
        ActionUnits(
            brow_lowerer=1.0,
            upper_lid_raiser=0.45,
            lid_tightener=0.8,
            lip_tightener=1.0,
            chin_raiser=0.4,
        ),
        valence=-0.51,
        arousal=0.59,
    ),
    "disgust": Prototype(
        ActionUnits(
            brow_lowerer=0.45,
            cheek_raiser=0.6,
            lid_tightener=0.5,
            nose_wrinkler=1.0,
            upper_lip_raiser=1.0,
            lip_corner_depressor=0.35,
            lips_part=0.35,
        ),
        valence=-0.60,
        arousal=0.35,
    ),
    "fear": Prototype(
        ActionUnits(
            inner_brow_raiser=1.0,
            outer_brow_raiser=0.35,
            brow_lowerer=0.35,
            upper_lid_raiser=1.0,
            lip_stretcher=1.0,
            lips_part=1.0,
            jaw_drop=0.2,
        ),
        valence=-0.64,
        arousal=0.60,
    ),
    "happy": Prototype(
        ActionUnits(cheek_raiser=0.8, lip_corner_puller=1.0, lips_part=0.8),
        valence=0.81,
        arousal=0.51,
    ),
    "sad": Prototype(
        ActionUnits(
            inner_brow_raiser=1.0,
            brow_lowerer=0.4,
            lid_tightener=0.3,
            lip_corner_depressor=1.0,
            chin_raiser=0.7,
        ),
        valence=-0.63,
        arousal=-0.27,
    ),
    "surprise": Prototype(
        ActionUnits(
            inner_brow_raiser=1.0,
            outer_brow_raiser=1.0,
            upper_lid_raiser=0.7,
            lips_part=0.5,
            jaw_drop=1.0,
        ),
        valence=0.40,
        arousal=0.67,
    ),
    "neutral": Prototype(ActionUnits(), valence=0.0, arousal=0.0),
    "contempt": Prototype(
        ActionUnits(lip_corner_puller=0.9, dimpler=1.0, lid_tightener=0.4, lip_tightener=0.3),
        valence=-0.55,
        arousal=0.20,
        unilateral=True,
    ),
}

# Activity of units at rest, which differs between the halves.
UNIT_JITTER = 0.07


@dataclass(frozen=True, slots=True)
class Expression:
    """Action units of both halves of the face, as seen in the image."""

    left: ActionUnits
    right: ActionUnits

    def halves(self) -> tuple[tuple[int, ActionUnits], tuple[int, ActionUnits]]:
        """Return both halves with the sign of their u coordinates."""
        return (-1, self.left), (1, self.right)

    def mean(self, unit: str) -> float:
        """Return the mean contraction of an action unit."""
        return (getattr(self.left, unit) + getattr(self.right, unit)) / 2


def sample_expression(rng: np.random.RandomState, name: str, intensity: float) -> Expression:
    """Sample the action units of an expression at an intensity."""
    prototype = PROTOTYPES[name]
    peak = np.array([getattr(prototype.units, f.name) for f in fields(ActionUnits)])
    common = peak * intensity * (1 + rng.normal(0, 0.12, peak.size))
    common += rng.normal(0, UNIT_JITTER, peak.size)
    halves = common + rng.normal(0, UNIT_JITTER / 2, (2, peak.size))
    if prototype.unilateral:
        halves[rng.randint(2)] *= 0.1
    return Expression(*(ActionUnits(*half) for half in np.clip(halves, 0, 1).tolist()))


@dataclass(frozen=True, slots=True)
class Person:
    """Features of a person that do not depend on the expression.

    Lengths are in face units: half the width of the face. Colours are RGB in [0, 255].
    """

    skin: np.ndarray
    hair: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    clothes: np.ndarray
    face_height: float
    jaw: float
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_thickness: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    mouth_slope: float
    hairline: float
    hair_length: float
    fringe: float
    hair_volume: float
    stubble: float
    wrinkles: float
    glasses: bool


SKIN_TONES = np.array(
    [
        (245, 214, 190),
        (232, 190, 160),
        (220, 170, 135),
        (190, 135, 100),
        (150, 100, 72),
        (112, 76, 56),
    ]
)
HAIR_COLORS = np.array(
    [
        (25, 20, 18),
        (50, 34, 24),
        (88, 58, 36),
        (150, 108, 62),
        (196, 164, 104),
        (120, 54, 30),
        (150, 148, 146),
    ]
)
IRIS_COLORS = np.array([(70, 45, 28), (52, 34, 22), (80, 104, 130), (92, 100, 62)])


def sample_person(rng: np.random.RandomState) -> Person:
    """Sample the features of a person."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    lower = int(tone)
    skin = SKIN_TONES[lower] + (tone - lower) * (SKIN_TONES[lower + 1] - SKIN_TONES[lower])
    skin = skin * rng.uniform(0.94, 1.04)
    lips = skin * (0.80, 0.58, 0.60) + rng.uniform(-8, 8, 3)
    hair = HAIR_COLORS[rng.randint(len(HAIR_COLORS))]
    # Hair as light as the skin would leave the face without a contour.
    hair = hair * min(1.0, 0.8 * skin.mean() / hair.mean())
    has_fringe = rng.uniform() < 0.3
    return Person(
        skin=skin,
        hair=hair,
        lips=lips,
        iris=IRIS_COLORS[rng.randint(len(IRIS_COLORS))] * 1.0,
        clothes=rng.uniform(20, 220, 3),
        face_height=rng.uniform(0.93, 1.06),
        jaw=rng.uniform(0.10, 0.30),
        eye_distance=rng.uniform(0.40, 0.46),
        eye_size=rng.uniform(0.92, 1.12),
        brow_height=rng.uniform(-0.025, 0.025),
        brow_thickness=rng.uniform(0.05, 0.10),
        nose_width=rng.uniform(0.19, 0.27),
        nose_length=rng.uniform(0.58, 0.68),
        mouth_width=rng.uniform(0.37, 0.45),
        lip_fullness=rng.uniform(0.055, 0.10),
        mouth_slope=rng.normal(0, 0.010),
        hairline=rng.uniform(-0.98, -0.78),
        hair_length=rng.choice([0.0, 0.0, 0.9, 1.5]) * rng.uniform(0.8, 1.2),
        fringe=rng.uniform(0.1, 0.25) if has_fringe else 0.0,
        hair_volume=rng.uniform(0.08, 0.28),
        stubble=rng.uniform(0.06, 0.22) if rng.uniform() < 0.2 else 0.0,
        wrinkles=rng.uniform(0.3, 1.0),
        glasses=bool(rng.uniform() < 0.12),
    )


# The face box in face coordinates: its centre below the eyes and half of its side. Haar boxes
# around drawn faces are within 5 % of it.
_BOX_CENTER_V, _BOX_HALF_SIDE = 0.26, 1.2

# Shift, scale, yaw and pitch are proportional to `pose`, relative to these degrees.
_REFERENCE_POSE = 15.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Position, size and rotation of a face.

    `origin` is the pixel between the eyes, `unit` the pixels of half a face width and `roll` an
    angle in radians, clockwise; `yaw` and `pitch` move the features over the face, in face units.
    """

    origin: tuple[float, float]
    unit: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def matrix(self) -> np.ndarray:
        """Return the affine map (2, 3) from face coordinates to pixels (x, y)."""
        cosine, sine = np.cos(self.roll) * self.unit, np.sin(self.roll) * self.unit
        return np.array([(cosine, -sine, self.origin[0]), (sine, cosine, self.origin[1])])

    def turn(self, points: np.ndarray) -> np.ndarray:
        """Shift points on the front of the head by yaw and pitch."""
        u, v = points[:, 0], points[:, 1]
        depth = np.maximum(1 - u**2, 0) * np.maximum(1 - ((v - 0.3) / 1.3) ** 2, 0)
        return points + depth[:, None] * (self.yaw, self.pitch)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels (x, y) of points (n, 2) of the turned face."""
        matrix = self.matrix()
        return self.turn(points) @ matrix[:, :2].T + matrix[:, 2]

    def enlarged(self, factor: int) -> Pose:
        """Return the pose in an image enlarged by a factor."""
        # Pixel centres lie at integers, so the corner of the image is at -0.5.
        x, y = ((c + 0.5) * factor - 0.5 for c in self.origin)
        return replace(self, origin=(x, y), unit=self.unit * factor)


def crop_pose(rng: np.random.RandomState, size: int, pose: float) -> Pose:
    """Sample the pose of a face that fills its image, turned by up to `pose` degrees."""
    looseness = pose / _REFERENCE_POSE
    unit = 0.36 * size * (1 + rng.uniform(-0.12, 0.12) * looseness)
    center = size / 2 + rng.uniform(-0.07, 0.07, 2) * looseness * size
    return _turned_pose(rng, center, unit, pose)


def scene_pose(rng: np.random.RandomState, height: int, width: int, pose: float) -> Pose:
    """Sample the pose of a face in a larger image."""
    unit = min(height, width) * rng.uniform(0.12, 0.22)
    # Room for the whole head: the hair above the box, the chin below it.
    x = rng.uniform(1.4 * unit, width - 1.4 * unit)
    y = rng.uniform(1.9 * unit, height - 1.5 * unit)
    return _turned_pose(rng, np.array([x, y]), unit, pose)


def _turned_pose(
    rng: np.random.RandomState, box_center: np.ndarray, unit: float, pose: float
) -> Pose:
    looseness = pose / _REFERENCE_POSE
    roll = np.deg2rad(rng.uniform(-pose, pose))
    yaw, pitch = rng.uniform(-0.12, 0.12) * looseness, rng.uniform(-0.06, 0.06) * looseness
    x, y = box_center + np.array([np.sin(roll), -np.cos(roll)]) * _BOX_CENTER_V * unit
    return Pose((x, y), unit, roll, yaw, pitch)


def face_box(pose: Pose, height: int, width: int) -> np.ndarray:
    """Return x, y, width and height of the face as detectors report it, clipped to the image."""
    center = pose.matrix() @ (0, _BOX_CENTER_V, 1)
    reach = _BOX_HALF_SIDE * pose.unit
    # Edges of pixels, of which the first is at -0.5.
    low, high = np.clip(np.rint(center + 0.5 + [[-reach], [reach]]), 0, (width, height)).astype(int)
    return np.concatenate([low, high - low])
