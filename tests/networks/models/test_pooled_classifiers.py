import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from posinfo.networks.models.pooled_classifiers import (
    NETWORKS,
    ClassifierConfig,
    build_classifier,
)
from posinfo.networks.surgery.padding import PADDINGS, repad

SIDE = 96
STRIDE = 16


def config(network="permutenet", **changes):
    settings = {
        "network": network, "arch": "canvas_resnet18", "width": 4, "padding": "zero",
        "permutation": "none" if network == "gapnet" else "per_batch", "permuted_before": None,
    }  # fmt: skip
    return ClassifierConfig(**{**settings, **changes})


def images(count=3, side=SIDE):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("arch", ["canvas_resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_logits_and_gradients_of_any_backbone(network, arch):
    width = 4 if arch == "canvas_resnet18" else None
    built = build_classifier(config(network, arch=arch, width=width), 9, 0, SIDE)
    assert built.training
    logits = built(images())
    assert logits.shape == (3, 9)
    logits.sum().backward()
    assert all(p.grad is not None for p in built.parameters())


def test_gapnet_averages_one_map_per_class():
    network = build_classifier(config("gapnet"), 5, 0, SIDE).eval()
    maps = network.last_maps(images())
    convolution = next(m for m in network.head.modules() if isinstance(m, nn.Conv2d))
    per_position = convolution(maps).flatten(2)
    torch.testing.assert_close(network(images()), per_position.mean(2))


@pytest.mark.parametrize("network", NETWORKS)
def test_circular_network_ignores_circular_shifts_by_its_stride(network):
    seen, shifted = images(), images().roll((STRIDE, 2 * STRIDE), (2, 3))
    differences = {}
    for padding in ("circular", "zero"):
        built = (
            build_classifier(config(network, padding=padding, permutation="none"), 9, 0, SIDE)
            .double()
            .eval()
        )
        differences[padding] = (built(seen.double()) - built(shifted.double())).abs().max().item()
    assert differences["circular"] < 1e-12
    assert differences["zero"] > 1e-4


@pytest.mark.parametrize("padding", PADDINGS)
def test_every_padding(padding):
    side = 256 if padding == "none" else SIDE
    for network in NETWORKS:
        checked = config(network, padding=padding)
        checked.check(side, "canvas")
        assert build_classifier(checked, 4, 0, side)(images(2, side)).shape == (2, 4)


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images):
        return dropout(self.conv(images), 0.5, self.training)


def test_functional_dropout_of_an_own_network_drops_in_training_alone():
    dropping = config(arch=f"{__name__}:Dropping", width=None, permutation="none")
    network = build_classifier(dropping, 9, 0, 16)
    seen = images(side=16)
    assert not torch.equal(network(seen), network(seen))
    network.eval()
    assert torch.equal(network(seen), network(seen))


def test_compiled_network_answers_the_same():
    small = config(arch=f"{__name__}:Dropping", width=None, permutation="fixed")
    network = build_classifier(small, 9, 0, 16).eval()
    expected = network(images(side=16))
    network.compile(backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(network(images(side=16)), expected)


def test_fixed_permutation_is_a_reordered_linear_layer():
    plain = build_classifier(config(permutation="none"), 9, 0, SIDE)
    fixed = build_classifier(config(permutation="fixed"), 9, 0, SIDE)
    order = fixed.permutation(torch.arange(32.0)[None])[0].long()
    with torch.no_grad():
        plain.head.weight[:, order] = fixed.head.weight
    targets = torch.tensor([0, 4, 8])
    gradients = []
    for network in (plain, fixed):
        cross_entropy(network(images()), targets).backward()
        gradients.append({name: p.grad for name, p in network.named_parameters()})
    reordered, given = gradients
    torch.testing.assert_close(reordered.pop("head.weight")[:, order], given.pop("head.weight"))
    for name, gradient in given.items():
        torch.testing.assert_close(reordered[name], gradient)


def test_per_batch_answers_change_with_each_forward():
    network = build_classifier(config(), 9, 0, SIDE).eval()
    first, second = network(images()), network(images())
    assert not torch.equal(first, second)


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
@pytest.mark.parametrize("arch", ["canvas_resnet18", "resnet18"])
def test_permutation_before_a_stage(arch, stage):
    width = 4 if arch == "canvas_resnet18" else None
    permuted = config(arch=arch, width=width, permuted_before=stage, permutation="fixed")
    network = build_classifier(permuted, 9, 0, SIDE).eval()
    plain = build_classifier(config(arch=arch, width=width, permutation="none"), 9, 0, SIDE).eval()
    seen = []
    for built, name in ((network, "permutation"), (plain, f"layer{stage}_0_conv1")):
        module = built.maps
        inner = module.get_submodule(name.replace("_0_", ".0."))
        inner.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
        built(images())
    (before, after), (stage_input, _) = seen
    pooled = (before, stage_input) if stage > 1 or arch == "canvas_resnet18" else None
    if pooled:  # the max-pool of torchvision's stem comes after the permutation
        torch.testing.assert_close(*pooled)
    order = network.maps.permutation(torch.arange(before.shape[1])[None].float())[0].long()
    torch.testing.assert_close(after, before[:, order])
    assert not torch.equal(network(images()), plain(images()))


def test_same_seed_same_weights_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    first, again, other = (build_classifier(config(), 9, seed, SIDE) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert not torch.equal(first.maps.conv1.weight, other.maps.conv1.weight)


def test_each_seed_permutes_in_its_own_way():
    channels = torch.arange(32.0)[None]
    orders = [
        build_classifier(config(permutation="fixed"), 9, seed, SIDE).permutation(channels)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], orders[2])


@pytest.mark.parametrize("network", NETWORKS)
def test_canvas_too_small_without_padding_names_the_smallest(network):
    smallest = {"gapnet": 251, "permutenet": 235}[network]
    unpadded = config(network, padding="none")
    with pytest.raises(ValueError, match=f"the smallest canvas is {smallest} px$"):
        unpadded.check(SIDE, "canvas")
    unpadded.check(smallest, "canvas")


def test_vit_takes_its_own_size_alone():
    config(arch="vit_b_32", width=None).check(224, "canvas")
    with pytest.raises(ValueError, match="^arch 'vit_b_32' cannot take images of 96 px"):
        config(arch="vit_b_32", width=None).check(96, "canvas")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "gapnett"}, "network must be one of gapnet, permutenet; got 'gapnett'"),
        ({"arch": "image"}, "arch 'image' is no network"),
        (
            {"arch": "resnet18"},
            "width is a setting of .*canvas_resnet18, .*; for arch 'resnet18' it must be null",
        ),
        ({"network": "gapnet"}, "gapnet has no channels to permute after pooling"),
        ({"permutation": "none", "permuted_before": 2}, "permuted_before needs a permutation"),
        (
            {"permuted_before": 1, "arch": "vgg11", "width": None},
            "is a stage of a ResNet",
        ),
        ({"width": None}, "arch 'canvas_resnet18' needs a width; the papers' is 64"),
        ({"permuted_before": 5}, "less than or equal to 4"),
        ({"width": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_settings(changes, message):
    settings = {"network": "permutenet", "permutation": "per_batch", **changes}
    with pytest.raises(ValidationError, match=message):
        config(**settings)


def test_repadded_head_is_the_head_itself():
    head = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1))
    repadded = repad(head, "circular")
    assert torch.equal(repadded.state_dict()["0.weight"], head.state_dict()["0.weight"])
