import gc
import random
import threading

import keras
import numpy as np
import pytest
from _utils import small_network

from skfer import FacialExpressionClassifier
from skfer._training import isolated_random_state


def initial_weights(seed):
    with isolated_random_state(seed):
        return small_network((16, 16, 1), 3).get_weights()


def test_isolated_random_state():
    expected = initial_weights(0)
    done = threading.Event()

    def draw():
        while not done.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        weights = initial_weights(0)
    finally:
        done.set()
        thread.join()
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    keras.utils.set_random_seed(1)
    first = keras.layers.Dense(3).kernel_initializer((2, 3))
    keras.utils.set_random_seed(1)
    initial_weights(0)
    np.testing.assert_array_equal(keras.layers.Dense(3).kernel_initializer((2, 3)), first)


def count_graphs():
    gc.collect()
    names = (getattr(o, "name", "") for o in gc.get_objects() if type(o).__name__ == "FuncGraph")
    return sum(name.startswith(("one_step_on_data", "Dataset_")) for name in names)


@pytest.mark.slow
def test_graphs_are_released():
    X = np.random.default_rng(0).integers(0, 255, (24, 16, 16), dtype=np.uint8)
    y = np.arange(24) % 2
    before = count_graphs()
    for seed in range(2):
        # little_vgg and Adam register custom gradients, which TensorFlow would keep.
        classifier = FacialExpressionClassifier("little_vgg", epochs=1, random_state=seed)
        classifier.fit(X, y).predict(X)
        del classifier
    assert count_graphs() == before
