import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import batch_norm, conv2d, interpolate, mse_loss

from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.convolutional import Readouts, initial_seed, train_readouts
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.stimuli.patterns import make_pattern
from posinfo.work import Work


@pytest.fixture
def features():
    return np.random.default_rng(0).random((12, 8, 8, 5)).astype(np.float16)


@pytest.fixture
def targets():
    return torch.stack([make_pattern(name, (24, 24)) for name in ("horizontal", "gaussian")])


def train(features, targets, config, seeds=(0, 1), dtype=torch.float32):
    array = FeatureArray(features)
    return train_readouts(array, targets, list(seeds), config, Work(dtype=dtype))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_prediction_has_the_stated_grid(protocol, layers, kernel_size, padding):
    config = protocol.model_copy(
        update={"layers": layers, "kernel_size": kernel_size, "padding": padding}
    )
    maps = Readouts(5, [0, 1, 2], config).eval()(torch.rand(2, 5, 8, 8))
    assert maps.shape == (2, 3, config.grid(8), config.grid(8))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("hidden_width", [4, "same"])
def test_head_alone_learns_what_it_learns_beside_others(
    features, targets, protocol, layers, hidden_width
):
    config = protocol.model_copy(update={"layers": layers, "hidden_width": hidden_width})
    together, history = train(features, targets, config)
    for head in (0, 1):
        alone, own = train(features, targets[head : head + 1], config, seeds=[head])
        shown = torch.from_numpy(features).float().permute(0, 3, 1, 2)
        torch.testing.assert_close(
            together(shown)[:, head], alone(shown)[:, 0], rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(history[:, head], own[:, 0], rtol=1e-4, atol=1e-6)


def test_training_equals_the_released_procedure(features, targets, protocol):
    """Conv, BatchNorm, sigmoid, upsampling and MSE at full size, one head, plain PyTorch."""
    ours, history = train(features, targets[:1], protocol, seeds=[3])
    head = nn.Sequential(nn.Conv2d(5, 1, 3), nn.BatchNorm2d(1), nn.Sigmoid())
    nn.init.zeros_(head[0].bias)
    nn.init.xavier_uniform_(head[0].weight, generator=torch.Generator().manual_seed(3))
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    order = torch.Generator().manual_seed(0)
    batches = [b for _ in range(3) for b in torch.randperm(12, generator=order).split(4)][:8]
    losses = []
    for step, batch in enumerate(batches):
        optimiser.param_groups[0]["lr"] = 0.1 if step < 5 else 0.01  # two thirds of 8 steps
        shown = torch.from_numpy(features[batch.sort().values]).float().permute(0, 3, 1, 2)
        full = interpolate(head(shown), (24, 24), mode="bilinear")[:, 0]
        optimiser.zero_grad()
        loss = mse_loss(full, targets[0].expand_as(full))
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    shown = torch.from_numpy(features).float().permute(0, 3, 1, 2)
    torch.testing.assert_close(ours(shown), head.eval()(shown), rtol=1e-4, atol=1e-5)
    epochs = torch.stack([torch.stack(losses[i : i + 3]).mean() for i in (0, 3, 6)])
    torch.testing.assert_close(history[:, 0], epochs, rtol=1e-4, atol=1e-6)


def test_layers_have_batch_norms_and_relus_between_them(features, protocol):
    config = protocol.model_copy(update={"layers": 3})
    readouts = Readouts(5, [1], config)
    shown = torch.from_numpy(features).float().permute(0, 3, 1, 2)
    maps = shown
    for layer, (convolution, norm) in enumerate(
        zip(readouts.convolutions, readouts.norms, strict=True)
    ):
        maps = conv2d(maps, convolution.weight, convolution.bias)
        maps = batch_norm(maps, None, None, norm.weight, norm.bias, training=True)
        maps = maps.clamp(min=0) if layer < 2 else 1 / (1 + (-maps).exp())
    torch.testing.assert_close(readouts(shown), maps)


def test_convolutions_alone_are_in_the_precision_of_the_work(features, protocol):
    readouts = Readouts(5, [1], protocol).eval()
    readouts.norms[0].running_mean.fill_(0.1)
    shown = torch.from_numpy(features).permute(0, 3, 1, 2).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        maps = readouts(shown)
    convolution = readouts.convolutions[0]
    rounded = conv2d(shown, convolution.weight.bfloat16(), convolution.bias.bfloat16())
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps, readouts.norms[0](rounded.float()).sigmoid())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("head", "paper"), ("kernel_size", 5), ("layers", 2), ("hidden_width", "same"),
        ("padding", 1), ("loss", "half_mse"), ("steps", 9), ("epochs", 3), ("lr", 0.2),
        ("momentum", 0.8), ("weight_decay", 0.0), ("batch_size", 5),
    ],
)  # fmt: skip
def test_readout_depends_on_each_of_its_settings(protocol, field, value):
    assert protocol.model_copy(update={field: value}).settings != protocol.settings


def test_readout_depends_on_the_settings_of_ridge_where_it_is_solved(protocol):
    ridge = protocol.ridge.model_copy(update={"penalties": (1.0,)})
    assert protocol.model_copy(update={"ridge": ridge}).settings == protocol.settings
    solved = protocol.model_copy(update={"head": "ridge"})
    assert solved.model_copy(update={"ridge": ridge}).settings != solved.settings
    assert solved.model_copy(update={"kernel_size": 5}).settings != solved.settings
    assert solved.model_copy(update={"lr": 0.2}).settings == solved.settings


def test_same_seed_gives_the_same_bits(features, targets, protocol):
    for dtype in (torch.float32, torch.bfloat16):
        (first, one), (again, two) = (
            train(features, targets, protocol, dtype=dtype) for _ in range(2)
        )
        assert torch.equal(one, two)
        for name, tensor in first.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name])


def test_steps_are_counted(features, targets, protocol):
    totals, done = [], []
    work = Work(on_total=totals.append, on_progress=done.append)
    train_readouts(FeatureArray(features), targets, [0, 1], protocol, work)
    assert totals == [8] and done == [1] * 8


def test_position_blind_features_give_the_floor(targets, protocol):
    constant = np.ones((12, 8, 8, 5), dtype=np.float16)
    config = protocol.model_copy(update={"steps": 200})
    _, history = train(constant, targets, config)
    variance = targets.flatten(1).var(dim=1, correction=0)
    torch.testing.assert_close(history[-1], variance, rtol=0.01, atol=1e-4)


def test_features_that_are_coordinates_are_read_out(protocol):
    ramp = np.linspace(-1, 1, 8, dtype=np.float16)
    features = np.broadcast_to(ramp[None, None, :, None], (12, 8, 8, 1)).copy()
    config = protocol.model_copy(update={"steps": 300, "kernel_size": 1})
    _, history = train(features, make_pattern("horizontal", (24, 24))[None], config, seeds=[0])
    assert history[-1].item() < 0.002


def test_epochs_count_whole_batches(features, targets, protocol):
    config = protocol.model_copy(update={"steps": None, "epochs": 2, "batch_size": 5})
    _, history = train(features, targets, config)
    assert config.total_steps(len(features)) == 4
    assert history.shape == (2, 2)


def test_state_survives_the_round_trip(features, targets, protocol):
    readouts, _ = train(features, targets, protocol)
    again = Readouts(5, [0, 0], protocol).eval()
    again.load_state_dict(readouts.state_dict())
    shown = torch.from_numpy(features).float().permute(0, 3, 1, 2)
    assert torch.equal(readouts(shown), again(shown))


def test_layers_of_one_width_start_differently(protocol):
    config = protocol.model_copy(update={"layers": 3, "hidden_width": "same"})
    first, second, _ = Readouts(5, [0], config).convolutions
    assert first.weight.shape == second.weight.shape
    assert not torch.equal(first.weight, second.weight)


def test_initial_seeds_differ_by_pattern_and_seed():
    seeds = {initial_seed(p, s) for p in ("horizontal", "vertical") for s in range(3)}
    assert len(seeds) == 6


def test_bad_lengths_are_refused(protocol):
    fields = protocol.model_dump()
    for steps, epochs in ((None, None), (3, 3)):
        with pytest.raises(ValidationError) as raised:
            ReadoutConfig(**{**fields, "steps": steps, "epochs": epochs})
        assert f"exactly one of steps and epochs must be set; got steps {steps}" in str(
            raised.value
        )


def test_too_few_images_are_refused(features, targets, protocol):
    with pytest.raises(ValueError) as raised:
        train(features[:3], targets, protocol)
    assert str(raised.value) == (
        "3 train images are fewer than readout.batch_size 4: "
        "use more photographs or a smaller batch"
    )


def test_kernel_larger_than_features_is_refused(protocol):
    with pytest.raises(
        ValueError, match="^1 layers of kernel_size 3 with padding 0 leave 1 of 3 px"
    ):
        protocol.grid(3)


def test_half_of_the_loss_is_half_of_it_and_half_of_its_gradient(features, targets, protocol):
    one = protocol.model_copy(update={"steps": 1})
    half = one.model_copy(update={"loss": "half_mse"})
    (full, loss), (halved, half_loss) = (train(features, targets, c) for c in (one, half))
    torch.testing.assert_close(half_loss, loss / 2)
    start = Readouts(5, [0, 1], one)
    for name, weight in start.named_parameters():
        decay = 1 - 0.1 * 1e-4
        moved = full.get_parameter(name) - decay * weight
        moved_half = halved.get_parameter(name) - decay * weight
        torch.testing.assert_close(moved_half, moved / 2, rtol=1e-3, atol=1e-7)


def test_head_of_the_paper_is_a_convolution_alone(features, targets, protocol):
    config = protocol.model_copy(update={"head": "paper", "lr": 0.01, "steps": 100})
    readouts, history = train(features, targets, config)
    shown = torch.from_numpy(features).float().permute(0, 3, 1, 2)
    convolution = readouts.convolutions[0]
    assert torch.equal(readouts(shown), convolution(shown))
    assert list(readouts.state_dict()) == ["convolutions.0.weight", "convolutions.0.bias"]
    assert (history[-1] < history[0]).all()


def test_step_that_is_too_large_says_so(features, targets, protocol):
    config = protocol.model_copy(update={"head": "paper", "lr": 1e12, "steps": 20})
    with pytest.raises(FloatingPointError, match=r"in step \d+: lower the learning rate$"):
        train(features, targets, config)
