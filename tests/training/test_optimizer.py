import keras
import numpy as np
import pytest

from skfer._training._phases import build_optimizer


def rates(schedule, steps, learning_rate=0.1):
    optimizer = build_optimizer("sgd", learning_rate, schedule=schedule, steps=steps)
    return np.array([float(optimizer._learning_rate(step)) for step in range(steps + 1)])


@pytest.mark.slow
def test_schedules_and_rates():
    for schedule, top in [("cosine", 50), ("one_cycle", 300)]:
        values = rates(schedule, 1000)
        assert values.argmax() == top
        assert values.max() == pytest.approx(0.1)
        assert (np.diff(values[: top + 1]) > 0).all()
        assert (np.diff(values[top:]) < 0).all()
        assert values[-1] == pytest.approx(0, abs=1e-6)
    optimizer = build_optimizer("adam", None, schedule="cosine", steps=100)
    assert float(optimizer._learning_rate(5)) == pytest.approx(0.001)
    assert rates("cosine", 1)[0] > 0
    optimizer = keras.optimizers.SGD(0.5)
    build_optimizer(optimizer, 0.1, schedule="cosine", steps=10)
    assert float(optimizer.learning_rate) == 0.5
