"""Where a drawn face is in its picture, how it is turned, and the box detectors would report."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# The face box in face coordinates: its centre below the eyes and half of its side. Haar boxes
# around drawn faces are within 5 % of it.
_BOX_CENTER_V, _BOX_HALF_SIDE = 0.26, 1.2

# At `pose` degrees the other freedoms are in proportion to what they are at these.
_REFERENCE_POSE = 15.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the face is and how it is turned.

    `origin` is the pixel between the eyes, `unit` the pixels of half a face width and `roll` an
    angle in radians, clockwise; `yaw` and `pitch` move the features over the face, in face units.
    """

    origin: tuple[float, float]
    unit: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def matrix(self) -> np.ndarray:
        """Affine map, of shape (2, 3), from face coordinates to pixels (x, y)."""
        cosine, sine = np.cos(self.roll) * self.unit, np.sin(self.roll) * self.unit
        return np.array([(cosine, -sine, self.origin[0]), (sine, cosine, self.origin[1])])

    def turn(self, points: np.ndarray) -> np.ndarray:
        """Shift points on the front of the head as yaw and pitch do; the outline stays."""
        u, v = points[:, 0], points[:, 1]
        depth = np.maximum(1 - u**2, 0) * np.maximum(1 - ((v - 0.3) / 1.3) ** 2, 0)
        return points + depth[:, None] * (self.yaw, self.pitch)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (x, y) of points, of shape (n, 2), of the turned face."""
        matrix = self.matrix()
        return self.turn(points) @ matrix[:, :2].T + matrix[:, 2]

    def enlarged(self, factor: int) -> Pose:
        """The same pose in a picture with `factor` times as many pixels a side."""
        # Pixel centres lie at integers, so the corner of the picture is at -0.5.
        x, y = ((c + 0.5) * factor - 0.5 for c in self.origin)
        return replace(self, origin=(x, y), unit=self.unit * factor)


def crop_pose(rng: np.random.RandomState, size: int, pose: float) -> Pose:
    """A face that fills its picture, turned by up to `pose` degrees."""
    looseness = pose / _REFERENCE_POSE
    unit = 0.36 * size * (1 + rng.uniform(-0.12, 0.12) * looseness)
    center = size / 2 + rng.uniform(-0.07, 0.07, 2) * looseness * size
    return _turned_pose(rng, center, unit, pose)


def scene_pose(rng: np.random.RandomState, height: int, width: int, pose: float) -> Pose:
    """A face of any size anywhere in a larger picture."""
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
    """x, y, width and height of the face as detectors report it, within the picture."""
    center = pose.matrix() @ (0, _BOX_CENTER_V, 1)
    reach = _BOX_HALF_SIDE * pose.unit
    # Edges of pixels, of which the first is at -0.5.
    low, high = np.clip(np.rint(center + 0.5 + [[-reach], [reach]]), 0, (width, height)).astype(int)
    return np.concatenate([low, high - low])
