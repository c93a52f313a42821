"""Train the weights that skfer ships, on FER2013's Training alone.

    python benchmarks/pretrain.py --data fer2013.npz

One network learns two things of every face at once: the label that FER2013 gave it, and the
votes that FER+ collected for the same image (Barsoum et al. 2016). Both are shares of one
softmax of 15 outputs, half of it each; a model of one label set is the network with the outputs of
that set alone. A run that was stopped goes on from its last epoch when it is started again.

PublicTest, without the images that also stand in Training, is what choices were made on;
PrivateTest is not in the data and is never looked at. After every epoch a line is added to
``benchmarks/results/logs/pretrain.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import _results
import joblib
import keras
import numpy as np

from skfer import FacialExpressionClassifier
from skfer.datasets import load_fer2013, load_ferplus

CHECKPOINTS = Path(__file__).parent / "checkpoints"
LOG = _results.FOLDER / "logs" / "pretrain.jsonl"
# Share of a FER2013 label that is spread over all seven: people agree with two in three.
SMOOTHING = 0.1
# A single vote of ten is taken for a slip, as FER+'s authors do.
FEWEST_VOTES = 2

RECIPE = {
    "network": "mini_resnet",
    "batch_size": 128,
    "optimizer": keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=5e-4),
    "learning_rate": 0.1,
    "schedule": "cosine",
    "weight_average": 0.999,
    "augment": {
        "flip": True,
        "rotation": 12.0,
        "shift": 0.08,
        "zoom": 0.12,
        "brightness": 0.1,
        "contrast": 0.25,
        "blur": 0.4,
        "erasing": 0.4,
    },
}


class Faces:
    """Images of one part with both kinds of labels."""

    def __init__(self, path: Path, part: str):
        faces, voted = load_fer2013(path, usage=part), load_ferplus(path, usage=part)
        self.images, self.labels = faces.images, faces.labels
        self.names = {"fer2013": faces.target_names, "ferplus": voted.target_names}
        self.voted = np.flatnonzero(np.isin(faces.row, voted.row))
        self.votes, self.voted_labels = voted.votes, voted.labels

    @property
    def outputs(self) -> list[str]:
        """What the outputs of the network stand for."""
        return [f"{task} {name}" for task, names in self.names.items() for name in names]

    def shares(self) -> np.ndarray:
        """What the network is to say of every image, ``(n, 15)``."""
        n_labels = len(self.names["fer2013"])
        labels = (self.labels[:, None] == self.names["fer2013"]).astype(float)
        labels = (1 - SMOOTHING) * labels + SMOOTHING / n_labels
        votes = np.where(self.votes < FEWEST_VOTES, 0, self.votes)
        votes = np.where(votes.any(axis=1, keepdims=True), votes, self.votes)
        joint = np.zeros((len(labels), len(self.outputs)))
        joint[:, :n_labels] = labels
        joint[self.voted, n_labels:] = votes / votes.sum(axis=1, keepdims=True)
        return joint / joint.sum(axis=1, keepdims=True)

    def joint_labels(self) -> np.ndarray:
        """One of the outputs for each image, for what wants a label."""
        return np.array([f"fer2013 {label}" for label in self.labels])


class Watch(keras.callbacks.Callback):
    """A line after every epoch: how well both sets of outputs do on images not learnt from."""

    def __init__(self, faces: Faces, unseen: np.ndarray, outputs: np.ndarray, file: Path):
        super().__init__()
        self.faces, self.unseen, self.file = faces, unseen, file
        self.places = {
            task: np.flatnonzero(np.char.startswith(outputs, f"{task} ")) for task in faces.names
        }
        self.outputs = outputs

    def __deepcopy__(self, memo):
        return self  # a fit copies its callbacks; the images need not be held twice

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.start
        said = np.concatenate(
            [
                np.asarray(self.model(self.faces.images[rows, ..., None], training=False))
                for rows in np.array_split(np.arange(len(self.faces.images)), 16)
            ]
        )
        names = {
            task: self.outputs[places][said[:, places].argmax(axis=1)]
            for task, places in self.places.items()
        }
        label = np.char.add("fer2013 ", self.faces.labels)
        voted = np.char.add("ferplus ", self.faces.voted_labels)
        line = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 1),
            "loss": round(float(logs["loss"]), 4),
            "fer2013": accuracy(names["fer2013"], label, self.unseen),
            "ferplus": accuracy(
                names["ferplus"][self.faces.voted], voted, self.unseen[self.faces.voted]
            ),
        }
        print(line, flush=True)
        with self.file.open("a") as log:
            log.write(json.dumps(line) + "\n")


def accuracy(said: np.ndarray, right: np.ndarray, of: np.ndarray) -> float:
    return round(float((said == right)[of].mean()), 4)


def unseen(faces: Faces, others: Faces) -> np.ndarray:
    """Which images don't stand among the others, byte for byte."""
    known = {image.tobytes() for image in others.images}
    return np.array([image.tobytes() not in known for image in faces.images])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="FER2013 with votes, as .npz")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    train, test = Faces(arguments.data, "Training"), Faces(arguments.data, "PublicTest")
    outputs = np.sort(train.outputs)
    joint = FacialExpressionClassifier(
        **RECIPE,
        epochs=arguments.epochs,
        classes=outputs,
        mixed_precision="bfloat16",
        random_state=arguments.seed,
        checkpoint_dir=CHECKPOINTS,
        callbacks=[Watch(test, unseen(test, train), outputs, LOG)],
    )
    votes = train.shares()[:, np.argsort(train.outputs)]
    joint.fit(train.images[..., None], train.joint_labels(), votes=votes)
    joblib.dump(joint, CHECKPOINTS / f"joint-{arguments.epochs}-{arguments.seed}.joblib")


if __name__ == "__main__":
    main()
