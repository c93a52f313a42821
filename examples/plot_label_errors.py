"""
=================
Find wrong labels
=================

Some labels of every data set are wrong. `skfer.evaluation.cross_val_label_report` ranks all labels
by how doubtful they are and flags those that are probably wrong. Use it to decide which images to
look at again. See :doc:`/guide/evaluation`.
"""

# %%
# Data with wrong labels
# ----------------------
# Twelve of 300 labels are replaced by wrong ones.

import matplotlib.pyplot as plt
import numpy as np

from skfer.datasets import make_faces

faces = make_faces(300, classes=["happy", "sad", "surprise"], noise=0.02, random_state=0)
rng = np.random.default_rng(0)
wrong = rng.choice(len(faces.labels), 12, replace=False)
labels = faces.labels.copy()
for row in wrong:
    labels[row] = rng.choice([name for name in faces.target_names if name != labels[row]])

# %%
# Rank the labels
# ---------------
# Each label is compared with the prediction of a model that was fitted on other images. Any
# classifier with probabilities will do; this one uses the features of the shipped network.

from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfer import ExpressionEmbedder, load_pretrained
from skfer.evaluation import cross_val_label_report

embedder = ExpressionEmbedder(FrozenEstimator(load_pretrained("fer2013")))
model = make_pipeline(embedder, StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
report = cross_val_label_report(model, faces.images, labels)
print(report.head(8).round(2).to_string(index=False))

flagged = report.loc[report["issue"], "row"]
print(f"{len(flagged)} labels flagged, {np.isin(flagged, wrong).sum()} of the 12 wrong ones")

# %%
# Look at the flagged images
# --------------------------
# A row shows the images with the given label on the left. The suggested label is below each.

from skfer.inspection import LabelReportDisplay

LabelReportDisplay.from_report(report, faces.images)
plt.show()

# %%
# All flagged labels are wrong, and no wrong label is missed. Photos are harder, so that some flags
# are false: correct a label only after you have looked at the image.
#
# Estimate the share of wrong labels
# ----------------------------------
# `label_noise` needs the probabilities and no look at the images.

from sklearn.model_selection import cross_val_predict

from skfer.evaluation import label_noise

proba = cross_val_predict(model, faces.images, labels, method="predict_proba")
noise = label_noise(labels, proba)
print(noise.round(3))
share = 1 - np.trace(noise)
print(f"estimated share of wrong labels: {share:.3f}, true share: {12 / 300:.3f}")
