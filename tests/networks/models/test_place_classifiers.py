import pytest
import torch
from torch import nn

from posinfo.networks.models.audited import AuditedConfig
from posinfo.networks.models.place_classifiers import (
    PlaceConfig,
    build_place_classifier,
    needed_bytes,
)

SIDE = 64


def config(arch="narrow_resnet18(width=4)", pooling="max", first_padding=None, **network):
    audited = AuditedConfig(arch=arch, weights="untrained", **network)
    return PlaceConfig(network=audited, pooling=pooling, first_padding=first_padding)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_logits_are_a_linear_layer_of_the_pooled_last_maps(pooling, generator):
    classifier = build_place_classifier(config(pooling=pooling), SIDE, seed=0)
    assert not classifier.training
    images = torch.rand(2, 3, SIDE, SIDE, generator=generator)
    with torch.no_grad():
        maps = classifier.observed.network(images)
        pooled = maps.flatten(2).max(2).values if pooling == "max" else maps.flatten(2).mean(2)
        torch.testing.assert_close(classifier.features(images), pooled)
        torch.testing.assert_close(classifier(images), classifier.head(pooled))


def test_of_a_classifier_the_maps_before_its_logits_are_read():
    classifier = build_place_classifier(config("timm/resnet10t"), SIDE, seed=0)
    assert classifier.head.in_features == 512


def test_first_convolution_alone_pads_by_so_much():
    built = (
        build_place_classifier(config(), SIDE, 0),
        build_place_classifier(config(first_padding=20), SIDE, 0),
    )
    paddings = [
        [each.padding for each in network.modules() if isinstance(each, nn.Conv2d)]
        for network in built
    ]
    assert paddings[0][0] == (3, 3) and paddings[1][0] == (20, 20)
    assert paddings[0][1:] == paddings[1][1:]


def test_seed_draws_the_linear_layer_and_leaves_pytorch_s_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (build_place_classifier(config(), SIDE, seed) for seed in (0, 0, 1))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_released_border_that_would_not_be_heeded_is_refused():
    with pytest.raises(ValueError, match="its first convolution pads in its own way"):
        build_place_classifier(config("timm/tf_efficientnet_lite0", first_padding=5), SIDE, 0)
    with pytest.raises(ValueError, match="a released border is of zeros; got padding 'circular'"):
        build_place_classifier(config(first_padding=5, padding="circular"), SIDE, 0)


def test_memory_of_maps_grows_with_their_area_and_needs_none():
    small, large = (needed_bytes(config(), side, 1, trained=True) for side in (128, 1024))
    assert large / small == pytest.approx(64, rel=0.01)
    stem = 4 * (3 * 128**2 + 2 * 4 * 64**2)  # the image, and the maps of stem and its batch norm
    assert stem < small < 10 * stem
    assert needed_bytes(config(), 128, 3, trained=True) == 3 * small
    assert 4 * 3 * 128**2 < needed_bytes(config(), 128, 1, trained=False) < small
    assert needed_bytes(config(), 2**18, 1, trained=True) > 2**40
    released = config(first_padding=10_000)
    assert needed_bytes(released, 128, 1, trained=True) > 1e9
