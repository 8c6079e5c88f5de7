"""A step lowers the loss, an epoch reports what it cost, and a loss that is not finite stops the run."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from tests.unit.training.learning.learning_support import SIZE, images, no_objects, target  # noqa: E402
from training.detectors.architectures.gfl import GflEfficientNetLite  # noqa: E402
from training.detectors.registry import build  # noqa: E402
from training.learning.averaging import MovingAverage  # noqa: E402
from training.learning.engine import NonFiniteLossError, build_optimiser, train_epoch  # noqa: E402
from training.learning.schedule import Schedule  # noqa: E402

CPU = torch.device("cpu")
CONSTANT = Schedule(1e-3, 1, 1000)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("ssdlite", 6, SIZE)


class SteepSlope(torch.nn.Module):
    """A detector in name only: one weight, whose loss falls by 1,000 for each unit."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 2))

    def losses(self, images, targets):
        return {"slope": 1000 * self.weight.sum()}


def train(model, batches, step=0):
    average = MovingAverage(model, 0.9, CONSTANT)
    return train_epoch(model, average, build_optimiser(model, 1e-3, 0.01), CONSTANT, batches, step, CPU)


def test_an_image_without_boxes_trains(model):
    losses = model.losses(images(), [no_objects(), no_objects()])
    total = sum(losses.values())
    assert torch.isfinite(total)
    assert total > 0
    total.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.head.parameters())


def test_a_box_survives_the_encoding_round_trip(model):
    anchors = model.get_buffer("anchors")
    boxes = torch.rand(len(anchors), 4).sort(dim=1).values
    boxes = torch.stack([boxes[:, 0], boxes[:, 1], boxes[:, 2] + 0.01, boxes[:, 3] + 0.01], dim=1).clamp(0, 1)
    decoded = model._decode(model._coder.encode_single(boxes, anchors)[None])[0]
    assert torch.allclose(decoded, boxes, atol=1e-4)


def test_a_batch_equals_its_singles(model):
    model.eval()
    with torch.no_grad():
        boxes, scores = model(images(3))
        for index in range(3):
            single_boxes, single_scores = model(images(3)[index : index + 1])
            assert torch.allclose(single_boxes[0], boxes[index], atol=1e-4)
            assert torch.allclose(single_scores[0], scores[index], atol=1e-4)


def test_a_few_steps_on_one_batch_lower_the_loss():
    torch.manual_seed(0)
    model = GflEfficientNetLite("gfl_test", "test_efficientnet", 6, 64)
    batches = [(images(2, 64), [target()] * 2)] * 2
    first = train(model, batches)
    second = train(model, batches, first.step)
    assert second.step == 4
    assert second.loss < 0.9 * first.loss


def test_a_steep_gradient_is_clipped_before_the_step():
    model = SteepSlope()
    train(model, [(images(1, 8), [no_objects()])])
    assert float(model.weight.grad.norm()) == pytest.approx(10.0)


def test_without_a_gradient_only_matrices_and_kernels_decay(model):
    optimiser = build_optimiser(model, 0.1, 0.5)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, value in model.named_parameters():
        assert torch.allclose(value, before[name] * (0.95 if value.ndim > 1 else 1.0)), name


def test_the_time_spent_waiting_for_data_is_reported():
    def slow():
        time.sleep(0.2)
        yield images(1, 8), [no_objects()]

    result = train(SteepSlope(), slow())
    assert 0.2 <= result.waiting < result.seconds


def test_a_non_finite_loss_stops_with_the_step_and_the_parts(model):
    with torch.no_grad():
        next(model.head.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"nan at step 3.*classes"):
        train(model, [(images(), [target()] * 2)], step=3)


def test_the_first_layers_of_the_small_data_family_stay_as_they_were():
    detector = build("fcos_efficientnet_lite0", 2, 64)
    frozen = [name for name, parameter in detector.named_parameters() if not parameter.requires_grad]
    assert frozen
    assert all(name.startswith("backbone.body.") for name in frozen)
    detector.losses(images(size=64), [target()] * 2)["classification"].backward()
    assert detector.get_parameter(frozen[0]).grad is None
    assert detector.head.classification_head.cls_logits.weight.grad is not None
