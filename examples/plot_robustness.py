"""
=====================================================
Measure the robustness to dark, blurred or bad photos
=====================================================

`skfer.evaluation.robustness_report` scores a fitted model on images that are darkened, blurred,
rotated, compressed and so on, at increasing strength. Use it before you rely on a model for worse
photos than those of the test set. See :doc:`/guide/evaluation`.
"""

# %%
# What the corruptions look like
# ------------------------------
# `corrupt_images` applies one corruption. The strongest of its five levels is shown.

import matplotlib.pyplot as plt

from skfer.datasets import make_faces
from skfer.evaluation import CORRUPTIONS, corrupt_images

faces = make_faces(200, classes=["happy", "sad", "surprise"], random_state=0)

figure, axes = plt.subplots(2, 4, figsize=(8, 4.6), layout="constrained")
for axis, (name, corruption) in zip(axes.flat, CORRUPTIONS.items(), strict=True):
    level = corruption.levels[-1]
    axis.imshow(corrupt_images(faces.images[:1], name, level)[0], cmap="gray", vmin=0, vmax=255)
    axis.set_title(f"{name}\n{level:g} {corruption.unit}", fontsize="small")
    axis.axis("off")
plt.show()

# %%
# Measure the accuracy
# --------------------
# A dict chooses corruptions and levels. The Pipeline receives the changed images, so that failures
# of the face detector count as well.

from skfer import load_pretrained
from skfer.evaluation import robustness_report
from skfer.inspection import RobustnessDisplay

model = load_pretrained("fer2013")
report = robustness_report(
    model,
    faces.images,
    faces.labels,
    corruptions={
        "low_light": [0.5, 0.25, 0.1],
        "blur": [0.02, 0.04, 0.08],
        "occlusion": [0.1, 0.2, 0.4],
        "rotation": [15, 30, 45],
    },
)
columns = ["corruption", "level", "accuracy", "accuracy_change"]
print(report[columns].round(2).to_string(index=False))

# %%
# Plot the report
# ---------------
# The dotted line is the accuracy on the unchanged images.

RobustnessDisplay(report).plot()
plt.show()

# %%
# Low light and a rotation of 15 degrees change little. Covering 40 % of the image costs a third of
# the accuracy, and with strong blur the model is worse than chance.
