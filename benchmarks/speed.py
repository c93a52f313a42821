"""Compare the speed of skfer with plain Keras, in one run.

    python benchmarks/speed.py

It measures the epochs of a fit, predictions of one image and of many, and the import, prints them
with the wanted figures, and writes them to ``benchmarks/results/speed.json``.

skfer and Keras alternate, epoch by epoch and call by call, so that other work on the machine
affects both. A ratio is the median over neighbouring pairs. ``--quick`` measures fewer pairs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import _results
import keras
import numpy as np
from _peer_protocol import time_call

from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces
from skfer.networks import build_network

WANTED = {"fit": 1.03, "predict 1": 0.15, "predict 512": 0.8, "import": 0.5}

IMPORT = """
import sys, time
start = time.perf_counter()
import skfer
seconds = time.perf_counter() - start
print(seconds, *{"tensorflow", "keras"}.intersection(sys.modules))
"""


class Turns(keras.callbacks.Callback):
    """Callback that times epochs and alternates with another fit."""

    def __init__(self, turn: threading.Semaphore, other_turn: threading.Semaphore):
        super().__init__()
        self.turn, self.other_turn, self.seconds = turn, other_turn, []

    def __deepcopy__(self, memo: dict) -> Turns:
        return self  # skfer copies callbacks before a fit

    def run(self, fit: Callable, *args, **kwargs) -> None:
        try:
            fit(*args, **kwargs)
        finally:
            self.other_turn.release(1000)  # a fit that fails must not leave the other waiting

    def on_epoch_begin(self, epoch, logs=None):
        self.turn.acquire()
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)
        self.other_turn.release()


def time_fits(n_images: int, epochs: int) -> tuple[list[float], list[float]]:
    """Time each epoch of cnn4 in skfer and in Keras, without the first, which compiles."""
    faces = make_faces(n_images, random_state=0)
    images = faces.images[..., np.newaxis]
    skfer_turn, keras_turn = threading.Semaphore(1), threading.Semaphore(0)
    with_skfer, with_keras = Turns(skfer_turn, keras_turn), Turns(keras_turn, skfer_turn)
    classifier = FacialExpressionClassifier(
        "cnn4",
        epochs=epochs + 1,
        batch_size=64,
        schedule=None,
        augment=None,
        callbacks=[with_skfer],
        random_state=0,
        verbose=0,
    )
    plain = keras.Sequential(
        [keras.layers.Rescaling(1 / 255), build_network("cnn4", images.shape[1:], 7)]
    )
    plain.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with ThreadPoolExecutor() as pool:
        fits = [
            pool.submit(with_skfer.run, classifier.fit, images, faces.target),
            pool.submit(
                with_keras.run,
                plain.fit,
                images,
                faces.target,
                batch_size=64,
                epochs=epochs + 1,
                callbacks=[with_keras],
                verbose=0,
            ),
        ]
    for fit in fits:
        fit.result()
    return with_skfer.seconds[1:], with_keras.seconds[1:]


def time_predictions(n_images: int, rounds: int) -> tuple[list[float], list[float]]:
    """Time predictions of one fitted little_vgg through skfer and through Keras."""
    faces = make_faces(max(n_images, 64), random_state=0)
    classifier = FacialExpressionClassifier("little_vgg", epochs=1, random_state=0)
    network = classifier.fit(faces.images, faces.target).network_
    images = faces.images[:n_images, ..., np.newaxis]

    def with_skfer() -> np.ndarray:
        return classifier.predict_proba(images)

    def with_keras() -> np.ndarray:
        return network.predict(images, verbose=0)

    np.testing.assert_allclose(with_skfer(), with_keras(), atol=1e-5)  # also compiles both
    pairs = [(time_call(with_skfer), time_call(with_keras)) for _ in range(rounds)]
    return tuple(map(list, zip(*pairs, strict=True)))


def time_import(rounds: int) -> tuple[list[float], list[str]]:
    """Time `import skfer` in new processes; also return the heavy packages that it imports."""
    outputs = [
        subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
        .stdout.strip()
        .split(" ")
        for _ in range(rounds)
    ]
    return [float(seconds) for seconds, *_ in outputs], outputs[0][1:]


def compare(times: tuple[list[float], list[float]], wanted: float) -> dict:
    with_skfer, with_keras = times
    ratios = [a / b for a, b in zip(with_skfer, with_keras, strict=True)]
    return {
        "skfer_seconds": round(statistics.median(with_skfer), 5),
        "keras_seconds": round(statistics.median(with_keras), 5),
        "ratio": round(statistics.median(ratios), 4),
        "ratios_from_to": [round(min(ratios), 4), round(max(ratios), 4)],
        "pairs": len(ratios),
        "wanted": wanted,
    }


def run(quick: bool) -> dict:
    load = os.getloadavg()[0]
    rounds = 3 if quick else 8
    imports, heavy = time_import(3 if quick else 5)
    return {
        "fit": compare(time_fits(640, rounds), WANTED["fit"]),
        "predict 1": compare(time_predictions(1, 10 * rounds), WANTED["predict 1"]),
        "predict 512": compare(time_predictions(512, rounds), WANTED["predict 512"]),
        "import": {
            "seconds": round(statistics.median(imports), 3),
            "imports_of_tensorflow_and_keras": heavy,
            "wanted": WANTED["import"],
        },
        "load_before": round(load, 1),
        "versions": _results.versions(),
    }


def report(result: dict) -> str:
    """Format the result as text."""
    titles = {
        "fit": "fit, cnn4, epoch of 640 images",
        "predict 1": "predict_proba, little_vgg, 1 image",
        "predict 512": "predict_proba, little_vgg, 512 images",
    }
    lines = [f"{'':38}   skfer s   keras s    ratio   wanted   ratios from to"]
    for name, title in titles.items():
        row = result[name]
        low, high = row["ratios_from_to"]
        lines.append(
            f"{title:38} {row['skfer_seconds']:9.4f} {row['keras_seconds']:9.4f} "
            f"{row['ratio']:8.3f}  <= {row['wanted']:<4}   {low:.2f} {high:.2f}"
        )
    row = result["import"]
    heavy = ", ".join(row["imports_of_tensorflow_and_keras"]) or "neither tensorflow nor keras"
    lines.append(f"{'import skfer':38} {row['seconds']:9.4f} {'':18}  <= {row['wanted']} s")
    lines.append(f"  imports {heavy}")
    if result["load_before"] > 0.5:
        lines.append(f"  The load before was {result['load_before']}; figures may be wrong.")
    lines.append(_results.format_versions(result["versions"]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    result = run(parser.parse_args().quick)
    print(report(result))
    _results.write("speed", result)


if __name__ == "__main__":
    main()
