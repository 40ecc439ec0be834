import pytest
import torch
from pydantic import ValidationError
from torch import nn

from posinfo.networks.models.augshift import (
    METHODS,
    AugShiftConfig,
    LatentClassifier,
    augshift_loss,
    build_latent_classifier,
)
from posinfo.networks.models.weights import load_network


def config(method="augshift", **changes):
    return AugShiftConfig(
        **{"method": method, "width": 2, "latent_weight": 3, "loss": "mean"} | changes
    )


class Linear(LatentClassifier):
    """Latents are the mean colours; logits are the latents."""

    def __init__(self):
        super().__init__(nn.Identity(), 3, 3)
        nn.init.eye_(self.head.weight)
        nn.init.zeros_(self.head.bias)


def views():
    first = torch.tensor([[1.0, 2, 3], [0, 1, 0]])[:, :, None, None].expand(2, 3, 4, 4)
    second = torch.tensor([[1.0, 0, 3], [2, 1, 0]])[:, :, None, None].expand(2, 3, 4, 4)
    return [first, second]


def entropy(logits, label):
    return -torch.tensor(logits).log_softmax(0)[label].item()


def test_loss_by_hand():
    labels = torch.tensor([2, 0])
    first = (entropy([1.0, 2, 3], 2) + entropy([0.0, 1, 0], 0)) / 2
    second = (entropy([1.0, 0, 3], 2) + entropy([2.0, 1, 0], 0)) / 2
    latents = (4 + 4) / 6
    expected = {
        ("baseline", "mean"): (views()[:1], first),
        ("two_crops", "mean"): (views(), (first + second) / 2),
        ("two_crops", "sum"): (views(), first + second),
        ("augshift", "mean"): (views(), (first + second) / 2 + 3 * latents),
        ("augshift", "sum"): (views(), first + second + 3 * latents),
    }
    for (method, loss), (shown, value) in expected.items():
        got = augshift_loss(Linear(), shown, labels, config(method, loss=loss))
        assert got.item() == pytest.approx(value), (method, loss)


def test_both_latents_are_drawn_together():
    """Half of the gradient of a squared difference belongs to each of the two."""
    first, second = (view.clone().requires_grad_() for view in views())
    labels, settings = torch.tensor([2, 0]), {"latent_weight": 3}
    gradients = {}
    for method in ("two_crops", "augshift"):
        loss = augshift_loss(Linear(), [first, second], labels, config(method, **settings))
        gradients[method] = torch.stack(torch.autograd.grad(loss, [first, second]))
    difference = (first - second).detach()
    expected = 3 * 2 * difference / 6 / 16  # of six numbers, each the mean of 16 pixels
    drawn = gradients["augshift"] - gradients["two_crops"]
    torch.testing.assert_close(drawn, torch.stack([expected, -expected]))


def test_latents_and_logits_are_in_float32_whatever_the_maps_are_in():
    images = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0)).bfloat16()
    network = Linear()
    with torch.autocast("cpu", torch.bfloat16):
        latents, logits = network.latents(images), network(images)
    assert latents.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(latents, images.float().mean((2, 3)))
    torch.testing.assert_close(logits, latents)  # the head is the identity


def test_training_starts_at_the_untrained_network_of_the_same_seed():
    """`--env=trained` pairs them."""
    trained = build_latent_classifier(config("two_crops"), classes=4, seed=3).maps.state_dict()
    untrained = load_network("cifar_resnet18(width=2)", "untrained", seed=3).state_dict()
    assert trained.keys() == untrained.keys()
    for name, tensor in untrained.items():
        assert torch.equal(trained[name], tensor), name


def test_methods_take_the_crops_that_they_need():
    assert [config(name).crops for name in METHODS] == [1, 2, 2, 1, 1]
    assert config("augshift+blurpool").crops == 2 and config("augshift+blurpool").uses_latents
    assert not config("two_crops").uses_latents


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "augshif"}, "method must be one of baseline, two_crops, augshift"),
        (
            {"method": "augshift+two_crops"},
            "each may be named once, and one of baseline",
        ),
        ({"method": "blurpool+blurpool"}, "each may be named once"),
        ({"latent_weight": -1}, "greater than or equal to 0"),
        ({"loss": "max"}, "loss must be one of mean, sum; got 'max'"),
        ({"width": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValidationError, match=message):
        config(**changes)
