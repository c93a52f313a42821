"""
=========================================
Find copies between training and test set
=========================================

If a test set shares images or people with the training set, the accuracy is too high.
`skfer.evaluation.leak_audit` finds copies, near copies and mirrored copies, also between files of
different folders, and groups such as people or clips that are in both sets. Use it before you
trust a test accuracy. See :doc:`/guide/evaluation`.
"""

# %%
# Two folders with copies
# -----------------------
# Of the images in the folder "test", two are in the folder "train" as well: one was saved again as
# JPEG, the other one was mirrored.

import tempfile
from pathlib import Path

import cv2
import matplotlib.pyplot as plt

from skfer.datasets import load_image_folder, make_faces
from skfer.evaluation import leak_audit
from skfer.inspection import LeakDisplay

faces = make_faces(60, classes=["happy", "sad"], random_state=0)
folder = tempfile.TemporaryDirectory()
for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
    file = Path(folder.name, "train" if number < 45 else "test", label, f"{number}.png")
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)
copies = Path(folder.name, "test", faces.labels[0])
cv2.imwrite(str(copies / "compressed.jpg"), faces.images[0], [cv2.IMWRITE_JPEG_QUALITY, 60])
cv2.imwrite(str(copies / "mirrored.png"), faces.images[1][:, ::-1])

train = load_image_folder(Path(folder.name, "train"))
test = load_image_folder(Path(folder.name, "test"))
audit = leak_audit(train.paths, test.paths, y_train=train.labels, y_test=test.labels)
print(audit.counts)

LeakDisplay.from_audit(audit, train.paths, test.paths)
plt.show()

# %%
# Each column is a pair, with the test image above. Both copies are found, and the third pair shows
# two people who were drawn alike. Look at the pairs before you remove images.
# ``audit.leaked`` marks the test images that are not new; ``test.paths[~audit.leaked]`` are.

print(f"{len(test.paths)} test images, {(~audit.leaked).sum()} of them new")
folder.cleanup()

# %%
# Several images of each person
# -----------------------------
# Frames of one clip resemble each other. Here each of 50 people has six images with other noise,
# and the labels are random, so that nothing can be learnt: the true accuracy is 0.5.

import numpy as np

people = np.repeat(np.arange(50), 6)
rng = np.random.default_rng(0)
noise = rng.normal(0, 10, (len(people), 48, 48))
X = np.clip(faces.images[people] + noise, 0, 255).astype(np.uint8)
y = rng.permutation(["happy", "sad"] * 25)[people]

# %%
# Images of one person in training and test give a high accuracy, with any model.
# `StratifiedGroupKFold` keeps the images of a person together.

from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skfer import HOGDescriptor

svm = make_pipeline(HOGDescriptor(), SVC())
at_random = StratifiedKFold(5, shuffle=True, random_state=0)
together = StratifiedGroupKFold(5, shuffle=True, random_state=0)
scores = {
    "images at random": cross_val_score(svm, X, y, cv=at_random),
    "people together": cross_val_score(svm, X, y, groups=people, cv=together),
}
figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
for row, (name, values) in enumerate(scores.items()):
    print(f"{name}: accuracy {values.mean():.2f}")
    axis.plot(values, [row] * len(values), "o", alpha=0.6)
axis.axvline(0.5, color="0.5", linestyle=":")
axis.set(yticks=[0, 1], yticklabels=scores, ylim=(1.5, -0.5), xlim=(0, 1.02))
axis.set_xlabel("accuracy of each fold (dotted: chance)")
plt.show()

# %%
# At random, the accuracy is close to 1, although there is nothing to learn. With people together,
# it is near chance.
#
# With groups, the audit finds the shared people of a split:

half = rng.permutation(len(X))
train, test = half[:150], half[150:]
audit = leak_audit(X[train], X[test], groups_train=people[train], groups_test=people[test])
print(audit.counts)
