"""
===============================================
Export a model to ONNX and compare the backends
===============================================

`skfer.export_onnx` writes a fitted classifier or Pipeline as one ONNX file. ONNX Runtime runs it
from many languages, without scikit-learn or TensorFlow. Use it to deploy a model. See
:doc:`/guide/deploy`.
"""

# %%
# Export a model
# --------------
# The graph resizes and scales the crops, and computes the probabilities. Face detection is not part
# of it.

import json
import tempfile
from pathlib import Path

import onnxruntime

import skfer

model = skfer.load_pretrained("fer2013")
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "faces.onnx")
skfer.export_onnx(model, path)

session = onnxruntime.InferenceSession(path)
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
print(f"{path.stat().st_size / 1e6:.1f} MB, classes {', '.join(classes)}")
for tensor in (*session.get_inputs(), *session.get_outputs()):
    print(tensor.name, tensor.type, tensor.shape)

# %%
# Run it
# ------
# The input is a crop of a face of any size. Its probabilities are those of the Pipeline.

import numpy as np
from skimage.data import astronaut

crop = model["cropper"].transform([astronaut()])[0]
[probabilities] = session.run(None, {"images": np.atleast_3d(crop)[None]})
expected = model.predict_proba([astronaut()])
print(classes[probabilities[0].argmax()])
print(f"largest difference of a probability: {abs(probabilities - expected).max():.0e}")
folder.cleanup()

# %%
# Compare float and 8-bit weights
# -------------------------------
# ``backend="onnx-int8"`` predicts with weights of 8 bits, which is faster on most processors.

import time

import matplotlib.pyplot as plt

from skfer.datasets import make_faces

crops = make_faces(100, random_state=0).images
backends = ["onnx", "onnx-int8"]
proba, seconds = {}, {}
for backend in backends:
    model.set_params(classifier__backend=backend)
    model.predict_proba(crops[:1])  # the first call prepares the backend
    start = time.perf_counter()
    proba[backend] = model.predict_proba(crops)
    seconds[backend] = time.perf_counter() - start
    print(f"{backend}: {1000 * seconds[backend] / len(crops):.1f} ms for each face")

same = np.mean(proba["onnx"].argmax(axis=1) == proba["onnx-int8"].argmax(axis=1))
figure, axis = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
axis.plot([0, 1], [0, 1], color="0.6", linestyle=":")
axis.plot(proba["onnx"].ravel(), proba["onnx-int8"].ravel(), ".", alpha=0.5)
axis.set(xlabel="probability, float", ylabel="probability, 8 bits", aspect="equal")
axis.set_title(f"same label for {same:.0%} of the faces")
plt.show()

# %%
# The points are close to the diagonal: 8 bits change most probabilities only a little.
