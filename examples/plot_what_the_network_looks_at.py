"""
=============================
What does the network look at
=============================

A network that names an expression has looked at something: at the mouth, as people do, or at a
corner of the picture that happened to tell in its training images. Three kinds of maps show it for
one image, a number says which of them to believe, and one figure sums it up over many.
"""

# %%
# Which pixels count
# ------------------
# Saliency follows the score of the predicted class back to the pixels. Averaged over noisy copies
# of the image, it has less grain. Nothing is trained here: the weights come with the package, and
# the faces are drawn.

import matplotlib.pyplot as plt
import numpy as np

from skfer import load_pretrained
from skfer.datasets import make_faces
from skfer.inspection import SaliencyDisplay

names = ["happy", "sad", "surprise"]
faces = make_faces(240, classes=names, occlusion=0, noise=0.01, pose=5, random_state=0)
pipeline = load_pretrained("fer2013")
some = faces.images[[np.flatnonzero(faces.labels == name)[0] for name in names]]

SaliencyDisplay.from_estimator(pipeline, some, smooth=20)
plt.show()

# %%
# Where something speaks for the class
# ------------------------------------
# Grad-CAM is coarser: it tells where the last feature map of the network holds what the class is
# made of. Any other class can be asked about, here "angry" of all three.

from skfer.inspection import GradCAMDisplay

_, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
for axis, target in zip(axes, (None, "angry"), strict=True):
    GradCAMDisplay.from_estimator(pipeline, some, target=target, ax=axis)
    axis.set_title("predicted" if target is None else f"for {target!r}")
plt.show()

# %%
# What happens without it
# -----------------------
# Occlusion asks no gradient: a patch covers one part after another, and the probability falls
# (red) or rises (blue). It takes any classifier, an SVM on descriptors too.

from skfer.inspection import OcclusionDisplay

OcclusionDisplay.from_estimator(pipeline, some)
plt.show()

# %%
# Which map to believe
# --------------------
# Take the image away, square by square, where a map is highest first: the sooner the probability
# falls, the better the map has found what counts. A map of chance is the measure of all others.
# The area below the curve is one number a map; `deletion_score` gives it at once.

from scipy.integrate import trapezoid

from skfer.inspection import (
    deletion_curve,
    grad_cam,
    occlusion_sensitivity,
    saliency,
)

few = faces.images[:40]
found = {
    "saliency": saliency(pipeline, few),
    "smooth saliency": saliency(pipeline, few, smooth=20),
    "Grad-CAM": grad_cam(pipeline, few),
    "occlusion": occlusion_sensitivity(pipeline, few),
}
images = found["saliency"].images
maps = {name: result.maps for name, result in found.items()}
maps["chance"] = np.random.default_rng(0).random(images.shape[:3])

_, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
for name, of_each in maps.items():
    shares, proba = deletion_curve(pipeline[-1], images, of_each, n_steps=16)
    mean = proba.mean(axis=0)
    area = trapezoid(mean, shares)
    axis.plot(shares, mean, label=f"{name}: {area:.2f}")
axis.set(xlabel="share of the image taken away", ylabel="probability of the class")
axis.legend(frameon=False, title="area below", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# What each part of the face is worth
# -----------------------------------
# Over many images: give every face the mouth of another, and see what accuracy is left. The frames
# show what counts as a region; boxes or masks of your own are taken as well.

from skfer.inspection import RegionImportanceDisplay

display = RegionImportanceDisplay.from_estimator(
    pipeline, faces.images, faces.labels, random_state=0
)
plt.show()

# %%
# And as a number: how much of the maps lies in each region, beside the area that it covers.

from skfer.inspection import region_weights

summary = region_weights(maps["Grad-CAM"])
for name, weight, area in zip(
    summary.regions, np.nanmean(summary.weights, axis=0), summary.areas[0], strict=True
):
    print(f"{name:6} {weight:.2f} of Grad-CAM on {area:.2f} of the image")
