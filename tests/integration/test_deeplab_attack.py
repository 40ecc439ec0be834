"""The attack on a random DeepLabV3-ResNet-50, against a computation without our machinery."""

import pytest
import torch
from torch.nn.functional import interpolate
from torchvision.models.segmentation import deeplabv3_resnet50

from posinfo.measures.channel_rankings import ranked_channels
from posinfo.measures.channel_statistics import channel_statistics
from posinfo.networks.surgery.ablation import ablated, without_channels
from posinfo.networks.surgery.resumable import Resumable
from posinfo.work import Work

LAYER, SIZE = "backbone.layer4", (64, 96)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=19).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def trunk(network, images):
    """torchvision's ResNet, layer by layer."""
    parts = network.backbone
    maps = parts.maxpool(parts.relu(parts.bn1(parts.conv1(images))))
    for name in ("layer1", "layer2", "layer3", "layer4"):
        maps = getattr(parts, name)(maps)
    return maps


@torch.inference_mode()
def test_rankings_are_those_of_the_definition(network, images):
    found = channel_statistics(network, LAYER, [images], [images], Work())
    ours, mirrored = (trunk(network, shown).mean((2, 3)) for shown in (images, images.flip(3)))
    torch.testing.assert_close(found.z, ours, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.z_mirrored, mirrored, rtol=1e-4, atol=1e-4)
    changes, signed = (ours - mirrored).abs().mean(0), (ours - mirrored).mean(0)
    for ranking, score in (("overall", changes), ("left", signed), ("right", -signed)):
        in_order = score[ranked_channels(found, ranking)]
        assert (in_order.diff() <= 2e-4).all(), ranking
    assert changes.max() > 5 * changes.median() > 0, "channels differ"


@torch.no_grad()
def test_ablated_logits_are_those_of_a_zeroed_latent(network, images):
    resumable = Resumable(network, LAYER)
    latent = resumable.start(images)
    channels = torch.randperm(2048, generator=torch.Generator().manual_seed(2))[:512]
    maps = trunk(network, images)
    maps[:, channels] = 0
    logits = interpolate(network.classifier(maps), SIZE, mode="bilinear", align_corners=False)
    with ablated(network, LAYER, channels.tolist()):
        hooked = network(images)["out"]
    resumed = resumable.finish(without_channels(latent, channels))["out"]
    intact = network(images)["out"]
    torch.testing.assert_close(hooked, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(resumed, logits, rtol=1e-4, atol=1e-4)
    assert (logits - intact).abs().max() > 1e-2
    with ablated(network, LAYER, []):
        assert torch.equal(network(images)["out"], intact)
    assert torch.equal(resumable.finish(without_channels(latent, []))["out"], intact)
