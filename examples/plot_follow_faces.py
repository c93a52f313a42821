"""
========================================
Follow several faces from frame to frame
========================================

`skfer.video.follow_faces` reads a video frame by frame and gives each face a number that it keeps
while it moves. Use it to process a long video or a camera with your own code: only a few frames
are in memory at a time. See :doc:`/guide/video`.
"""

# %%
# Make a video of two people
# --------------------------
# Two drawn people move in front of a gray wall. The left one leaves the picture.

import tempfile
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from skfer.datasets import make_faces


def draw_person(expression, random_state):
    faces = make_faces(
        1, classes=[expression], scene=(200, 200), occlusion=0, pose=0, random_state=random_state
    )
    return faces.images[0]


happy, surprised = draw_person("happy", 3), draw_person("surprise", 8)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "two.mp4")
n_frames, rate, height, width = 40, 10, 240, 520
writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (width, height))
for number in range(n_frames):
    wall = np.full((height, width + 400, 3), 150, np.uint8)  # 200 hidden pixels on either side
    for person, x in ((happy, 230 - 6 * number), (surprised, 500 - 3 * number)):
        y = round(20 + 15 * np.sin(number / 5))
        wall[y : y + 200, max(x, 0) : max(x + 200, 0)] = person[:, max(-x, 0) :]
    writer.write(np.ascontiguousarray(wall[:, 200 : 200 + width, ::-1]))
writer.release()

# %%
# Read it frame by frame
# ----------------------
# Each frame has its faces, with number, box and smoothed probabilities. `annotated` returns the
# frame with the faces drawn.

from skfer import load_pretrained
from skfer.video import follow_faces

pictures, paths = [], {}
for frame in follow_faces(path, load_pretrained("fer2013")):
    if frame.index in (4, 12, 30):
        pictures.append((frame.timestamp, frame.annotated(bars=False)))
    for face in frame.faces:
        x, _, w, _ = face.box
        paths.setdefault(face.face_id, []).append((frame.timestamp, x + w / 2, face.expression))

figure, axes = plt.subplots(1, 3, figsize=(11, 2.1), layout="constrained")
for axis, (timestamp, picture) in zip(axes, pictures, strict=True):
    axis.imshow(picture)
    axis.set_title(f"{timestamp:.1f} s")
    axis.axis("off")
plt.show()

# %%
# Both faces keep their numbers, and number 1 is gone in the last frame.
#
# Plot the paths
# --------------
# The colors are those of the expressions.

from skfer.datasets import EXPRESSION_COLORS

figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for face_id, points in paths.items():
    times, centers, expressions = zip(*points, strict=True)
    axis.scatter(times, centers, 18, [EXPRESSION_COLORS[name] for name in expressions])
    label = f"face {face_id}: {expressions[-1]}"
    axis.annotate(label, (times[-1] + 0.08, centers[-1]), va="center")
axis.set(xlabel="seconds", ylabel="center of the face, pixels", xlim=(0, 5), ylim=(0, width))
plt.show()
folder.cleanup()

# %%
# The path of the left face ends where the face leaves the picture.
