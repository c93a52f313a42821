"""
=========================================
Plot the expressions of a video over time
=========================================

`skfer.video.recognize_video` follows the faces of a video and returns a table with a row for each
face of each frame. `skfer.video.TimelineDisplay` plots the probabilities of the expressions over
time. Use it to find the moments at which an expression changes. See :doc:`/guide/video`.
"""

# %%
# Make a video
# ------------
# The video has one drawn person, whose expression changes every 1.5 seconds and who moves to and
# fro. `make_faces` draws the same person for the same `random_state`.

import tempfile
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from skfer.datasets import make_faces

script = ["sad", "happy", "surprise", "sad"]
scenes = [
    make_faces(1, classes=[name], scene=(240, 360), occlusion=0, pose=0, random_state=3).images[0]
    for name in script
]
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "talk.mp4")
rate, seconds = 12, 1.5
writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (320, 240))
for number in range(int(rate * seconds * len(script))):
    scene = scenes[int(number / (rate * seconds))]
    shift = round(20 + 20 * np.sin(number / 8))
    writer.write(scene[:, shift : shift + 320, ::-1])
writer.release()

# %%
# Follow the face
# ---------------
# ``every=2`` detects faces in every second frame. The probabilities are smoothed over about 0.2
# seconds.

from skfer import load_pretrained
from skfer.video import TimelineDisplay, recognize_video

model = load_pretrained("fer2013")
report = recognize_video(path, model, every=2, smoothing=0.2)
print(report.n_frames, "frames,", report.n_faces, "face")

TimelineDisplay.from_table(report.faces)
plt.show()

# %%
# The strip below the curves has the color of the most probable expression. It changes a moment
# after the face does, because of the smoothing.
#
# Summarize the table
# -------------------
# The seconds of each expression:

print((report.faces["expression"].value_counts() / rate).round(1).to_string())

# %%
# The moments at which the most probable expression changes:

table = report.faces.dropna(subset="face_id")
changes = table[table["expression"] != table["expression"].shift()]
print(changes[["timestamp", "expression", "probability"]].round(2).to_string(index=False))
folder.cleanup()
