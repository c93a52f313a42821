"""Write the weights of a run into the package, with their accuracy on PublicTest.

    python benchmarks/pretrain/ship.py RUN --data fer2013.npz

The two heads of the network become the weights "fer2013" and "ferplus", or "fer2013-small" and
"ferplus-small" for the run "small". The temperature is fitted on PublicTest without the images that
are also in Training. Ship weights only if they are better than the previous ones on PublicTest and
in the robustness table (``model_card.py``).

For FER2013's labels, the shares of the classes in Training to the power of ``logit_adjustment``, a
setting of the recipe, divide the probabilities, so that rare expressions are predicted more often
(Menon et al. 2021).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from train import N_LABELS, N_VOTES, make_targets, snapshot_weights

from skfer import FacialExpressionClassifier, GrayscaleResizer
from skfer._inference._onnx_graph import build_onnx_model
from skfer.datasets import load_fer2013
from skfer.metrics import fit_temperature
from skfer.networks._description import describe_network
from skfer.weights import WeightsRecord, write_weights

sys.path.insert(0, str(Path(__file__).parent.parent))

import _results
from _rules import paper_majority
from data import pack

# Images of FER2013 have the frame of Haar's box without a margin (median width of the box: 0.98 of
# the image, on 481 of 600 detected faces).
PREPROCESSING = {
    "cropper": {"margin": 0.0, "whole_below": 64},
    "resizer": {"size": 48, "equalize": "brighten"},
}
HEADS = {"fer2013": slice(0, N_LABELS), "ferplus": slice(N_LABELS, N_LABELS + N_VOTES)}
DATA = {
    "fer2013": "FER2013 Training: labels, with the votes of FER+ as a second task",
    "ferplus": "FER2013 Training: votes of FER+, with the labels of FER2013 as a second task",
}
LICENCE = (
    "FER2013 was published for research (Goodfellow et al. 2013), its images come from a web "
    "search; the votes of FER+ are under the MIT licence"
)


def class_shares(head: str, data: dict[str, np.ndarray], label_smoothing: float) -> np.ndarray:
    """Return the mean target of one head on Training."""
    recipe = {"label_smoothing": label_smoothing}
    targets = make_targets(data, recipe)[:, HEADS[head]]
    targets = targets[targets.any(axis=1)]
    return (targets / targets.sum(axis=1, keepdims=True)).mean(axis=0)


def probability_divisor(head: str, recipe: dict, data: dict[str, np.ndarray]) -> np.ndarray:
    """Return what the probability of each class is divided by."""
    exponent = recipe["logit_adjustment"] if head == "fer2013" else 0.0
    return class_shares(head, data, 0.0) ** exponent


def make_record(head: str, run: str, recipe: dict, data: dict[str, np.ndarray]) -> WeightsRecord:
    """Describe the weights of one head; figures and checksum come later."""
    names = data["label_names" if head == "fer2013" else "vote_names"]
    prior = class_shares(head, data, recipe["label_smoothing"])
    prior /= probability_divisor(head, recipe, data)
    prior /= prior.sum()
    parameters = recipe.get("network_params", {})
    return WeightsRecord(
        name=f"{head}-small" if run == "small" else head,
        file="",
        sha256="",
        network=recipe["network"],
        image_shape=(48, 48, 1),
        classes=names.tolist(),
        class_prior=prior.astype(float).round(5).tolist(),
        temperature=1.0,
        parameters={"network_params": parameters} if parameters else {},
        preprocessing=PREPROCESSING,
        n_weights=0,
        accuracy={},
        data=DATA[head],
        licence=LICENCE,
        recipe={"script": "benchmarks/pretrain/train.py", **recipe},
        versions=_results.versions(),
    )


def make_classifier(record: WeightsRecord, arrays: list[np.ndarray]) -> FacialExpressionClassifier:
    """Build a fitted classifier from the weights of one head."""
    classifier = FacialExpressionClassifier(record.network, **record.parameters)
    classifier.classes_ = np.array(record.classes)
    classifier._seed = 0
    classifier._build(np.zeros((1, *record.image_shape), np.uint8), len(record.classes))
    classifier.network_.set_weights(arrays)
    return classifier


def measure(
    record: WeightsRecord,
    classifier: FacialExpressionClassifier,
    data: dict[str, np.ndarray],
    all_votes: np.ndarray,
) -> WeightsRecord:
    """Add temperature and accuracies on PublicTest to a record."""
    test = ~data["training"]
    head = record.name.removesuffix("-small")
    codes = data["labels" if head == "fer2013" else "voted"][test]
    known = codes >= 0
    resizer = GrayscaleResizer(**record.preprocessing["resizer"])
    images = resizer.transform(data["images"][test][known])
    codes, new = codes[known], ~data["copied"][test][known]
    names, accuracy, temperature = np.array(record.classes), {}, 1.0
    for views in (None, "flip", "ten"):
        proba = classifier.set_params(test_time_augmentation=views).predict_proba(images)
        if views is None:
            temperature = fit_temperature(names[codes[new]], proba[new], labels=names)
        correct = proba.argmax(axis=1) == codes
        name = "PublicTest" if views is None else f"PublicTest, test_time_augmentation={views!r}"
        accuracy[name] = correct.mean()
        accuracy[f"{name}, without images in Training"] = correct[new].mean()
        if head == "ferplus":
            majority = paper_majority(all_votes[known])
            accuracy[f"{name}, majority as in the FER+ paper"] = correct[majority].mean()
    rounded = {name: round(float(value), 4) for name, value in accuracy.items()}
    return record._replace(temperature=round(temperature, 3), accuracy=rounded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="a run with a snapshot")
    parser.add_argument("--data", type=Path, required=True, help="FER2013 with votes, as .npz")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the weights")
    arguments = parser.parse_args()
    recipe, weights = snapshot_weights(arguments.run)
    data = pack(arguments.data)
    data["images"] = data["images"].cumsum(axis=2, dtype=np.uint8)
    faces = load_fer2013(arguments.data, usage="PublicTest")
    records, networks = [], {}
    for head, columns in HEADS.items():
        bias = weights[-1][columns] - np.log(probability_divisor(head, recipe, data))
        arrays = [*weights[:-2], weights[-2][:, columns], bias.astype(np.float32)]
        record = make_record(head, arguments.run, recipe, data)
        record = record._replace(n_weights=sum(array.size for array in arrays))
        classifier = make_classifier(record, arrays)
        records.append(measure(record, classifier, data, faces.votes))
        networks[record.name] = describe_network(classifier.network_)
        print(record.name, records[-1].temperature, records[-1].accuracy)
    model = build_onnx_model(networks, half_precision=True)
    suffix = "_small" if arguments.run == "small" else ""
    write_weights(records, model, f"{recipe['network']}{suffix}.onnx", arguments.folder)


if __name__ == "__main__":
    main()
