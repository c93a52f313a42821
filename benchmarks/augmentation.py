"""Measure the time of an epoch with augmentation, relative to one without.

    python benchmarks/augmentation.py

The second epoch of a fit is measured, because the first one compiles. The presets alternate. The
ratios are written to ``benchmarks/results/augmentation.json``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict

import _results
import keras

from skfer import FacialExpressionClassifier
from skfer._training._augmentation import Augmentation
from skfer.datasets import make_faces

WANTED = 1.10
PRESETS = ("none", "light", "strong", "strong and mixup")


class EpochTimer(keras.callbacks.Callback):
    """Record the seconds of each epoch in a class attribute, since a fit copies its callbacks."""

    last = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        EpochTimer.last = time.perf_counter() - self._start


def epoch_seconds(network: str, preset: str, faces, seed: int) -> float:
    mixed = asdict(Augmentation.from_parameter("strong")) | {"mixup": 0.2}
    augment = mixed if preset == "strong and mixup" else preset
    FacialExpressionClassifier(
        network,
        epochs=2,
        batch_size=64,
        augment=augment,
        callbacks=[EpochTimer()],
        random_state=seed,
    ).fit(faces.images, faces.labels)
    return EpochTimer.last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--networks", nargs="+", default=["cnn4", "little_vgg", "mini_resnet"])
    arguments = parser.parse_args()

    faces = make_faces(arguments.images, random_state=0)
    ratios: dict[str, dict[str, float]] = {}
    for network in arguments.networks:
        seconds: dict[str, list[float]] = {preset: [] for preset in PRESETS}
        for seed in range(arguments.rounds):
            for preset in PRESETS:
                seconds[preset].append(epoch_seconds(network, preset, faces, seed))
        ratios[network] = {
            preset: round(
                statistics.median(
                    a / b for a, b in zip(seconds[preset], seconds["none"], strict=True)
                ),
                3,
            )
            for preset in PRESETS[1:]
        }
        figures = ", ".join(f"{preset} {ratio:.3f}" for preset, ratio in ratios[network].items())
        print(
            f"{network}: an epoch takes {figures} of that without (wanted <= {WANTED})", flush=True
        )
    _results.write(
        "augmentation",
        {
            "images": arguments.images,
            "rounds": arguments.rounds,
            "ratios": ratios,
            "versions": _results.versions(),
        },
    )


if __name__ == "__main__":
    main()
