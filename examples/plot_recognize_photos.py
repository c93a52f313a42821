"""
======================================
Recognize and annotate faces in photos
======================================

`skfer.recognize` finds all faces of all photos and returns a table with a row for each face.
`skfer.annotate` draws boxes and labels into a photo. Both use the shipped weights, so that nothing
is trained. See :doc:`/guide/own_photos` for folders, detectors and unreadable files.
"""

# %%
# Recognize the face in a portrait
# --------------------------------
# The photo is the portrait of the astronaut Eileen Collins that scikit-image contains. A path or
# a list of paths works in the same way.

import matplotlib.pyplot as plt
from skimage.data import astronaut

import skfer

model = skfer.load_pretrained("fer2013")
portrait = astronaut()
table = skfer.recognize([portrait], model)
print(table.iloc[0].to_string())

# %%
# Draw the result
# ---------------
# `annotate` returns a copy of the photo. Every expression has the same color in photos, plots and
# on the web page: `skfer.datasets.EXPRESSION_COLORS`.

from skfer.datasets import EXPRESSION_COLORS

row = table.iloc[0]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
left.imshow(skfer.annotate(portrait, table))
left.axis("off")
probabilities = row[list(model.classes_)].sort_values()
right.barh(
    probabilities.index,
    probabilities,
    color=[EXPRESSION_COLORS[name] for name in probabilities.index],
)
right.set(xlim=(0, 1), xlabel="probability")
plt.show()

# %%
# The face is found and classified as happy with a probability above 0.9.
#
# A photo with several people
# ---------------------------
# `skfer.datasets.make_faces` draws a picture with one person. Four of them side by side make a
# group.

import numpy as np

from skfer.datasets import make_faces

people = make_faces(4, classes=["happy", "surprise"], scene=True, occlusion=0, random_state=2)
group = np.hstack(people.images)
table = skfer.recognize([group], model)
print("drawn:", *people.labels)
columns = ["face", "x", "y", "width", "expression", "probability"]
print(table[columns].round(2).to_string(index=False))

figure, axis = plt.subplots(figsize=(11, 2.2), layout="constrained")
axis.imshow(skfer.annotate(group, table))
axis.axis("off")
plt.show()

# %%
# The faces of a photo are sorted from the largest to the smallest.
#
# Count expressions
# -----------------
# The table is a DataFrame, so that pandas summarizes many photos. A photo without a face keeps a
# row without an expression.

empty = np.full_like(people.images[0], 128)
table = skfer.recognize([portrait, group, empty], model)
print(table.groupby("image")["expression"].value_counts(dropna=False))
