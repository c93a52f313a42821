"""
============================================
Find the pixels that a prediction depends on
============================================

Three kinds of maps show which parts of an image determine a prediction. `deletion_curve` compares
their quality, and `region_importance` measures the regions of the face over many images. Use
them to check that a model looks at the face. See :doc:`/guide/evaluation`.
"""

# %%
# Saliency
# --------
# Saliency is the gradient of the score of the predicted class with respect to the pixels. The
# average over noisy copies of the image (`smooth`) is less noisy. The weights are the shipped ones.

import matplotlib.pyplot as plt
import numpy as np

from skfer import load_pretrained
from skfer.datasets import make_faces
from skfer.inspection import SaliencyDisplay

names = ["happy", "sad", "surprise"]
faces = make_faces(240, classes=names, occlusion=0, noise=0.01, pose=5, random_state=0)
pipeline = load_pretrained("fer2013")
examples = faces.images[[np.flatnonzero(faces.labels == name)[0] for name in names]]

SaliencyDisplay.from_estimator(pipeline, examples, smooth=20)
plt.show()

# %%
# Grad-CAM
# --------
# Grad-CAM weighs the last feature map of the network, and is coarser. `target` chooses another
# class, here "angry" for all three images.

from skfer.inspection import GradCAMDisplay

_, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
for axis, target in zip(axes, (None, "angry"), strict=True):
    GradCAMDisplay.from_estimator(pipeline, examples, target=target, ax=axis)
    axis.set_title("predicted" if target is None else f"for {target!r}")
plt.show()

# %%
# Occlusion
# ---------
# A patch covers one part of the image after another, and the probability falls (red) or rises
# (blue). This works with any classifier, such as an SVM.

from skfer.inspection import OcclusionDisplay

OcclusionDisplay.from_estimator(pipeline, examples)
plt.show()

# %%
# Compare the maps
# ----------------
# The image is deleted square by square, starting where a map is highest. The faster the probability
# falls, the better the map. A random map is the baseline. `deletion_score` returns the area below
# the curve.

from scipy.integrate import trapezoid

from skfer.inspection import (
    deletion_curve,
    grad_cam,
    occlusion_sensitivity,
    saliency,
)

sample = faces.images[:40]
explanations = {
    "saliency": saliency(pipeline, sample),
    "smooth saliency": saliency(pipeline, sample, smooth=20),
    "Grad-CAM": grad_cam(pipeline, sample),
    "occlusion": occlusion_sensitivity(pipeline, sample),
}
images = explanations["saliency"].images
maps = {name: result.maps for name, result in explanations.items()}
maps["random"] = np.random.default_rng(0).random(images.shape[:3])

_, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
for name, values in maps.items():
    shares, proba = deletion_curve(pipeline[-1], images, values, n_steps=16)
    mean = proba.mean(axis=0)
    area = trapezoid(mean, shares)
    axis.plot(shares, mean, label=f"{name}: {area:.2f}")
axis.set(xlabel="deleted share of the image", ylabel="probability of the class")
axis.legend(frameon=False, title="area below", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# Regions of the face
# -------------------
# Each region, such as the mouth, is permuted across faces, and the accuracy is measured. The
# frames show the regions; you can pass other boxes or masks.

from skfer.inspection import RegionImportanceDisplay

display = RegionImportanceDisplay.from_estimator(
    pipeline, faces.images, faces.labels, random_state=0
)
plt.show()

# %%
# The share of the Grad-CAM maps in each region, compared with its area:

from skfer.inspection import region_weights

summary = region_weights(maps["Grad-CAM"])
for name, weight, area in zip(
    summary.regions, np.nanmean(summary.weights, axis=0), summary.areas[0], strict=True
):
    print(f"{name:6} {weight:.2f} of Grad-CAM in {area:.2f} of the image")
