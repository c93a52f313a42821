"""`MTCNNDetector`: faces and five landmarks by the cascade of networks of the mtcnn package."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import threading
from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._documentation import Documented
from skfer._extras import import_extra, not_installed
from skfer._threads import require_usable_tensorflow
from skfer.detection._protocol import Detections

# The side of the window that its first network was trained on.
SMALLEST_FACE = 12
# With a larger min_face_size or another step between scales than its own, mtcnn 1.0.0 makes the
# smallest scales too small for that window, which ends in an error that it takes for "no face".
_LARGEST_MIN_FACE_SIZE = 20

# Patches that a network sees at once, and boxes that are compared at once.
_BATCH = 256
# Boxes of one step that are looked at further: enough for a photo of 600 faces.
_MOST_CANDIDATES = 5_000

# The networks of the process: loading takes seconds, and every setting is given with the image.
# They are asked by one thread at a time; TensorFlow spreads a single call over the cores.
_networks: list[Any] = []
_one_at_a_time = threading.Lock()


class MTCNNDetector(Documented, BaseEstimator):
    """Find faces and their landmarks with multi-task cascaded networks (MTCNN).

    It needs ``pip install "skfer[mtcnn]"``, which carries the weights; nothing is downloaded.
    It runs on TensorFlow, on the CPU, several times slower than `YuNetDetector`.

    Parameters
    ----------
    score_threshold : float, default=0.8
        Faces with a lower score in the last network are left out.
    min_face_size : int, default=24
        Shorter side of the smallest face's box, in pixels; the networks see none below 12. The
        image is scaled down so that this becomes 20 pixels: time and memory fall with its square,
        and landmarks of faces near it are coarse.

    Notes
    -----
    Scores are in [0, 1]. Landmarks come with every face. Threads may share a detector; they wait
    for each other, so more of them gain nothing but the time of reading images. In a
    process that was forked after TensorFlow has run, `detect` raises an error.

    References
    ----------
    Zhang, K., Zhang, Z., Li, Z. & Qiao, Y. (2016). Joint face detection and alignment using
    multitask cascaded convolutional networks. IEEE Signal Processing Letters, 23(10), 1499-1503.
    https://doi.org/10.1109/LSP.2016.2603342

    Examples
    --------
    >>> from skfer.detection import MTCNNDetector
    >>> from skfer.preprocessing import FaceCropper
    >>> cropper = FaceCropper(MTCNNDetector(score_threshold=0.95), align=True)
    """

    finds_landmarks = True

    _parameter_constraints = {
        "score_threshold": [Interval(Real, 0, 1, closed="both")],
        "min_face_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        score_threshold: float = 0.8,
        min_face_size: int = 24,
    ):
        self.score_threshold = score_threshold
        self.min_face_size = min_face_size

    def detect(self, image: np.ndarray) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
            Largest first, with landmarks. A box may reach beyond the edge of the image.

        Raises
        ------
        ImportError
            If the mtcnn package is not installed.
        RuntimeError
            If the process was forked from one that had used TensorFlow.
        """
        self._validate_params()
        require_usable_tensorflow()
        side = max(int(self.min_face_size), SMALLEST_FACE)
        if min(image.shape[:2]) < side:
            return Detections.none()
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        scale = min(1.0, _LARGEST_MIN_FACE_SIZE / side)
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with _one_at_a_time:
            # Columns: image, left, top, width, height, score, five x, five y.
            rows = _mtcnn().detect_faces(
                image,
                fit_to_image=False,
                output_type="numpy",
                min_face_size=min(side, _LARGEST_MIN_FACE_SIZE),
                threshold_onet=float(self.score_threshold),
            )
        boxes = np.rint(rows[:, 1:5] / scale).astype(np.int32)
        # The package's left is the picture's, which is the person's right: its order is ours.
        landmarks = np.stack([rows[:, 6:11], rows[:, 11:16]], axis=-1) / scale
        faces = Detections(boxes, np.clip(rows[:, 5], 0, 1), landmarks)
        return faces.take(boxes[:, 2:].min(axis=1) >= side).largest_first()

    def cache_key(self) -> Hashable:
        """What decides the faces: the settings, and the version of the weights' package.

        Returns
        -------
        tuple
        """
        try:
            version = importlib.metadata.version("mtcnn")
        except importlib.metadata.PackageNotFoundError as error:
            raise not_installed("mtcnn", type(self).__name__, "mtcnn") from error
        return version, tuple(sorted(self.get_params(deep=False).items()))


def _mtcnn() -> Any:
    if not _networks:
        mtcnn = import_extra("mtcnn", MTCNNDetector.__name__, "mtcnn")
        for name in ("pnet", "rnet", "onet"):
            module: Any = importlib.import_module(f"mtcnn.stages.stage_{name}")
            module.smart_nms_from_bboxes = _strongest
        network = mtcnn.MTCNN()
        concat = importlib.import_module("mtcnn.utils.images").tf.concat
        for stage in network.stages[1:]:
            stage._model = functools.partial(_in_batches, concat, stage._model)
        _networks.append(network)
    return _networks[0]


def _in_batches(concat: Any, model: Any, patches: Any) -> list[Any]:
    """Return the outputs of a network, which would take all patches at once."""
    starts = range(0, len(patches), _BATCH) or [0]
    answers = [model(patches[start : start + _BATCH]) for start in starts]
    return [concat(parts, axis=0) for parts in zip(*answers, strict=True)]


def _strongest(
    boxes: np.ndarray, threshold: float, method: str = "union", initial_sort: bool = True
) -> np.ndarray:
    """Return the boxes of one image that no stronger one overlaps by more than the threshold.

    It takes the place of mtcnn's function, which holds a dozen tables of all boxes by all boxes:
    10 GB for 600 faces of 56 pixels. Only the `_MOST_CANDIDATES` strongest boxes are looked at.
    """
    if initial_sort:
        boxes = boxes[np.argsort(boxes[:, 5])[::-1]]
    boxes = boxes[:_MOST_CANDIDATES]
    left, top, right, bottom = boxes[:, 1:5].T
    areas = (right - left) * (bottom - top)
    kept = np.ones(len(boxes), bool)
    for start in range(0, len(boxes), _BATCH):
        block = slice(start, start + _BATCH)
        before = slice(0, start + _BATCH)
        width = np.minimum(right[before, None], right[block]) - np.maximum(
            left[before, None], left[block]
        )
        height = np.minimum(bottom[before, None], bottom[block]) - np.maximum(
            top[before, None], top[block]
        )
        shared = np.maximum(0, width) * np.maximum(0, height)
        overlap = shared / (areas[before, None] + areas[block] - shared)
        kept[block] = ~np.triu(overlap > threshold, k=1 - start).any(axis=0)
    return boxes[kept]
