"""
========================
Accuracy of the networks
========================

Accuracy on FER2013's PublicTest, number of parameters, training curves and transfer to new labels.
All figures are read from `benchmarks/results/`, which `seed_systems.py`, `model_card.py` and
`transfer.py` write. Versions such as 0.1.0.dev0 are from before the release.
"""

# %%
# Parameters and accuracy
# -----------------------
# Each line connects the accuracy on all of PublicTest with that on images that are not in Training.
# Systems with the same network are drawn side by side. Short runs are left out.

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

results = Path("../results")  # from the folder of this script


def read(name):
    return json.loads((results / f"{name}.json").read_text())


SMOKE_IMAGES = 5000
runs = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("seed_*.json"))}
systems = [
    run
    for name, run in runs.items()
    if name == f"seed_{run['system']}"  # other names are earlier runs
    and run["images"]["Training"] > SMOKE_IMAGES
    and len(run["classes"]) == 7
]
figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
for index, system in enumerate(systems):
    same = sum(other["weights"] == system["weights"] for other in systems[:index])
    weights = system["weights"] * 1.08**same
    accuracies = [system["accuracy"], system["accuracy_without_images_in_training"]]
    label = f"{system['system']}, {system['epochs']} epochs"
    axes.semilogx([weights] * 2, accuracies, "o-", ms=4, label=label)
card = read("model_card_fer2013")
weights = card["model"]["n_weights"]
pretrained = [subset["none"] for subset in card["accuracy"]]
axes.semilogx([weights] * 2, pretrained, "D-", color="black", label='"fer2013", one view')
axes.set(xlabel="parameters", ylabel="accuracy on PublicTest")
axes.legend(fontsize="small", ncols=2)
figure.suptitle("Seven classes, one run each")
plt.show()
print("trained with skfer", *sorted({system["versions"]["skfer"] for system in systems}))

# %%
# Training curves
# ---------------
# Training accuracy is measured on augmented images, so it can be below validation accuracy.

best = sorted(systems, key=lambda system: -system["accuracy"])[:6]
figure, grid = plt.subplots(2, 3, figsize=(10, 6), sharey=True, layout="constrained")
for axes, system in zip(grid.flat, best, strict=False):
    epochs = np.arange(1, system["epochs"] + 1)
    for curve in ("accuracy", "val_accuracy"):
        axes.plot(epochs, system["history"][curve], label=curve)
    axes.set(title=system["system"], xlabel="epoch")
grid[0, 0].legend()
plt.show()

# %%
# Transfer to new labels
# ----------------------
# A network that was trained on 7 classes with half of Training is fitted on the 8 classes of FER+
# with few images of the other half. Means of five samples with 95 % intervals.

transfer = read("transfer")
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for method in ("transfer", "scratch"):
    sizes = [row["images_a_class"] for row in transfer["rows"]]
    mean = np.array([np.mean(row[method]) for row in transfer["rows"]])
    low, high = np.array([row[f"{method}_interval"] for row in transfer["rows"]]).T
    axes.errorbar(sizes, mean, yerr=[mean - low, high - mean], marker="o", capsize=4, label=method)
axes.set(xscale="log", xticks=sizes, xticklabels=sizes)
axes.set(xlabel="images per class", ylabel=transfer["score"])
axes.legend()
plt.show()
print("measured with skfer", transfer["versions"]["skfer"])
