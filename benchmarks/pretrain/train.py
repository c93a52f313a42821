"""Train a network on FER2013's labels and FER+'s votes, with any backend of Keras.

    python benchmarks/pretrain/train.py RUN --data faces.npz --minutes 60

`RUN` is a name from ``recipes.py``. An interrupted run continues with the same command: the order
and the augmentation of the images depend only on seed, epoch and step. The state is saved every
three minutes, after every epoch and when the time is over. Every epoch adds a line to
``logs/RUN.jsonl``. ``--snapshot`` also writes the averaged weights to ``snapshots/RUN.npz`` in half
precision; a run without a state continues from there.

Needs Keras, one of its backends and NumPy, but not TensorFlow or scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from augment import augment
from recipes import RUNS
from shrink import shrink

from skfer.networks import build_network
from skfer.weights import read_model, read_record

FOLDER = Path(__file__).parent
N_LABELS, N_VOTES = 7, 8
SIDE = 48
SAVE_EVERY = 180  # seconds between two states
AVERAGE_EVERY = 4  # steps between two updates of the averaged weights


def read_data(path: Path) -> dict[str, np.ndarray]:
    """Read the file that ``data.py`` wrote."""
    with np.load(path) as stored:
        data = dict(stored)
    data["images"] = data["images"].cumsum(axis=2, dtype=np.uint8)
    return data


def scale_images(images: np.ndarray) -> np.ndarray:
    """Convert uint8 images to the input of the networks, ``(n, height, width, 1)`` in [0, 1]."""
    return images[..., None].astype("float32") / 255


def shipped_weights() -> list[np.ndarray]:
    """Return the weights of one network with both heads, from the shipped file."""
    from skfer._inference._onnx_graph import read_onnx_model

    records = (read_record("fer2013"), read_record("ferplus"))
    labels, votes = (read_onnx_model(read_model(r), r.name)[1] for r in records)
    heads = zip(labels[-2:], votes[-2:], strict=True)
    return [*labels[:-2], *(np.concatenate(pair, axis=-1) for pair in heads)]


def build(recipe: dict, size: int) -> keras.Model:
    """Build the network of a recipe for square gray images; its weights do not depend on `size`."""
    network, parameters = recipe.get("network", "mini_resnet"), recipe.get("network_params", {})
    return build_network(network, (size, size, 1), N_LABELS + N_VOTES, **parameters)


def make_targets(data: dict[str, np.ndarray], recipe: dict) -> np.ndarray:
    """Return the target distribution over 15 outputs for the images of Training, ``(n, 15)``.

    Labels and votes have half of the weight each; images without votes have labels only. A recipe
    with ``teacher`` mixes in the soft targets of that file.
    """
    train = data["training"]
    smoothing, share = recipe["label_smoothing"], recipe.get("taught", 0.0)
    labels = np.eye(N_LABELS, dtype=np.float32)[data["labels"][train]]
    labels = (1 - smoothing) * labels + smoothing / N_LABELS
    joint = np.concatenate([labels, data["votes"][train].astype(np.float32)], axis=1)
    joint /= joint.sum(axis=1, keepdims=True)
    if share:
        with np.load(FOLDER / "targets" / f"{recipe['teacher']}.npz") as stored:
            soft = stored["targets"].astype(np.float32)
        joint = (1 - share) * joint + share * soft / soft.sum(axis=1, keepdims=True)
    return joint.astype(np.float32)


def read_variables(holder: keras.Model | keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Return all variables, including those of the random numbers of dropout."""
    return [keras.ops.convert_to_numpy(variable) for variable in holder.variables]


def assign_all(holder: keras.Model | keras.optimizers.Optimizer, values: list[np.ndarray]) -> None:
    for variable, value in zip(holder.variables, values, strict=True):
        variable.assign(value)


def learning_rate(recipe: dict, progress: float) -> float:
    """Return the rate at a share of the steps: linear warm-up, plateau, linear decay to 0."""
    warm_up, decay = recipe["warm_up"], recipe["decay"]
    return recipe["learning_rate"] * min(1.0, progress / warm_up, (1 - progress) / decay)


def image_size(recipe: dict, epoch: int) -> int:
    """Return the side of the training images: smaller and faster at first, whole at last."""
    return max((first, size) for first, size in recipe["sizes"] if first <= epoch)[1]


class Run:
    """State of a run: the network, the average of its weights and the next step."""

    def __init__(self, name: str, states: Path, images: np.ndarray):
        self.name, self.recipe = name, RUNS[name]
        self.path = states / f"{name}.npz"
        self.epoch, self.step, self.size = 0, 0, 0
        self.loss_sum, self.minutes = 0.0, 0.0
        keras.utils.set_random_seed(self.recipe["seed"])
        self._compile(image_size(self.recipe, 0))
        if self.path.exists():
            self._restore()
        elif (FOLDER / "snapshots" / f"{name}.npz").exists():
            self._restore_snapshot()
        elif self.recipe.get("start") == "shipped":
            self.network.set_weights(shipped_weights())
        elif self.recipe.get("start") == "shrunk":
            wide = build({}, self.size)
            wide.set_weights(shipped_weights())
            middle = slice((SIDE - self.size) // 2, (SIDE + self.size) // 2)
            shrink(wide, self.network, scale_images(images[:512, middle, middle]))
        if not self.epoch + self.step:
            self.average = self.network.get_weights()

    def _compile(self, size: int) -> None:
        """Build the network for images of another size, with the current state."""
        before = (self.network, self.optimizer) if self.size else None
        self.network = build(self.recipe, size)
        self.optimizer = keras.optimizers.SGD(
            self.recipe["learning_rate"],
            momentum=0.9,
            nesterov=True,
            weight_decay=self.recipe["weight_decay"],
        )
        self.optimizer.build(self.network.trainable_variables)
        if before is not None:
            assign_all(self.network, read_variables(before[0]))
            assign_all(self.optimizer, read_variables(before[1]))
        # XLA is slower than the kernels of TensorFlow on a CPU; PyTorch runs eagerly.
        jit = keras.backend.backend() == "jax"
        self.network.compile(self.optimizer, "categorical_crossentropy", jit_compile=jit)
        self.size = size

    def train_on(self, images: np.ndarray, targets: np.ndarray, n_steps: int) -> None:
        """Take one step of the optimiser."""
        if image_size(self.recipe, self.epoch) != self.size:
            self._compile(image_size(self.recipe, self.epoch))
        total = self.epoch * n_steps + self.step
        progress = (total + 1) / (self.recipe["epochs"] * n_steps + 1)
        self.optimizer.learning_rate.assign(learning_rate(self.recipe, progress))
        self.loss_sum += float(self.network.train_on_batch(images, targets))
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            # The average decays faster at first, when the weights change most.
            decay = min(self.recipe["average"] ** AVERAGE_EVERY, (1 + total) / (20 + total))
            for mean, value in zip(self.average, self.network.get_weights(), strict=True):
                mean += (1 - decay) * (value - mean)

    def save(self) -> None:
        """Write the state to a temporary file and rename it."""
        arrays = {
            f"{kind}{index:03}": value
            for kind, values in (
                ("network", read_variables(self.network)),
                ("average", self.average),
                ("optimizer", read_variables(self.optimizer)),
            )
            for index, value in enumerate(values)
        }
        draft = self.path.with_suffix(".draft.npz")
        np.savez(draft, progress=[self.epoch, self.step, self.loss_sum, self.minutes], **arrays)
        os.replace(draft, self.path)

    def _restore(self) -> None:
        with np.load(self.path) as stored:
            epoch, step, self.loss_sum, self.minutes = stored["progress"].tolist()
            arrays = {name: stored[name] for name in stored.files}
        self.epoch, self.step = int(epoch), int(step)
        if image_size(self.recipe, self.epoch) != self.size:
            self._compile(image_size(self.recipe, self.epoch))
        assign_all(self.network, _select_arrays(arrays, "network"))
        assign_all(self.optimizer, _select_arrays(arrays, "optimizer"))
        self.average = _select_arrays(arrays, "average")

    def snapshot(self) -> None:
        """Write the averaged and the last weights in half precision, with the epoch."""
        path = FOLDER / "snapshots" / f"{self.name}.npz"
        path.parent.mkdir(exist_ok=True)
        arrays = {f"average{index:03}": _half(a) for index, a in enumerate(self.average)}
        np.savez_compressed(path, progress=[self.epoch, self.step, 0, self.minutes], **arrays)

    def _restore_snapshot(self) -> None:
        """Continue from averaged weights, with a new momentum, at the start of the epoch."""
        with np.load(FOLDER / "snapshots" / f"{self.name}.npz") as stored:
            self.epoch, self.minutes = int(stored["progress"][0]), float(stored["progress"][3])
            self.average = _select_arrays({name: stored[name] for name in stored.files}, "average")
        self.network.set_weights(self.average)


def _half(array: np.ndarray) -> np.ndarray:
    """Convert to half precision, except vectors, whose variances may be too small."""
    return array.astype(np.float16 if array.ndim > 1 else np.float32)


def _select_arrays(arrays: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
    names = sorted(name for name in arrays if name.startswith(kind))
    return [
        arrays[name].astype(np.float32) if arrays[name].dtype == np.float16 else arrays[name]
        for name in names
    ]


def snapshot_weights(name: str) -> tuple[dict, list[np.ndarray]]:
    """Return the recipe and the averaged weights of a run with a snapshot."""
    with np.load(FOLDER / "snapshots" / f"{name}.npz") as stored:
        return RUNS[name], _select_arrays({key: stored[key] for key in stored.files}, "average")


def batches(
    images: np.ndarray, targets: np.ndarray, run: Run, workers: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield augmented batches of the rest of an epoch, prepared by threads in advance."""
    recipe, size = run.recipe, image_size(run.recipe, run.epoch)
    epoch, batch_size = run.epoch, recipe["batch_size"]
    order = np.random.default_rng((recipe["seed"], epoch)).permutation(len(images))

    def make(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = order[step * batch_size : (step + 1) * batch_size]
        random = np.random.default_rng((recipe["seed"], epoch, step))
        return augment(images[rows], targets[rows], random, size, recipe["augment"])

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        for step in range(run.step, len(images) // batch_size):
            waiting.append(pool.submit(make, step))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def evaluate(network: keras.Model, data: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the accuracy on PublicTest with one view."""
    test, new = ~data["training"], ~data["copied"][~data["training"]]
    images, labels, voted = data["images"][test], data["labels"][test], data["voted"][test]
    proba = np.concatenate(
        [
            keras.ops.convert_to_numpy(
                network(scale_images(images[first : first + 256]), training=False)
            )
            for first in range(0, len(images), 256)
        ]
    )
    correct = proba[:, :N_LABELS].argmax(axis=1) == labels
    correct_votes = proba[:, N_LABELS:].argmax(axis=1) == voted
    recalls = [correct[new & (labels == label)].mean() for label in range(N_LABELS)]
    return {
        "fer2013": round(float(correct[new].mean()), 4),
        "fer2013 with copies": round(float(correct.mean()), 4),
        "fer2013 balanced": round(float(np.mean(recalls)), 4),
        "ferplus": round(float(correct_votes[new & (voted >= 0)].mean()), 4),
    }


def train(run: Run, data: dict[str, np.ndarray], until: float, workers: int) -> bool:
    """Train until the last epoch or the time limit; return whether the last epoch is complete."""
    images, targets = data["images"][data["training"]], make_targets(data, run.recipe)
    n_steps = len(images) // run.recipe["batch_size"]
    averaged = build(run.recipe, SIDE)
    log = FOLDER / "logs" / f"{run.name}.jsonl"
    log.parent.mkdir(exist_ok=True)
    clock = saved = time.time()
    while run.epoch < run.recipe["epochs"]:
        for batch, expected in batches(images, targets, run, workers):
            run.train_on(batch, expected, n_steps)
            now = time.time()
            run.minutes, clock = run.minutes + (now - clock) / 60, now
            if now - saved > SAVE_EVERY or now > until:
                run.save()
                saved = now
            if now > until:
                return False
        averaged.set_weights(run.average)
        line = {
            "epoch": run.epoch + 1,
            "minutes": round(run.minutes, 1),
            "rate": round(float(run.optimizer.learning_rate), 5),
            "loss": round(run.loss_sum / n_steps, 4),
            **evaluate(averaged, data),
        }
        run.epoch, run.step, run.loss_sum = run.epoch + 1, 0, 0.0
        run.save()
        print(line, flush=True)
        with log.open("a") as lines:
            lines.write(json.dumps(line) + "\n")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", choices=sorted(RUNS))
    parser.add_argument("--data", type=Path, required=True, help="file that data.py wrote")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="time limit")
    parser.add_argument("--states", type=Path, default=FOLDER / "checkpoints")
    parser.add_argument("--workers", type=int, default=1, help="number of threads for augmentation")
    parser.add_argument("--snapshot", action="store_true", help="write a snapshot at the end")
    arguments = parser.parse_args()
    until = time.time() + 60 * arguments.minutes
    arguments.states.mkdir(parents=True, exist_ok=True)
    data = read_data(arguments.data)
    run = Run(arguments.run, arguments.states, data["images"][data["training"]])
    done = train(run, data, until, arguments.workers)
    if arguments.snapshot:
        run.snapshot()
    print(f"{run.name}: epoch {run.epoch}, step {run.step}, {'done' if done else 'stopped'}")


if __name__ == "__main__":
    main()
