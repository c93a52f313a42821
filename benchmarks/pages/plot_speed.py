"""
=========================
How fast, and beside what
=========================

Seconds differ from machine to machine, so what is compared was measured in one run on one. All
numbers are read from `benchmarks/results/`, where `benchmarks/peers.py`, `speed.py` and
`recognition.py` left them.
"""

# %%
# Accuracy and speed of packages that work offline
# -------------------------------------------------
# Up and to the right is better; circles are ours. "flip" and "ten" are views of test-time
# augmentation, "onnx" and "int8" the backends.

import json
from pathlib import Path

import matplotlib.pyplot as plt

results = Path("../results")  # from the folder of this script


def read(name):
    return json.loads((results / f"{name}.json").read_text())


peers = read("peers")
figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
axes.set_prop_cycle(color=plt.get_cmap("tab20").colors)
for name, system in peers["systems"].items():
    if "faces_a_second" in system:
        marker = "o" if name.startswith("skfer") else "s"
        axes.plot(system["faces_a_second"], 100 * system["accuracy"], marker, ls="", label=name)
figure.legend(loc="outside right upper", fontsize="small")
axes.set(xscale="log", xlabel="faces a second, in batches")
axes.set(ylabel=f"% right of {peers['images']} PublicTest images")
plt.show()

# %%
# One face
# --------

rows = {name: system for name, system in peers["systems"].items() if "one_face_seconds" in system}
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
bars = axes.barh(list(rows), [1000 * row["one_face_seconds"] for row in rows.values()])
axes.bar_label(bars, fmt="%.2g", padding=3)
axes.set(xlabel="milliseconds, of one aligned face")
axes.margins(x=0.1)
axes.invert_yaxis()
plt.show()

# %%
# What the wrapper costs
# ----------------------
# Time of skfer as a share of plain Keras doing the same, in pairs one after the other: below 1 is
# quicker. And how many times as fast `recognize` is as a loop over the photos.

speed = read("speed")
for what in ("fit", "predict 1", "predict 512"):
    row = speed[what]
    print(f"{what:12} {row['ratio']:.2f} of Keras, {row['pairs']} pairs")
recognition = read("recognition")
for side, row in recognition["longer side"].items():
    print(f"recognize, {recognition['photos']} photos of {side} pixels: {row['ratio']:.2f}")
