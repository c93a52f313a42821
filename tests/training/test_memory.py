"""A fit leaves nothing of its network in the process once it is let go of."""

import gc

import numpy as np

from skfer import FacialExpressionClassifier


def graphs_of_fits():
    gc.collect()
    names = (getattr(o, "name", "") for o in gc.get_objects() if type(o).__name__ == "FuncGraph")
    return [name for name in names if name.startswith(("one_step_on_data", "Dataset_"))]


def test_no_graph_outlives_its_classifier():
    X = np.random.default_rng(0).integers(0, 255, (24, 16, 16), dtype=np.uint8)
    y = np.arange(24) % 2
    before = len(graphs_of_fits())
    for seed in range(2):
        # little_vgg and Adam: both register custom gradients, which TensorFlow would keep.
        classifier = FacialExpressionClassifier("little_vgg", epochs=1, random_state=seed)
        classifier.fit(X, y).predict(X)
        del classifier
    assert len(graphs_of_fits()) == before
