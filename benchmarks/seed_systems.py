"""Train the systems that skfer reproduces on FER2013, through the Pipeline.

    python benchmarks/seed_systems.py --system cnn4 --data fer2013.npz
    python benchmarks/seed_systems.py --all --data fer2013.npz

The first command prints the accuracy on PublicTest with and without the images that are also in
Training and that of the source, and writes them with history and library versions to
``benchmarks/results/``. The second trains all systems without a result and prints a table. An
interrupted run continues from its last epoch (``benchmarks/checkpoints/``).

PublicTest without the images that are also in Training is the validation data (plateaus, early
stopping), as in the sources. PrivateTest is not in the data.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import _results
import keras
import numpy as np
import sklearn
from _rules import copies
from _systems import CHECKPOINTS, SEVEN, SYSTEMS, System
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import label_binarize

from skfer import FacialExpressionClassifier, GrayscaleResizer

NAMES = np.array(["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"])
TARGETS = Path(__file__).parent / "pretrain" / "targets" / "shipped_base.npz"
# Used if a source does not state otherwise: no augmentation, all layers, a constant rate.
_DEFAULTS = {"schedule": None, "augment": None, "fine_tune": {"frozen_epochs": 0}}


class EpochLog(keras.callbacks.Callback):
    """Print a line for each epoch and record its time."""

    seconds: list[float] = []  # a class attribute, since a fit copies its callbacks

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        print(f"epoch {epoch + 1}: {self.seconds[-1]:.0f} s  {figures}", flush=True)


def load_split(path: Path, classes: tuple[str, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the images and labels of Training and PublicTest with the given classes."""
    data = np.load(path)
    labels = NAMES[data["target"]]
    known = np.isin(labels, classes)
    return {
        part: (data["images"][rows], labels[rows])
        for part in ("Training", "PublicTest")
        for rows in [known & (data["usage"] == part)]
    }


def sample_images(split: tuple, n_images: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a stratified sample of the images."""
    if n_images is None:
        return split
    X, _, y, _ = train_test_split(*split, train_size=n_images, stratify=split[1], random_state=seed)
    return X, y


def soft_targets(y: np.ndarray, share: float) -> np.ndarray:
    """Return the labels of Training mixed with predictions of the shipped weights.

    The columns are the classes in sorted order.
    """
    with np.load(TARGETS) as stored:
        taught = stored["targets"][:, :7].astype(float)
    taught /= taught.sum(axis=1, keepdims=True)
    return (1 - share) * label_binarize(y, classes=sorted(SEVEN)) + share * taught


def run(
    name: str, system: System, data: Path, seed: int, mixed_precision: str | None
) -> tuple[dict, Pipeline]:
    """Fit one system and measure it."""
    split = load_split(data, system.classes)
    (X, y), (X_test, y_test) = split["Training"], split["PublicTest"]
    copied = copies(X_test, X)
    X, y = sample_images((X, y), system.n_images, seed)
    EpochLog.seconds.clear()
    classifier = FacialExpressionClassifier(
        **_DEFAULTS | system.parameters,
        mixed_precision=mixed_precision,
        random_state=seed,
        checkpoint_dir=CHECKPOINTS,
        callbacks=[EpochLog()],
    ).set_fit_request(X_val=True, y_val=True, votes=True)
    pipeline = Pipeline(
        [("cropper", "passthrough"), ("resizer", GrayscaleResizer(48)), ("classifier", classifier)],
        transform_input=["X_val"],
    )
    pipeline.fit(
        X,
        y,
        X_val=X_test[~copied],
        y_val=y_test[~copied],
        votes=soft_targets(y, system.taught) if system.taught else None,
    )

    probabilities = pipeline.predict_proba(X_test)
    correct = pipeline.classes_[probabilities.argmax(axis=1)] == y_test
    fitted = pipeline[-1]
    pipeline.set_params(classifier__test_time_augmentation="flip")
    mirrored = pipeline.predict(X_test) == y_test
    result = {
        "system": name,
        "classes": list(system.classes),
        "parameters": _results.plain(system.parameters) | {"mixed_precision": mixed_precision},
        "share of soft targets": system.taught,
        "seed": seed,
        "weights": fitted.network_.count_params(),
        "images": {
            "Training": len(y),
            "PublicTest": len(y_test),
            "of them in Training": int(copied.sum()),
        },
        "epochs": fitted.n_iter_,
        "seconds_per_epoch": round(float(np.median(EpochLog.seconds)), 1),
        "accuracy": round(float(correct.mean()), 4),
        "accuracy_without_images_in_training": round(float(correct[~copied].mean()), 4),
        "accuracy_with_flip": round(float(mirrored.mean()), 4),
        "accuracy_with_flip_without_images_in_training": round(float(mirrored[~copied].mean()), 4),
        "val_loss": round(float(log_loss(y_test, probabilities)), 4),
        "document": system.document,
        "history": fitted.history_,
        "versions": _results.versions(),
    }
    return result, pipeline


def report(result: dict) -> str:
    """Format the result as text."""
    images = result["images"]
    return "\n".join(
        [
            f"{result['system']}: {result['weights']:,} weights, {len(result['classes'])} classes, "
            f"{images['Training']} training images, {result['epochs']} epochs of "
            f"{result['seconds_per_epoch']} s, seed {result['seed']}",
            f"  PublicTest ({images['PublicTest']} images)            accuracy "
            f"{result['accuracy']:.4f}   val_loss {result['val_loss']:.4f}",
            f"  without the {images['of them in Training']} that are in Training  accuracy "
            f"{result['accuracy_without_images_in_training']:.4f}",
            f"  with test_time_augmentation='flip'  {result['accuracy_with_flip']:.4f}, "
            f"{result['accuracy_with_flip_without_images_in_training']:.4f}",
            f"  source: {result['document']}",
            _results.format_versions(result["versions"]),
        ]
    )


def table(results: list[dict]) -> str:
    """Format all results as a table; "smoke" marks short runs."""
    lines = [
        "| row | system | classes | parameters | epochs | s an epoch | PublicTest | "
        "without images in Training | the document |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        system = SYSTEMS[result["system"]]
        smoke = " (smoke)" if system.n_images is not None else ""
        lines.append(
            f"| {system.row} | `{result['system']}`{smoke} | {len(result['classes'])} "
            f"| {result['weights']:,} | {result['epochs']} | {result['seconds_per_epoch']:.0f} "
            f"| {result['accuracy']:.4f} | {result['accuracy_without_images_in_training']:.4f} "
            f"| {system.document} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--system", choices=sorted(SYSTEMS))
    which.add_argument(
        "--all", action="store_true", help="train systems without a result, then print the table"
    )
    which.add_argument("--table", action="store_true", help="print the table of all results")
    parser.add_argument("--data", type=Path, help="FER2013 as .npz")
    parser.add_argument("--save", type=Path, help="folder for the fitted networks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mixed-precision", default="auto", choices=["auto", "bfloat16", "none"])
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.table:
        parser.error("--data is needed to train")
    precision = None if arguments.mixed_precision == "none" else arguments.mixed_precision

    if arguments.system:
        names = [arguments.system]
    else:
        names = [
            name for name in SYSTEMS if arguments.all and _results.read(f"seed_{name}") is None
        ]
    for name in names:
        with sklearn.config_context(enable_metadata_routing=True):
            result, pipeline = run(name, SYSTEMS[name], arguments.data, arguments.seed, precision)
        print(report(result), flush=True)
        _results.write(f"seed_{name}", result)
        if arguments.save is not None:
            arguments.save.mkdir(parents=True, exist_ok=True)
            # Without the scaling layer, as `weights` and `from_keras` expect.
            pipeline[-1].network_.layers[-1].save(arguments.save / f"{name}.keras")
    if not arguments.system:
        results = [_results.read(f"seed_{name}") for name in SYSTEMS]
        print(table([result for result in results if result is not None]))


if __name__ == "__main__":
    main()
