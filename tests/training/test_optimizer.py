import keras
import numpy as np
import pytest

from skfer._training._phases import build_optimizer


def rates(schedule, steps, learning_rate=0.1):
    optimizer = build_optimizer("sgd", learning_rate, schedule=schedule, steps=steps)
    return np.array([float(optimizer._learning_rate(step)) for step in range(steps + 1)])


@pytest.mark.slow
@pytest.mark.parametrize(("schedule", "top"), [("cosine", 50), ("one_cycle", 300)])
def test_the_rate_rises_to_the_top_and_falls_to_nothing(schedule, top):
    course = rates(schedule, 1000)
    assert course.argmax() == top
    assert course.max() == pytest.approx(0.1)
    assert (np.diff(course[: top + 1]) > 0).all()
    assert (np.diff(course[top:]) < 0).all()
    assert course[-1] == pytest.approx(0, abs=1e-6)


def test_without_a_rate_the_top_is_the_optimisers_own():
    optimizer = build_optimizer("adam", None, schedule="cosine", steps=100)
    assert float(optimizer._learning_rate(5)) == pytest.approx(0.001)


def test_a_fit_of_one_step_has_a_rate():
    assert rates("cosine", 1)[0] > 0


def test_the_users_optimiser_keeps_its_rate():
    own = keras.optimizers.SGD(0.5)
    build_optimizer(own, 0.1, schedule="cosine", steps=10)
    assert float(own.learning_rate) == 0.5
