"""The learning rate follows its schedule, and the average of the weights follows the model."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.learning.averaging import MovingAverage  # noqa: E402
from training.learning.schedule import Schedule  # noqa: E402

DECAY = 0.9


@pytest.fixture
def model():
    model = torch.nn.BatchNorm1d(3)
    torch.nn.init.zeros_(model.weight)
    return model


def share_taken(model, step):
    """How far one update at `step` moves the average from the old weights, 0, to the new ones, 1."""
    average = MovingAverage(model, DECAY, Schedule(1e-3, 1, 1_000_000))
    with torch.no_grad():
        model.weight.fill_(1)
    average.update(model, step)
    return average.model.weight[0].item()


def test_the_learning_rate_warms_up_then_falls():
    schedule = Schedule(peak=1.0, warm_up=5, total=50)
    rates = [schedule.at(step) for step in range(50)]
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert max(rates) == 1.0


def test_in_a_cycle_the_learning_rate_falls_again_from_half_its_peak():
    schedule = Schedule(peak=1.0, warm_up=5, total=50, cycle=10)
    first, second = ([schedule.at(step) for step in range(start, start + 10)] for start in (50, 60))
    assert first == second == sorted(first, reverse=True)
    assert first[0] == 0.5
    assert schedule.at(49) < first[-1] < 0.05


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.9), (8, 0.5), (71, 0.1 * 10 / 9), (80, 0.1), (10_000, 0.1)]
)
def test_the_average_takes_most_of_the_first_weights_and_its_decay_limits_the_later_ones(model, step, share):
    assert share_taken(model, step) == pytest.approx(share, rel=1e-5)


def test_the_average_continues_where_a_checkpoint_left_it(model):
    average, resumed = (MovingAverage(model, DECAY, Schedule(1e-3, 1, 100)) for _ in range(2))
    for step in range(4):
        if step == 2:
            resumed.model.load_state_dict(average.model.state_dict())
        with torch.no_grad():
            model.weight.fill_(step)
        average.update(model, step)
        if step >= 2:
            resumed.update(model, step)
    assert torch.equal(resumed.model.weight, average.model.weight)


def test_the_average_keeps_counters_whole_and_follows_statistics(model):
    average = MovingAverage(model, DECAY, Schedule(1e-3, 1, 100))
    model.train()(torch.rand(4, 3) + 5)
    average.update(model, 0)
    assert average.model.num_batches_tracked.item() == 1
    torch.testing.assert_close(average.model.running_mean, 0.9 * model.running_mean)


def test_the_average_becomes_the_mean_of_the_weights_at_the_ends_of_cycles(model):
    average = MovingAverage(model, DECAY, Schedule(1e-3, 1, total=4, cycle=2))
    history = []
    for step in range(10):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model, step)
        history.append(average.model.weight[0].item())
    assert 0 < history[3] < 3  # it lags behind
    assert history[4] == history[3]  # within a cycle it stays
    assert history[5:] == [5.0, 5.0, 6.0, 6.0, 7.0]
