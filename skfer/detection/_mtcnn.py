"""`MTCNNDetector`: faces and landmarks by the networks of the mtcnn package."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import threading
from collections.abc import Hashable
from numbers import Real
from typing import Any

import cv2
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skfer._images._batch import to_rgb
from skfer._utils import DocLinkMixin, import_extra, missing_package, require_usable_tensorflow
from skfer.detection._base import MIN_FACE_SIZE, Detections, register_detector, smallest_face

# Window size of the first network.
_WINDOW_SIDE = 12
# With a larger min_face_size, mtcnn 1.0.0 computes scales that are too small for the window, and
# reports the resulting error as "no face".
_MAX_PACKAGE_FACE_SIZE = 20

# Number of patches in a batch, and of boxes in a block of the non-maximum suppression.
_BATCH_SIZE = 256
# Candidates after each stage: enough for a photo of 600 faces.
_MAX_CANDIDATES = 5_000

# The networks are loaded once per process, because this takes seconds. One thread uses them at a
# time; TensorFlow spreads a call over the cores.
_networks: list[Any] = []
_lock = threading.Lock()


@register_detector("mtcnn")
class MTCNNDetector(DocLinkMixin, BaseEstimator):
    """Detect faces and landmarks with multi-task cascaded networks (MTCNN).

    Requires ``pip install "skfer[mtcnn]"``, which includes the weights. The networks run in
    TensorFlow on the CPU, several times slower than `YuNetDetector`.

    Parameters
    ----------
    score_threshold : float, default=0.8
        Minimum score of a face in the last network.
    min_face_size : int or float, default=24
        Shorter side of the smallest box: an int is in pixels, a float below 1 is a share of the
        image's shorter side. Values below 12 pixels act as 12. The image is scaled so that this
        side becomes 20 pixels. Time and memory fall with its square, and the landmarks of the
        smallest faces are coarse.

    Notes
    -----
    Scores are in [0, 1]. Every face has landmarks. Threads may share a detector, but only one of
    them detects at a time. In a process that was forked after TensorFlow has run, `detect`
    raises an error.

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
        "min_face_size": MIN_FACE_SIZE,
    }

    def __init__(self, *, score_threshold: float = 0.8, min_face_size: float = 24):
        self.score_threshold = score_threshold
        self.min_face_size = min_face_size

    @staticmethod
    def is_installed() -> bool:
        """Return whether the extra ``mtcnn`` is installed.

        Returns
        -------
        bool
        """
        return all(map(importlib.util.find_spec, ("mtcnn", "tensorflow")))

    def detect(self, image: np.ndarray) -> Detections:
        """Detect the faces of one image.

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
        side = max(int(smallest_face(self.min_face_size, image.shape)), _WINDOW_SIDE)
        if min(image.shape[:2]) < side:
            return Detections.none()
        image = to_rgb(image)
        scale = min(1.0, _MAX_PACKAGE_FACE_SIZE / side)
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with _lock:
            # Columns: image, left, top, width, height, score, five x, five y.
            rows = _mtcnn().detect_faces(
                image,
                fit_to_image=False,
                output_type="numpy",
                min_face_size=min(side, _MAX_PACKAGE_FACE_SIZE),
                threshold_onet=float(self.score_threshold),
            )
        boxes = np.rint(rows[:, 1:5] / scale).astype(np.int32)
        large_enough = boxes[:, 2:].min(axis=1) >= side
        rows, boxes = rows[large_enough], boxes[large_enough]
        # Left in the package is left in the image, which is the person's right.
        landmarks = np.stack([rows[:, 6:11], rows[:, 11:16]], axis=-1) / scale
        return Detections(boxes, np.clip(rows[:, 5], 0, 1), landmarks).largest_first()

    def cache_key(self) -> Hashable:
        """Return the settings and the version of the mtcnn package.

        Returns
        -------
        tuple
        """
        try:
            version = importlib.metadata.version("mtcnn")
        except importlib.metadata.PackageNotFoundError as error:
            raise missing_package("mtcnn", type(self).__name__, "mtcnn") from error
        return version, tuple(sorted(self.get_params(deep=False).items()))


def _mtcnn() -> Any:
    """Return the networks, loaded once, with bounded memory."""
    if not _networks:
        mtcnn = import_extra("mtcnn", MTCNNDetector.__name__, "mtcnn")
        for name in ("pnet", "rnet", "onet"):
            module: Any = importlib.import_module(f"mtcnn.stages.stage_{name}")
            module.smart_nms_from_bboxes = _suppress_overlaps
        network = mtcnn.MTCNN()
        concat = importlib.import_module("mtcnn.utils.images").tf.concat
        for stage in network.stages[1:]:
            stage._model = functools.partial(_in_batches, concat, stage._model)
        _networks.append(network)
    return _networks[0]


def _in_batches(concat: Any, model: Any, patches: Any) -> list[Any]:
    """Return the outputs of a network, computed batch by batch."""
    starts = range(0, len(patches), _BATCH_SIZE) or [0]
    outputs = [model(patches[start : start + _BATCH_SIZE]) for start in starts]
    return [concat(parts, axis=0) for parts in zip(*outputs, strict=True)]


def _suppress_overlaps(
    boxes: np.ndarray, threshold: float, method: str = "union", initial_sort: bool = True
) -> np.ndarray:
    """Suppress boxes that overlap a box of higher score by more than the threshold.

    Replaces mtcnn's function, which needs 10 GB for 600 faces of 56 pixels. Only the
    `_MAX_CANDIDATES` boxes of the highest score are considered.
    """
    if initial_sort:
        boxes = boxes[np.argsort(boxes[:, 5])[::-1]]
    boxes = boxes[:_MAX_CANDIDATES]
    left, top, right, bottom = boxes[:, 1:5].T
    areas = (right - left) * (bottom - top)
    kept = np.ones(len(boxes), bool)
    for start in range(0, len(boxes), _BATCH_SIZE):
        block = slice(start, start + _BATCH_SIZE)
        before = slice(0, start + _BATCH_SIZE)
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
