"""Measure memory and time for up to a million images, and two workers against one.

    python benchmarks/scale.py

It fits and predicts on a million crops in memory and on folders of 1,000 to 100,000 photos through
a whole Pipeline, and searches four candidates with one worker and with two. Results are compared
with the wanted figures and written to ``benchmarks/results/scale.json``. ``--scale 0.1`` uses a
tenth of the images and of the search.

Each case runs in its own process, whose peak of resident memory is the figure. It includes pages of
files, which the system could take back.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

N_CROPS = 1_000_000
N_FILES = (1_000, 10_000, 100_000)
STEPS = 200
DISTINCT = 100  # different photos, which are repeated
CANDIDATES, CANDIDATE_SECONDS = 4, 30
# Peak in MB, difference of peaks in MB, time of n_jobs=2 relative to n_jobs=1.
WANTED = {"peak of crops": 4000, "files": 200, "ratio": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the images")
    parser.add_argument("--only", choices=("crops", "files", "search"), help="run one part only")
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        name, *values = arguments.case
        print(json.dumps(CASES[name](*values)))
    else:
        measure(arguments.scale, arguments.only)


def measure(scale: float, only: str | None) -> None:
    start, load = time.perf_counter(), os.getloadavg()[0]
    result: dict = {"scale": scale, "load_before": round(load, 1)}
    if only in (None, "crops"):
        result["crops"] = [in_process("crops", int(N_CROPS * scale))]
        print(table(result["crops"]), flush=True)
    if only in (None, "files"):
        sizes = [int(size * scale) for size in N_FILES]
        with tempfile.TemporaryDirectory(prefix="skfer-scale-") as folder:
            in_process("draw", folder, max(sizes))
            result["files"] = [in_process("files", folder, size) for size in sizes]
        print(table(result["files"]), flush=True)
    if only in (None, "search"):
        result["search"] = in_process("search", CANDIDATE_SECONDS * scale)
    result["minutes"] = round((time.perf_counter() - start) / 60, 1)

    # Imported late, since the processes of the cases must not inherit the memory of Keras.
    import _results

    result["versions"] = _results.versions()
    print(verdict(result))
    print(_results.format_versions(result["versions"]))
    if scale == 1 and only is None:
        _results.write("scale", result)


def in_process(name: str, *values: object) -> dict:
    """Run a case in its own process and return its result."""
    command = [sys.executable, __file__, "--case", name, *map(str, values)]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(process.stdout.splitlines()[-1])


def peak_megabytes() -> int:
    """Return the peak memory of this process; ``ru_maxrss`` would include that of its parent."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) // 1000


def time_call(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return round(time.perf_counter() - start, 2)


def classifier(**parameters: object):
    from skfer import FacialExpressionClassifier

    settings = {"epochs": 1, "batch_size": 64, "augment": None, "random_state": 0}
    return FacialExpressionClassifier("mini_xception", **settings | parameters)


def stop_after(steps: int):
    """Return a callback that stops the fit within its first epoch."""
    import keras

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            self.model.stop_training = batch + 1 >= steps

    return Stop()


def crops(n: str) -> dict:
    """Fit for 200 steps on crops in memory, and predict all of them."""
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (int(n), 48, 48), dtype=np.uint8)
    labels = np.arange(int(n)) % 7
    model = classifier(callbacks=[stop_after(STEPS)])
    row = {"images": int(n), "megabytes_of_images": images.nbytes // 10**6}
    row["fit_seconds"] = time_call(lambda: model.fit(images, labels))
    row["fit_peak_megabytes"] = peak_megabytes()
    row["predict_seconds"] = time_call(lambda: model.predict(images))
    row["predict_peak_megabytes"] = peak_megabytes()
    return row


def draw(folder: str, n: str) -> dict:
    """Write photos with one face each."""
    import cv2

    from skfer.datasets import make_faces

    scenes = make_faces(DISTINCT, scene=(96, 128), random_state=0).images
    files = [cv2.imencode(".jpg", scene[..., ::-1])[1].tobytes() for scene in scenes]
    for number in range(int(n)):
        Path(folder, f"{number:06}.jpg").write_bytes(files[number % DISTINCT])
    return {}


def files(folder: str, n: str) -> dict:
    """Predict photos with a Pipeline, then fit it on them for at most 200 steps."""
    import warnings

    import numpy as np
    from sklearn.pipeline import Pipeline

    from skfer import FaceCropper, GrayscaleResizer
    from skfer.datasets import make_faces
    from skfer.detection import HaarDetector

    warnings.filterwarnings("ignore", ".* no face found")
    paths = [os.path.join(folder, f"{number:06}.jpg") for number in range(int(n))]
    faces = make_faces(256, random_state=0)
    steps = [
        ("cropper", FaceCropper(HaarDetector(scale_factor=1.3, min_face_size=40), n_jobs=-1)),
        ("resizer", GrayscaleResizer(48, n_jobs=-1)),
        ("classifier", classifier().fit(faces.images, faces.labels)),
    ]
    pipeline = Pipeline(steps)
    pipeline.predict(paths[:64])  # compiles the graph
    row = {"images": int(n)}
    row["predict_seconds"] = time_call(lambda: pipeline.predict(paths))
    row["predict_peak_megabytes"] = peak_megabytes()
    pipeline.set_params(classifier__callbacks=[stop_after(STEPS)])
    labels = np.resize(faces.labels, len(paths))
    row["fit_seconds"] = time_call(lambda: pipeline.fit(paths, labels))
    row["fit_peak_megabytes"] = peak_megabytes()
    return row


def search(seconds: str) -> dict:
    """Search four candidates of about equal cost with one worker and with two."""
    import numpy as np
    from sklearn.model_selection import GridSearchCV

    from skfer import FacialExpressionClassifier
    from skfer.datasets import make_faces

    X, y = make_faces(1000, return_X_y=True, random_state=0)
    rows = np.arange(len(X))
    model = FacialExpressionClassifier("cnn4", batch_size=64, augment=None, random_state=0)
    first = time_call(lambda: model.set_params(epochs=1).fit(X, y))
    epoch = (time_call(lambda: model.set_params(epochs=3).fit(X, y)) - first) / 2
    model.set_params(epochs=max(1, round(float(seconds) / max(epoch, 0.1))))
    row: dict = {"candidates": CANDIDATES, "epochs": model.epochs}
    rates = [1e-4 * 2**step for step in range(CANDIDATES)]
    scores = []
    for n_jobs in (1, 2):
        grid = GridSearchCV(
            model,
            {"learning_rate": rates},
            cv=[(rows[:800], rows[800:])],
            refit=False,
            n_jobs=n_jobs,
            error_score="raise",
        )
        row[f"seconds_{n_jobs}"] = time_call(lambda grid=grid: grid.fit(X, y))
        scores.append(grid.cv_results_["mean_test_score"].round(4).tolist())
    row["ratio"] = round(row["seconds_2"] / row["seconds_1"], 3)
    row["scores_of_1_and_2"] = scores
    return row


CASES: dict[str, Callable[..., dict]] = {
    "crops": crops,
    "draw": draw,
    "files": files,
    "search": search,
}


def table(rows: list[dict]) -> str:
    lines = [
        f"{'images':>10} {'predict s':>10} {'ms/image':>9} {'peak MB':>8}"
        f" {'fit s':>8} {'ms/image':>9} {'peak MB':>8}"
    ]
    for row in rows:
        cells = [f"{row['images']:10}"]
        for name, width in (("predict", 10), ("fit", 8)):
            seconds = row[f"{name}_seconds"]
            cells += [
                f"{seconds:{width}.1f} {1e3 * seconds / row['images']:9.2f}",
                f"{row[f'{name}_peak_megabytes']:8}",
            ]
        lines.append(" ".join(cells))
    return "\n".join(lines)


def verdict(result: dict) -> str:
    """Format the measured and the wanted figures."""
    lines = []
    if "crops" in result:
        (row,) = result["crops"]
        lines.append(
            f"{row['images']} crops of {row['megabytes_of_images']} MB: fit of {STEPS} steps "
            f"{row['fit_peak_megabytes']} MB, predict {row['predict_peak_megabytes']} MB; wanted "
            f"< {WANTED['peak of crops']}"
        )
    if "files" in result:
        few, *_, many = result["files"]
        more = many["predict_peak_megabytes"] - few["predict_peak_megabytes"]
        cost = (many["predict_seconds"] / many["images"]) / (few["predict_seconds"] / few["images"])
        lines.append(
            f"{many['images']} files instead of {few['images']}: {more:+} MB, wanted "
            f"+-{WANTED['files']}; an image takes {cost:.2f} times as long"
        )
    if "search" in result:
        row = result["search"]
        lines.append(
            f"{row['candidates']} candidates: {row['seconds_1']} s in one worker, "
            f"{row['seconds_2']} s in two; {row['ratio']} of it, wanted <= {WANTED['ratio']:g}"
        )
    lines.append(f"{result['minutes']} minutes in all")
    if result["load_before"] > 0.5:
        lines.append(f"The load before was {result['load_before']}; times may be wrong.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
