import pytest
import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50

from posinfo.networks.surgery.ablation import ablated, without_channels

LAYER = "backbone.layer4"


@pytest.fixture(scope="module")
def deeplab():
    torch.manual_seed(0)
    network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5)
    return network.eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 33, 49, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def by_hand(network, images, channels, values):
    """The network in three parts, with a loop over channels between the last two."""
    latent = network.backbone(images)["out"].clone()
    for channel in channels:
        latent[:, channel] = values[channel]
    small = network.classifier(latent)
    return nn.functional.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("values", [torch.zeros(2048), torch.linspace(-1, 1, 2048)])
def test_ablated_channels_are_constant(deeplab, images, values):
    channels = [2047, 3, 500]
    with torch.inference_mode(), ablated(deeplab, LAYER, channels, values):
        out = deeplab(images)["out"]
    torch.testing.assert_close(out, by_hand(deeplab, images, channels, values), atol=1e-4, rtol=0)


@torch.inference_mode()
def test_silent_channels_are_zero_if_nothing_else_is_said(deeplab, images):
    found = []
    with ablated(deeplab, LAYER, [5]):
        hook = deeplab.classifier.register_forward_pre_hook(
            lambda module, inputs: found.append(inputs[0])
        )
        deeplab(images)
        hook.remove()
    assert (found[0][:, 5] == 0).all() and (found[0][:, 4] != 0).any()


@torch.inference_mode()
def test_no_channel_changes_no_bit(deeplab, images):
    before = deeplab(images)["out"]
    with ablated(deeplab, LAYER, []):
        assert torch.equal(deeplab(images)["out"], before)


@torch.inference_mode()
def test_nothing_is_left_behind(deeplab, images):
    before = deeplab(images)["out"]
    with pytest.raises(RuntimeError, match="inside"), ablated(deeplab, LAYER, range(100)):
        assert not torch.equal(deeplab(images)["out"], before)
        raise RuntimeError("inside")
    assert torch.equal(deeplab(images)["out"], before)
    assert not deeplab.get_submodule(LAYER)._forward_hooks


@torch.inference_mode()
def test_nested_and_repeated_use_are_independent(deeplab, images):
    """The released code shortens its list of channels with each call that asks for fewer."""
    channels = [4, 2, 7]
    with ablated(deeplab, LAYER, channels):
        whole = deeplab(images)["out"]
        with ablated(deeplab, LAYER, channels[:1]):
            assert torch.equal(deeplab(images)["out"], whole)
    with ablated(deeplab, LAYER, channels[:1]):
        with ablated(deeplab, LAYER, channels[1:]):
            assert torch.equal(deeplab(images)["out"], whole)
        assert not torch.equal(deeplab(images)["out"], whole)
    with ablated(deeplab, LAYER, channels):
        assert torch.equal(deeplab(images)["out"], whole)
    assert channels == [4, 2, 7]


def test_pooled_channels_can_be_silenced():
    pooled = torch.rand(2, 4)
    silenced = without_channels(pooled, [1], torch.full((4,), 9.0))
    assert silenced[:, 1].eq(9).all()
    assert torch.equal(silenced[:, [0, 2, 3]], pooled[:, [0, 2, 3]])


def test_a_tensor_of_channels_is_taken_as_it_is():
    maps = torch.rand(1, 3, 2, 2)
    assert torch.equal(without_channels(maps, torch.tensor([2])), without_channels(maps, [2]))


def test_unknown_layers_are_refused_with_near_ones(deeplab):
    with (
        pytest.raises(ValueError, match=r"no layer 'backbone\.layer5'.*backbone\.layer4"),
        ablated(deeplab, "backbone.layer5", []),
    ):
        pass


@pytest.mark.parametrize("channels", [[2048], [-1], [0, 5000]])
def test_channels_that_are_not_there_are_refused(deeplab, images, channels):
    with (
        pytest.raises(ValueError, match="channels must be 0 to 2047"),
        ablated(deeplab, LAYER, channels),
    ):
        deeplab(images)


def test_layers_that_answer_no_tensor_are_refused(deeplab, images):
    with (
        pytest.raises(ValueError, match="'backbone' must answer with a tensor; got OrderedDict"),
        ablated(deeplab, "backbone", [0]),
    ):
        deeplab(images)
