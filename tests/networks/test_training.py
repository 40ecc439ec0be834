import pytest
import torch
from torch import nn

from posinfo.networks.training import fit


def setup(lr=0.1):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimiser = torch.optim.SGD(model.parameters(), lr)
    return model, optimiser, torch.optim.lr_scheduler.StepLR(optimiser, 1, 0.5)


def test_steps_follow_the_schedule():
    model, optimiser, schedule = setup()
    history = fit(model, [torch.ones(1)] * 2, lambda x: model(x).square(), optimiser, schedule)
    # w: 2 -> 2 - .1 * 4 = 1.6 -> 1.6 - .05 * 3.2 = 1.44
    assert model.weight.item() == pytest.approx(1.44)
    torch.testing.assert_close(history, torch.tensor([[4.0], [2.56]]))


def test_progress_is_told_after_each_step():
    model, optimiser, schedule = setup()
    done = []
    fit(model, [torch.ones(1)] * 3, lambda x: model(x).square(), optimiser, schedule, done.append)
    assert done == [1, 1, 1]


def test_diverging_loss_stops_with_its_step():
    model, optimiser, schedule = setup(lr=1e30)
    with pytest.raises(
        FloatingPointError, match=r"^the loss is \[inf\] in step 2: lower the learning"
    ):
        fit(model, [torch.ones(1)] * 9, lambda x: model(x).square(), optimiser, schedule)
