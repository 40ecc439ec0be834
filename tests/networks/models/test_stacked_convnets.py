import pytest
import torch
from pydantic import ValidationError
from torch import nn

from posinfo.networks.models.stacked_convnets import (
    CONVOLUTION_PADDINGS,
    FULL,
    ConvNetConfig,
    StackedConvNets,
)
from posinfo.networks.surgery.padding import repad
from posinfo.stimuli.red_green import red_green

SEEDS = (0, 3, 7)


def config(padding="zero", **changes):
    settings = {"channels": (8, 16, 8), "strides": (1, 2, 2), "kernel_size": 3, "padding": padding}
    return ConvNetConfig(**{**settings, **changes})


def plain(of: ConvNetConfig, seed: int) -> nn.Module:
    """The same network as anyone would write it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        padding = 2 if of.padding == FULL else 1
        layers = [
            nn.Conv2d(a, b, 3, stride, padding, bias=False)
            for a, b, stride in zip((3, 8, 16), of.channels, of.strides, strict=True)
        ]
        head = nn.Linear(8, 2)
    with_relu = [part for layer in layers for part in (layer, nn.ReLU())]
    maps = nn.Sequential(*with_relu)
    maps = maps if of.padding == FULL else repad(maps, of.padding)
    return nn.Sequential(maps, nn.AdaptiveMaxPool2d(1), nn.Flatten(), head)


@pytest.mark.parametrize("padding", CONVOLUTION_PADDINGS)
def test_logits_are_those_of_networks_alone(padding, generator):
    images = torch.rand(4, 3, 20, 20, generator=generator)
    stacked = StackedConvNets(config(padding), 3, 2, SEEDS)
    with torch.no_grad():
        expected = torch.stack([plain(config(padding), seed)(images) for seed in SEEDS], 1)
        torch.testing.assert_close(stacked(images)[1], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding", CONVOLUTION_PADDINGS)
def test_all_at_once_are_what_they_are_one_by_one(padding, generator, monkeypatch):
    """As on a GPU, by vmap, gradients included."""
    images = torch.rand(4, 3, 20, 20, generator=generator)
    results = []
    for kind in ("cpu", "other"):
        monkeypatch.setattr("posinfo.networks.models.stacked_convnets.ONE_BY_ONE", kind)
        stacked = StackedConvNets(config(padding), 3, 2, SEEDS)
        features, logits = stacked(images)
        logits.square().sum().backward()
        gradients = [each.grad for each in stacked.parameters()]
        results.append([features.detach(), logits.detach(), *gradients])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", CONVOLUTION_PADDINGS)
def test_twins_have_the_same_features_where_nothing_tells_their_height(padding):
    """Kayhan and van Gemert: full and circular convolution see no border; the others do."""
    similar, dissimilar, _ = red_green({"test": 60})["test"]
    of_paper = config(padding, channels=(32, 32, 64, 64), strides=(1, 2, 2, 2))
    networks = StackedConvNets(of_paper, 3, 2, SEEDS)
    with torch.inference_mode():
        (one, _), (other, _) = networks(similar), networks(dissimilar)
    share = (one == other).all(2).double().mean()
    assert share == 1 if padding in (FULL, "circular") else share < 0.5, share


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (1, 2)}, "channels (8, 16, 8) and strides (1, 2) must be as many"),
        ({"kernel_size": 4}, "kernel_size must be odd; got 4"),
        ({"padding": "zeros"}, "padding must be one of zero, none"),
        ({"padding": "as_built"}, "padding must be one of zero, none"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError) as error:
        config(**changes)
    assert message in str(error.value)
