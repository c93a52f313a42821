"""
==============================
Compare the accuracy of groups
==============================

`skfer.evaluation.group_report` computes the accuracy and the recall of each class for groups of
images, such as age bands, skin tones or cameras, and the gaps between them. Use it before you
apply a model to people. See :doc:`/guide/evaluation` and :doc:`/responsible_use`.
"""

# %%
# Predict
# -------
# The groups are faces with a faint and a strong expression. For your photos, pass any property
# that you know of each image.

import numpy as np

from skfer import load_pretrained
from skfer.datasets import make_faces

faces = make_faces(600, classes=["happy", "sad", "surprise"], random_state=0)
groups = np.select(
    [faces.intensity < 0.75, faces.intensity > 0.9], ["faint", "strong"], default="medium"
)
predicted = load_pretrained("fer2013").predict(faces.images)

# %%
# Compare
# -------
# Every accuracy has an interval, because small groups differ by chance.

from skfer.evaluation import group_report

report = group_report(faces.labels, predicted, groups=groups, random_state=0)
print(report.groups.query("`class` == 'all'").round(3).to_string(index=False))

# %%
# The gap is the largest difference between two groups. Its p-value is the share of random groups
# with a gap at least as large.

columns = ["class", "gap", "low", "high", "p_value", "lowest", "highest"]
print(report.gaps[columns].round(3).to_string(index=False))

# %%
# Plot the report
# ---------------

import matplotlib.pyplot as plt

from skfer.inspection import GroupDisplay

GroupDisplay(report).plot()
plt.show()

# %%
# The intervals overlap and no p-value is below 0.05: the 600 faces show no difference between the
# groups.
