import pytest
import torch
from torch import nn

from posinfo.networks.models import audited
from posinfo.networks.models.audited import AuditedConfig, given, require_answer, require_numbers
from posinfo.networks.surgery.observed import OUTPUT
from posinfo.networks.surgery.padded_layers import padded_layers


def config(**changes):
    return AuditedConfig(**{"arch": "resnet18", "weights": "untrained", **changes})


def test_whole_network_and_a_part_of_it():
    whole = config().load(64)
    assert whole.layers == ("layer1", "layer2", "layer3", "layer4")
    part = config(part="conv1").load(64)
    assert isinstance(part.network, nn.Conv2d)
    hed = AuditedConfig(arch="vgg16", weights="hed-bsds500", part="features")
    hed.check(64)
    with torch.inference_mode():
        maps = hed.load(64)(torch.zeros(1, 3, 64, 64))
    assert maps[OUTPUT].shape == (1, 512, 2, 2)
    assert "" not in maps


def test_padding_is_changed():
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain, other = (config(padding=p).load(64)(images) for p in ("as_built", "circular"))
    assert not plain[OUTPUT].equal(other[OUTPUT])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "backbone"}, "part: arch 'resnet18' has no layer 'backbone'"),
        ({"output": "logits"}, "the network returns no 'logits'"),
        ({"layers": ["layer9"]}, "has no layer 'layer9'"),
        ({"part": "layer1.0.bn1"}, "images of 64 px"),
        (
            {"arch": "vgg16", "weights": "hed-bsds500"},
            "come without those of 'classifier.0.weight'",
        ),
    ],
)
def test_what_cannot_be_audited_is_refused(changes, message):
    with pytest.raises((ValueError, RuntimeError)) as refusal:
        network = config(**changes)
        network.check(64)
        network.load(64)
    if message != "images of 64 px":  # a layer in the middle takes no images
        assert message in str(refusal.value)


def test_networks_that_differ_in_their_seeds_alone_are_tried_once(monkeypatch):
    sizes, real = [], audited.dry_run
    monkeypatch.setattr(audited, "dry_run", lambda *given: sizes.append(given[1]) or real(*given))
    for seed in range(2):
        config(seed=seed).check(71)
    tries = len(sizes)
    assert tries and set(sizes) == {71}
    config(seed=2).check(71)
    assert len(sizes) == tries
    config(seed=2, padding="circular").check(71)
    assert len(sizes) > tries


def test_outputs_that_are_no_answer():
    for shape in [(2,), (2, 3, 4), (1, 2, 3, 4, 5), (2, 1)]:
        with pytest.raises(ValueError, match="the output must be logits"):
            require_answer(torch.zeros(shape))
    with pytest.raises(ValueError, match="got int64 of shape"):
        require_answer(torch.zeros(1, 2, dtype=torch.int64))
    require_answer(torch.zeros(1, 2))
    require_answer(torch.zeros(1, 2, 3, 4))


def test_numbers_that_are_none_name_layer_and_photograph():
    maps = {"layer1": torch.zeros(2, 3), OUTPUT: torch.zeros(2, 3)}
    require_numbers(maps, ["a", "b"])
    maps[OUTPUT][1, 0] = torch.nan
    with pytest.raises(ValueError, match="output is no number for b"):
        require_numbers(maps, ["a", "b"])


def test_given_network_is_copied_and_must_be_in_evaluation_mode():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="the network is in training mode: call its eval"):
        given(network).check(16)
    network.eval()
    found = given(network, colours=((0.5,) * 3, (0.5,) * 3))
    found.check(16)
    loaded = found.load(16)
    assert loaded.network is not network
    assert loaded.layers == ("1",)
    assert found.colours == ((0.5,) * 3, (0.5,) * 3)
    assert found.on_shapes(lambda module, images: module is network and images(8).shape[2]) == 8


class Remembering(nn.Module):
    """As timm's ConViT: what it computes once is kept, and meets what is trained."""

    def __init__(self):
        super().__init__()
        self.scale, self.kept = nn.Conv2d(3, 4, 3), None

    def forward(self, images):
        if self.kept is None:
            self.kept = torch.ones(1)
        return self.scale(images) * self.kept


def test_given_network_can_be_trained_afterwards():
    network = Remembering().eval()
    given(network).check(16)
    assert network.kept is not None
    network(torch.rand(1, 3, 16, 16)).sum().backward()
    assert network.scale.weight.grad.any()


def test_given_network_of_half_precision_is_measured_in_float32():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)).eval().to(torch.bfloat16)
    given(network).check(16)
    assert given(network).load(16).network[0].weight.dtype == torch.float32
    assert network[0].weight.dtype == torch.bfloat16


def test_static_part_is_of_the_padding_that_is_audited():
    found = config(padding="none").on_shapes(
        lambda network, images: padded_layers(network, images(512))
    )
    assert found == []


def test_given_network_on_two_devices_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1, device="meta")).eval()
    with pytest.raises(ValueError, match="the network lies on several devices: cpu, meta"):
        given(network).check(16)
