"""
=====
Speed
=====

Speed compared with other packages and with plain Keras. Compared figures were measured in one run
on one machine. All are read from `benchmarks/results/`, which `peers.py`, `speed.py` and
`recognition.py` write. Versions such as 0.1.0.dev0 are from before the release.
"""

# %%
# Accuracy and speed of packages that work offline
# -------------------------------------------------
# Circles are skfer. "flip" and "ten" are test-time augmentation, "int8" is a backend.

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
axes.set(xscale="log", xlabel="faces per second, in batches")
axes.set(ylabel=f"accuracy on {peers['images']} images of PublicTest, %")
plt.show()

# %%
# One face
# --------

rows = {name: system for name, system in peers["systems"].items() if "one_face_seconds" in system}
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
bars = axes.barh(list(rows), [1000 * row["one_face_seconds"] for row in rows.values()])
axes.bar_label(bars, fmt="%.2g", padding=3)
axes.set(xlabel="milliseconds for one aligned face")
axes.margins(x=0.1)
axes.invert_yaxis()
plt.show()

# %%
# Compared with Keras
# -------------------
# Time of skfer relative to plain Keras, as the median of alternating pairs, and speed of
# `recognize` relative to a loop over the photos.

speed = read("speed")
for name in ("fit", "predict 1", "predict 512"):
    row = speed[name]
    print(f"{name:12} {row['ratio']:.2f} of Keras, {row['pairs']} pairs")
print(f"measured with skfer {speed['versions']['skfer']}\n")
recognition = read("recognition")
for side, row in recognition["longer side"].items():
    print(f"recognize, {recognition['photos']} photos of {side} pixels: {row['ratio']:.2f}")
print(f"measured with skfer {recognition['versions']['skfer']}")
