"""`make_faces`: drawn faces with expressions, as crops or in larger scenes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import cv2
import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skfer._labels import EXPRESSION_SETS, EXPRESSIONS
from skfer.datasets._face_drawing import Shape, bar, draw_face, hand, paint
from skfer.datasets._face_model import (
    PROTOTYPES,
    SKIN_TONES,
    Pose,
    crop_pose,
    face_box,
    sample_expression,
    sample_person,
    scene_pose,
)

DEFAULT_SCENE = (240, 320)
SMALLEST_SCENE = 96

# A weaker expression looks like a neutral face at 48 pixels.
FAINTEST, STRONGEST = 0.65, 1.0

_DESCR = """\
Drawn faces
-----------

{n_samples} parametric drawings of faces, each of another person, that show {classes}.

:images: {shape} uint8 each, {kind}
:drawn with: noise={noise}, occlusion={occlusion}, brightness={brightness}, pose={pose}

Valence and arousal are the position of the expression in Russell's circumplex times the
intensity that was drawn; they are exact by construction.
"""

# Images are drawn enlarged and reduced afterwards, which smooths every edge.
_CROP_ENLARGEMENT, _SCENE_ENLARGEMENT = 3, 2
_CROP_SHAPES, _SCENE_SHAPES = 3, 40


def draw_image(
    rng: np.random.RandomState,
    name: str,
    intensity: float,
    pose: Pose,
    occlusion: float,
    cluttered: bool,
    shape: tuple[int, int],
) -> np.ndarray:
    """Draw one RGB image of the given shape, before light and noise."""
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
    """Draw blurred colours with shapes in front."""
    height, width = shape
    coarse = np.stack([_muted_color(rng) for _ in range(6)]).reshape(2, 3, 3).astype(np.uint8)
    canvas = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(n_shapes):
        corners = rng.uniform(0, 1, 2) + rng.uniform(-0.25, 0.25, (rng.randint(3, 6), 2))
        polygon = np.rint(corners * (width, height)).astype(np.int32)
        cv2.fillConvexPoly(canvas, cv2.convexHull(polygon), _muted_color(rng).tolist(), cv2.LINE_AA)
    return canvas


def _occluder(rng: np.random.RandomState) -> list[Shape]:
    center = rng.uniform((-0.6, -0.1), (0.6, 1.3))
    angle = rng.uniform(-np.pi, np.pi)
    if rng.uniform() < 0.5:
        return list(hand(center, angle, SKIN_TONES[rng.randint(len(SKIN_TONES))]))
    return list(bar(center, angle, _muted_color(rng)))


def add_light_and_noise(
    rng: np.random.RandomState, image: np.ndarray, noise: float, brightness: float
) -> np.ndarray:
    """Apply uneven light and sensor noise."""
    height, width, *channels = image.shape
    gain = 1 + rng.uniform(-brightness, brightness)
    slope_x, slope_y = rng.uniform(-brightness, brightness, 2) / 2
    across, down = slope_x * np.linspace(-1, 1, width), slope_y * np.linspace(-1, 1, height)
    light = _per_channel(gain * (1 + across + down[:, None]), channels)
    grain = _per_channel(255 * noise * rng.standard_normal((height, width)), channels)
    return cv2.add(cv2.multiply(image, light, dtype=cv2.CV_32F), grain, dtype=cv2.CV_8U)


def _per_channel(plane: np.ndarray, channels: Sequence[int]) -> np.ndarray:
    return cv2.merge([plane.astype(np.float32)] * math.prod(channels))


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "classes": ["array-like", None],
        "size": [Interval(Integral, 16, None, closed="left")],
        "color": ["boolean"],
        "noise": [Interval(Real, 0, 1, closed="both")],
        "occlusion": [Interval(Real, 0, 1, closed="both")],
        "brightness": [Interval(Real, 0, 1, closed="left")],
        "pose": [Interval(Real, 0, 45, closed="both")],
        "scene": ["boolean", tuple],
        "return_X_y": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_faces(
    n_samples: int = 500,
    *,
    classes: Sequence[str] | None = None,
    size: int = 48,
    color: bool = False,
    noise: float = 0.03,
    occlusion: float = 0.1,
    brightness: float = 0.25,
    pose: float = 15.0,
    scene: bool | tuple[int, int] = False,
    return_X_y: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Draw faces that show an expression, with known labels, valence, arousal and boxes.

    A face is drawn from the contractions of its action units [1]_: those of the expression,
    scaled by a random intensity, and small random ones. Skin, hair, proportions, glasses and
    background do not depend on the expression. With the defaults, a convolutional network learns
    the task from 2000 faces; a linear model of the pixels does not.

    Parameters
    ----------
    n_samples : int, default=500
        Number of images, one face in each. Classes are balanced and shuffled.
    classes : sequence of str, default=None
        Expressions to draw, of "angry", "disgust", "fear", "happy", "sad", "surprise",
        "neutral" and "contempt". None is the first seven.
    size : int, default=48
        Height and width of a crop, in pixels; at least 16. Scenes don't use it.
    color : bool, default=False
        Whether crops are RGB instead of gray. Scenes always are.
    noise : float, default=0.03
        Standard deviation of the Gaussian noise, the same in all channels of a pixel, as a
        fraction of 255; in [0, 1].
    occlusion : float, default=0.1
        Probability that a hand or a bar covers part of the face, in [0, 1].
    brightness : float, default=0.25
        Half of the range of the factor by which an image is made brighter or darker; light
        also falls off by up to half as much from one side to the other. In [0, 1).
    pose : float, default=15.0
        Largest roll of the head to either side, in degrees, in [0, 45]. A turn to the side and
        up or down grow with it and, in crops, so do shift and change of scale.
    scene : bool or (height, width), default=False
        False draws crops. True draws images of 240 x 320 pixels with one face of random size
        and position over a cluttered background; a tuple is another size, at least 96 pixels.
    return_X_y : bool, default=False
        Whether to return ``(images, labels)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same images on every call.

    Returns
    -------
    faces : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of uint8
            Crops: shape (n_samples, size, size), or (n_samples, size, size, 3) with `color`.
            Scenes: shape (n_samples, height, width, 3). Colour is RGB.
        labels : ndarray of str, shape (n_samples,)
            Label of each image.
        target : ndarray of int64, shape (n_samples,)
            Labels as indices into `target_names`.
        target_names : ndarray of str, shape (n_classes,)
            `classes`, in the order given.
        valence, arousal : ndarray of float32, shape (n_samples,)
            From unpleasant (-1) to pleasant (1), and from calm (-1) to excited (1): the mean
            rating of the expression [2]_ times `intensity`. Contempt, which is not rated there,
            is near disgust, with less arousal. Neutral is 0.
        intensity : ndarray of float32, shape (n_samples,)
            Strength of the expression: 0 for neutral, uniform between 0.65 and 1 otherwise.
        boxes : ndarray of int32, shape (n_samples, 4)
            x, y, width and height in pixels, as detectors report them: a square of 1.2 times the
            width of the face, centred on the bridge of the nose and clipped to the image.
        DESCR : str
            Description of the data.
    (images, labels) : tuple of ndarray of shape (n_samples, ...) and (n_samples,)
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If an argument is out of its range, or `classes` is empty, has an unknown name or names
        a class twice. `InvalidParameterError`, which is raised for ranges and types, is one.

    Notes
    -----
    A scene of 240 x 320 pixels takes 230 kB, a gray crop of 48 x 48 pixels 2.3 kB.

    References
    ----------
    .. [1] P. Ekman, W. V. Friesen and J. C. Hager, "Facial Action Coding System: The Manual",
       Research Nexus, 2002.
    .. [2] J. A. Russell and A. Mehrabian, "Evidence for a three-factor theory of emotions",
       Journal of Research in Personality 11(3), 273-294, 1977.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> faces = make_faces(6, classes=["happy", "sad"], random_state=0)
    >>> faces.images.shape, faces.images.dtype
    ((6, 48, 48), dtype('uint8'))
    >>> sorted(faces.labels.tolist())
    ['happy', 'happy', 'happy', 'sad', 'sad', 'sad']
    >>> bool(faces.valence[faces.labels == "sad"].max() < 0)
    True

    One face in a larger image:

    >>> party = make_faces(1, classes=["happy"], scene=True, random_state=0)
    >>> party.images.shape, party.boxes.shape
    ((1, 240, 320, 3), (1, 4))
    """
    names = _check_classes(classes)
    height, width = _image_shape(scene, size)
    rng = check_random_state(random_state)

    target = rng.permutation(np.arange(n_samples) % len(names))
    labels = np.array(names)[target]
    intensity = np.where(labels == "neutral", 0, rng.uniform(FAINTEST, STRONGEST, n_samples))
    images = np.empty((n_samples, height, width, *((3,) if scene or color else ())), np.uint8)
    boxes = np.empty((n_samples, 4), np.int32)
    for i in range(n_samples):
        where = scene_pose(rng, height, width, pose) if scene else crop_pose(rng, size, pose)
        image = draw_image(
            rng, labels[i], intensity[i], where, occlusion, bool(scene), (height, width)
        )
        if images.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        images[i] = add_light_and_noise(rng, image, noise, brightness)
        boxes[i] = face_box(where, height, width)

    if return_X_y:
        return images, labels
    affect = np.array([(PROTOTYPES[name].valence, PROTOTYPES[name].arousal) for name in names])
    valence, arousal = (affect[target] * intensity[:, None]).astype(np.float32).T
    return Bunch(
        images=images,
        labels=labels,
        target=target,
        target_names=np.array(names),
        valence=valence,
        arousal=arousal,
        intensity=intensity.astype(np.float32),
        boxes=boxes,
        DESCR=_DESCR.format(
            n_samples=n_samples,
            classes=", ".join(names),
            shape=images.shape[1:],
            kind="scenes" if scene else "crops",
            noise=noise,
            occlusion=occlusion,
            brightness=brightness,
            pose=pose,
        ),
    )


def _check_classes(classes: Sequence[str] | None) -> list[str]:
    names = list(EXPRESSION_SETS[7] if classes is None else classes)
    unknown = [name for name in names if name not in EXPRESSIONS]
    if unknown or not names or len(set(names)) < len(names):
        problem = f"has unknown {unknown}" if unknown else "is empty or names a class twice"
        raise ValueError(f"classes={names!r} {problem}; it takes any of {', '.join(EXPRESSIONS)}.")
    return [str(name) for name in names]


def _image_shape(scene: bool | tuple[int, int], size: int) -> tuple[int, int]:
    if isinstance(scene, tuple):
        if len(scene) != 2 or not all(
            isinstance(side, Integral) and side >= SMALLEST_SCENE for side in scene
        ):
            raise ValueError(
                f"scene={scene!r} must be a bool or (height, width), two ints of at least "
                f"{SMALLEST_SCENE} pixels."
            )
        return scene
    return DEFAULT_SCENE if scene else (size, size)
