"""Compute soft targets: predictions of trained networks for every image of Training.

    python benchmarks/pretrain/teach.py faces.npz targets/NAME.npz --views ten shipped [RUN ...]

The networks are runs with a snapshot, or the shipped weights ("shipped"). An interrupted run
continues with the same command. The file contains the mean over networks and views, ``(n, 15)``
float16: 7 columns for FER2013's labels and 8 for FER+'s votes. Each of the two parts sums to 0.5.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from train import (
    N_LABELS,
    N_VOTES,
    build,
    read_data,
    scale_images,
    shipped_weights,
    snapshot_weights,
)

CHUNK = 256
STEP = 2  # shift of ten views in pixels


def view_images(images: np.ndarray, views: str) -> list[np.ndarray]:
    """Return copies of a batch: mirrored, and for "ten" also shifted to the four corners."""
    copies = [images]
    if views == "ten":
        padded = np.pad(images, ((0, 0), (STEP, STEP), (STEP, STEP), (0, 0)), mode="symmetric")
        side = images.shape[1]
        copies += [
            padded[:, top : top + side, left : left + side]
            for top in (0, 2 * STEP)
            for left in (0, 2 * STEP)
        ]
    return copies if views == "one" else copies + [copy[:, :, ::-1] for copy in copies]


def balanced_heads(probabilities: np.ndarray) -> np.ndarray:
    """Scale the two heads of a joint softmax so that each sums to one half."""
    labels, votes = probabilities[:, :N_LABELS], probabilities[:, N_LABELS:]
    return np.concatenate(
        [part / (2 * part.sum(axis=1, keepdims=True)) for part in (labels, votes)], axis=1
    )


def predict(network: keras.Model, images: np.ndarray, views: str, draft: Path) -> np.ndarray:
    """Return the probabilities ``(n, 15)`` of uint8 images, averaged over views.

    Finished parts are stored in a draft, from which an interrupted call continues.
    """
    proba = np.load(draft) if draft.exists() else np.zeros((0, N_LABELS + N_VOTES), np.float32)
    for first in range(len(proba), len(images), CHUNK):
        batch = scale_images(images[first : first + CHUNK])
        views_proba = [
            balanced_heads(keras.ops.convert_to_numpy(network.predict_on_batch(view)))
            for view in view_images(batch, views)
        ]
        proba = np.concatenate([proba, np.mean(views_proba, axis=0)])
        np.save(draft, proba)
    return proba


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("teachers", nargs="+", help='names of runs, or "shipped"')
    parser.add_argument("--views", choices=("one", "flip", "ten"), default="flip")
    arguments = parser.parse_args()
    data = read_data(arguments.data)
    images, labels = data["images"][data["training"]], data["labels"][data["training"]]
    arguments.target.parent.mkdir(exist_ok=True)
    means = []
    for name in arguments.teachers:
        recipe, weights = ({}, shipped_weights()) if name == "shipped" else snapshot_weights(name)
        network = build(recipe, size=48)
        network.set_weights(weights)
        draft = arguments.target.with_name(f"{arguments.target.stem}.{name}.draft.npy")
        means.append(predict(network, images, arguments.views, draft))
        accuracy = (means[-1][:, :N_LABELS].argmax(axis=1) == labels).mean()
        print(f"{name}: accuracy on Training {accuracy:.4f}", flush=True)
    np.savez_compressed(arguments.target, targets=np.mean(means, axis=0).astype(np.float16))


if __name__ == "__main__":
    main()
