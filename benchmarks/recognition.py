"""Compare `recognize` on a folder of photos with `recognize` photo by photo.

    python benchmarks/recognition.py

200 photos (frames of a video, or drawn scenes) are recognised in one call and one by one with the
same loaded Pipeline, in alternation. The results must be equal. The ratio is written to
``benchmarks/results/recognition.json``.

One call saves the overhead of each call (the network, the table); reading and detection are only
distributed over the cores. The ratio therefore approaches the number of cores for large photos, and
several sizes are measured (``--sides``).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _results
import cv2
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skfer import load_pretrained, recognize
from skfer.datasets import make_faces
from skfer.detection import YuNetDetector
from skfer.recognition import FaceReader

WANTED = 3.0
# A batch changes the order of sums in the network.
TOLERANCE = 1e-4


def write_photos(folder: Path, photos: list[np.ndarray], n_photos: int, side: int) -> None:
    """Write a number of photos with this longer side, repeated if there are too few."""
    for index in range(n_photos):
        photo = photos[index % len(photos)]
        scale = side / max(photo.shape[:2])
        resized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{index:04d}.jpg"), resized)


def frames(video: str) -> list[np.ndarray]:
    capture = cv2.VideoCapture(video)
    images = []
    while (result := capture.read())[0]:
        images.append(result[1])
    return images


def scenes(n_photos: int) -> list[np.ndarray]:
    images = make_faces(n_photos, scene=True, random_state=0).images
    return [cv2.cvtColor(scene, cv2.COLOR_RGB2BGR) for scene in images]


def seconds(
    function: Callable[..., pd.DataFrame], photos: Path | list[Path], pipeline: Pipeline
) -> tuple[float, pd.DataFrame]:
    start = time.perf_counter()
    table = function(photos, pipeline)
    return time.perf_counter() - start, table


def one_by_one(paths: list[Path], pipeline: Pipeline) -> pd.DataFrame:
    return pd.concat([recognize([path], pipeline) for path in paths], ignore_index=True)


def measure(folder: Path, rounds: int, pipeline: Pipeline) -> dict:
    """Measure both in alternation and return the seconds and the ratio."""
    paths = sorted(folder.iterdir())
    one_by_one(paths[:2], pipeline)  # warm-up
    single, batch = [], []
    for _ in range(rounds):
        slow, expected = seconds(one_by_one, paths, pipeline)
        fast, table = seconds(recognize, folder, pipeline)
        pd.testing.assert_frame_equal(expected, table, rtol=TOLERANCE, atol=TOLERANCE)
        single.append(slow)
        batch.append(fast)
    ratios = [slow / fast for slow, fast in zip(single, batch, strict=True)]
    return {
        "faces": int(table["expression"].notna().sum()),
        "seconds": {
            "together": round(statistics.median(batch), 3),
            "one by one": round(statistics.median(single), 3),
        },
        "ratio": round(statistics.median(ratios), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--yunet", help="file of YuNet, which is then the detector")
    parser.add_argument("--video", help="video whose frames are the photos; default: drawn scenes")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[320, 596], help="longer sides of the photos"
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    pipeline = load_pretrained()
    if arguments.yunet:
        pipeline.set_params(cropper__detector=YuNetDetector(arguments.yunet))
    photos = frames(arguments.video) if arguments.video else scenes(arguments.photos)
    sides = {}
    for side in arguments.sides:
        with tempfile.TemporaryDirectory() as name:
            write_photos(Path(name), photos, arguments.photos, side)
            sides[side] = row = measure(Path(name), arguments.rounds, pipeline)
        print(
            f"{arguments.photos} photos of {side} pixels with {row['faces']} faces: "
            f"{row['seconds']['together']:.2f} s together, "
            f"{row['seconds']['one by one']:.2f} s one by one: "
            f"{row['ratio']:.2f} times as fast (wanted >= {WANTED})"
        )
    _results.write(
        "recognition",
        {
            "photos": arguments.photos,
            "source": "video frames" if arguments.video else "drawn scenes",
            "detector": FaceReader(pipeline).detector,
            "longer side": {str(side): row for side, row in sides.items()},
            "rounds": arguments.rounds,
            "versions": _results.versions(),
        },
    )


if __name__ == "__main__":
    main()
