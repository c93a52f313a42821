"""Recall, false faces and time of the face detectors, over sizes and framings.

    python benchmarks/detection.py --video face_video.mp4 --yunet face_detection_yunet_2026may.onnx

Tight crops: the face of the astronaut of scikit-image and of frames of a video, cut as squares of
which the face fills 70, 85 and 100 %, in several sizes and with small shifts. The boxes of YuNet in
the whole pictures are the reference. Tilted and scaled: the same pictures as a whole, rotated about
the face, and reduced until the face has a given height. Backgrounds: pictures of scikit-image and
scikit-learn without faces, whole and in quarters of 1,024 pixels. Forms: the astronaut and drawn
scenes as JPEG files of each EXIF orientation, in gray, as floats and with a border; their boxes are
known. Small faces: the reduced pictures in a photo of 1280 x 960 pixels, and enlarged parts of it.
``--parts`` measures some of these and keeps the other results. Tables are printed and written to
``benchmarks/results/detection.json``.
"""

from __future__ import annotations

import argparse
import io
import itertools
import time
from typing import Any

import _results
import cv2
import numpy as np
import skimage.data
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_sample_images

from skfer import FaceCropper
from skfer.datasets import make_faces
from skfer.detection import Detections, HaarDetector, YuNetDetector, to_eight_bits

SIZES = (100, 150, 300, 1000)
FILLS = (0.7, 0.85, 1.0)
# Shifts of the centre of a crop, as shares of its side.
SHIFTS = ((0.0, 0.0), (0.04, -0.03), (-0.05, 0.04))
# A face is found if a box has its centre within this share of the height of the reference, and a
# side between these shares of that of the reference.
CENTER, SMALLEST, LARGEST = 0.45, 0.55, 1.8
TILTS = (0, 10, 20, 30)  # degrees, to both sides
HEIGHTS = (12, 16, 24, 32, 48, 96)  # of the face, in pixels
SMALL_HEIGHTS = (12, 16, 24, 32, 48, 64, 96)  # in a photo
PHOTO_SIDE = 4032
# Height and width of a photo with a small face, and the position and enlargement of its part.
PHOTO_SHAPE = (960, 1280)
PART_TOP, PART_LEFT, ENLARGEMENT = 500, 800, 4
PARTS = ("detectors", "small faces", "forms")
SCENES = 40
# Width of the border, as a share of each side of the picture.
BORDER = 0.2
# How an upright picture is stored in a file with this EXIF orientation.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
BACKGROUNDS = "coffee chelsea rocket brick gravel grass text page moon retina clock"


def read_frames(path: str, count: int) -> list[np.ndarray]:
    """Return frames at equal distances, RGB."""
    capture = cv2.VideoCapture(path)
    frames = []
    while (read := capture.read())[0]:
        frames.append(np.ascontiguousarray(read[1][..., ::-1]))
    return [frames[i] for i in np.linspace(0, len(frames) - 1, count).astype(int)]


def tight_crops(faces: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[Any, ...]]:
    """Return (crop, box of the face in the crop, size, fill)."""
    crops = []
    for picture, (x, y, width, height) in faces:
        for fill, size, shift in itertools.product(FILLS, SIZES, SHIFTS):
            side = min(height / fill, *picture.shape[:2])
            left, top = (
                float(np.clip(start + length / 2 + part * side - side / 2, 0, limit - side))
                for start, length, part, limit in zip(
                    (x, y), (width, height), shift, picture.shape[1::-1], strict=True
                )
            )
            crop = picture[int(top) : int(top + side), int(left) : int(left + side)]
            scale = size / crop.shape[0]
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            box = np.array([x - int(left), y - int(top), width, height]) * scale
            crops.append((cv2.resize(crop, (size, size), interpolation=method), box, size, fill))
    return crops


def tilted(faces: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[Any, ...]]:
    """Return (picture, box of the face, degrees) of pictures that are rotated about the face."""
    rotated = []
    for (picture, box), degrees, side in itertools.product(faces, TILTS, (-1, 1)):
        center = box[:2] + box[2:] / 2
        matrix = cv2.getRotationMatrix2D(tuple(center), side * degrees, 1)
        turned = cv2.warpAffine(
            picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT
        )
        rotated.append((turned, box, degrees))
    return rotated


def reduced(
    faces: list[tuple[np.ndarray, np.ndarray]], heights: tuple[int, ...] = HEIGHTS
) -> list[tuple[Any, ...]]:
    """Return (picture, box of the face, height of the face) of reduced pictures."""
    small = []
    for (picture, box), height in itertools.product(faces, heights):
        scale = min(1, height / box[3])
        copy = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        small.append((copy, box * scale, height))
    return small


class Enlarged:
    """Detect faces in an enlarged copy."""

    def __init__(self, detector: Any):
        self.detector = detector

    def detect(self, image: np.ndarray) -> Detections:
        size = (ENLARGEMENT * image.shape[1], ENLARGEMENT * image.shape[0])
        faces = self.detector.detect(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))
        return Detections(np.rint(faces.boxes / ENLARGEMENT), faces.scores)


def in_photo(picture: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a gray photo with the picture as a part, and the box of the face in it."""
    photo = np.full((*PHOTO_SHAPE, 3), 90, np.uint8)
    part = picture[: PHOTO_SHAPE[0] - PART_TOP, : PHOTO_SHAPE[1] - PART_LEFT]
    photo[PART_TOP : PART_TOP + part.shape[0], PART_LEFT : PART_LEFT + part.shape[1]] = part
    return photo, box + [PART_LEFT, PART_TOP, 0, 0]


def measure_small(yunet: YuNetDetector, small: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the recall of small faces in a photo, by their height, and in an enlarged part."""
    photos = [(*in_photo(picture, box), height) for picture, box, height in small]
    cases = {
        "haar": (HaarDetector(), photos),
        "haar, min_face_size=24": (HaarDetector(min_face_size=24), photos),
        "haar, enlarged part": (Enlarged(HaarDetector()), small),
        "yunet": (yunet, photos),
        "yunet, min_face_size=12": (clone(yunet).set_params(min_face_size=12), photos),
        "yunet, enlarged part": (Enlarged(yunet), small),
    }
    recall = {}
    for name, (detector, pictures) in cases.items():
        recall[name] = {
            f"{height} pixels": share_found(detector, pictures, height) for height in SMALL_HEIGHTS
        }
        print(name, {key: round(value, 3) for key, value in recall[name].items()}, flush=True)
    return {"photo": "1280 x 960 pixels", "enlargement": ENLARGEMENT, "recall": recall}


def share_found(detector: Any, cases: list[tuple[Any, ...]], value: float) -> float:
    chosen = [(picture, box) for picture, box, this in cases if this == value]
    found = [is_found(detector.detect(picture).boxes.astype(float), box) for picture, box in chosen]
    return float(np.mean(found))


def is_found(boxes: np.ndarray, face: np.ndarray) -> bool:
    centers = boxes[:, :2] + boxes[:, 2:] / 2
    distances = np.abs(centers - (face[:2] + face[2:] / 2)).max(axis=1)
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3] / (face[2] * face[3]))
    return bool(((distances < CENTER * face[3]) & (sides > SMALLEST) & (sides < LARGEST)).any())


def backgrounds() -> list[np.ndarray]:
    """Return pictures without faces, whole and in enlarged quarters."""
    pictures = [to_eight_bits(getattr(skimage.data, name)()) for name in BACKGROUNDS.split()]
    pictures += load_sample_images().images
    parts = []
    for picture in pictures:
        height, width = picture.shape[:2]
        for rows, columns in itertools.product(range(2), range(2)):
            part = picture[rows * height // 2 :, columns * width // 2 :]
            part = part[: height // 2, : width // 2]
            scale = 1024 / max(part.shape[:2])
            parts.append(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
    return [*pictures, *parts]


def forms(picture: np.ndarray, box: np.ndarray) -> dict[str, tuple[Any, np.ndarray]]:
    """Return (image, box of the face) of an upright RGB picture in each form."""
    top, left = (round(BORDER * length) for length in picture.shape[:2])
    framed = cv2.copyMakeBorder(picture, top, top, left, left, cv2.BORDER_CONSTANT)
    return {
        **{f"EXIF orientation {tag}": (as_jpeg(picture, tag), box) for tag in range(1, 9)},
        "gray": (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), box),
        "colour": (picture, box),
        "float in [0, 1]": ((picture / 255).astype(np.float32), box),
        f"border of {BORDER:.0%}": (framed, box + [left, top, 0, 0]),
    }


def as_jpeg(picture: np.ndarray, orientation: int) -> bytes:
    """Return a JPEG file whose EXIF orientation shows the picture upright."""
    stored = Image.fromarray(picture)
    if orientation in STORED:
        stored = stored.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


def measure_forms(detectors: dict[str, Any], face: np.ndarray) -> dict[str, Any]:
    """Return the recall of each detector in each form; `face` is the astronaut's."""
    drawn = make_faces(SCENES, scene=True, random_state=0)
    pictures = [(skimage.data.astronaut(), face), *zip(drawn.images, drawn.boxes, strict=True)]
    cases = [forms(picture, box.astype(float)) for picture, box in pictures]
    recall = {}
    for name, detector in detectors.items():
        recall[name] = {}
        for form in cases[0]:
            images, boxes = zip(*(case[form] for case in cases), strict=True)
            faces = FaceCropper(detector).detect(list(images))
            pairs = zip(faces, boxes, strict=True)
            found = [is_found(one.boxes.astype(float), box) for one, box in pairs]
            recall[name][form] = float(np.mean(found))
        print(name, {key: round(value, 3) for key, value in recall[name].items()}, flush=True)
    return {"pictures": len(cases), "recall": recall}


def measure(
    detector: Any, crops: list[Any], turned: list[Any], small: list[Any], empty: list[np.ndarray]
) -> dict[str, Any]:
    found = [is_found(detector.detect(crop).boxes.astype(float), box) for crop, box, *_ in crops]
    sizes, fills = (np.array([crop[column] for crop in crops]) for column in (2, 3))
    recall = {f"{size} pixels": np.mean(found, where=sizes == size) for size in SIZES}
    recall |= {f"face fills {fill:.0%}": np.mean(found, where=fills == fill) for fill in FILLS}
    astronaut = skimage.data.astronaut()
    photo = cv2.resize(astronaut, (PHOTO_SIDE, PHOTO_SIDE * 3 // 4))
    return {
        "recall": float(np.mean(found)),
        **{name: float(value) for name, value in recall.items()},
        **{
            f"tilt of {degrees} degrees": share_found(detector, turned, degrees)
            for degrees in TILTS
        },
        **{f"face of {height} pixels": share_found(detector, small, height) for height in HEIGHTS},
        "false faces": sum(len(detector.detect(picture)) for picture in empty),
        "CPU ms, 512 pixels": cpu_ms(detector, astronaut),
        f"CPU ms, {PHOTO_SIDE} pixels": cpu_ms(detector, photo),
    }


def cpu_ms(detector: Any, picture: np.ndarray, repeats: int = 5) -> float:
    detector.detect(picture)
    start = time.process_time()
    for _ in range(repeats):
        detector.detect(picture)
    return 1000 * (time.process_time() - start) / repeats


def compare(yunet: YuNetDetector, faces: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Measure the detectors and their settings on pictures of one face each."""
    crops, turned, small = tight_crops(faces), tilted(faces), reduced(faces)
    empty = backgrounds()
    detectors = {
        "haar": HaarDetector(),
        "haar, min_neighbors=3": HaarDetector(min_neighbors=3),
        "haar, scale_factor=1.1": HaarDetector(scale_factor=1.1),
        "haar, min_face_size=24": HaarDetector(min_face_size=24),
        "yunet": yunet,
    }
    print(f"{len(crops)} tight crops, {len(empty)} pictures without faces")
    table = {}
    for name, detector in detectors.items():
        table[name] = measure(detector, crops, turned, small, empty)
        print(name, {key: round(value, 3) for key, value in table[name].items()}, flush=True)
    return {"crops": len(crops), "backgrounds": len(empty), "detectors": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", required=True, help="video of one person")
    parser.add_argument("--yunet", required=True, help="YuNet's model")
    parser.add_argument("--frames", type=int, default=20, help="frames of the video")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    arguments = parser.parse_args()
    yunet = YuNetDetector(arguments.yunet, refine_landmarks=False)
    pictures = [skimage.data.astronaut(), *read_frames(arguments.video, arguments.frames)]
    faces = [(picture, yunet.detect(picture).boxes[0].astype(float)) for picture in pictures]
    if "detectors" in arguments.parts:
        _results.update("detection", "detectors", compare(yunet, faces))
    if "small faces" in arguments.parts:
        small = measure_small(yunet, reduced(faces, SMALL_HEIGHTS))
        _results.update("detection", "small faces", small)
    if "forms" in arguments.parts:
        found = measure_forms({"haar": HaarDetector(), "yunet": yunet}, faces[0][1])
        _results.update("detection", "forms", found)


if __name__ == "__main__":
    main()
