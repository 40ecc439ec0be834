import numpy as np
import pytest
import torch
from torch import nn

from posinfo.networks.backbones import Backbone, BackboneConfig, build_backbone
from posinfo.networks.blocks import align
from posinfo.networks.features import FeatureJob, batch_size, extract_features
from posinfo.stimuli.image_set import ImageSet

CPU = torch.device("cpu")
COUNT = batch_size(CPU) + 3


class Counted(nn.Module):
    """A network of one layer that counts the images it sees."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)
        self.layer.weight.data *= gain
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        return {"f1": align(self.layer(images), 8)}


def job(generator, count=COUNT, network=None):
    images = torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)
    backbone = Backbone(network or Counted(), 8, "imagenet")
    return FeatureJob(backbone, ImageSet.of(images), 4, CPU, torch.float32)


def test_each_image_is_seen_once(generator, cache):
    work = job(generator)
    done = []
    for _ in range(3):
        extract_features(work, cache, done.append)
    assert work.backbone.blocks.seen == sum(done) == len(work.images)


def test_cached_features_equal_fresh_ones(generator, cache):
    work = job(generator)
    cached = extract_features(work, cache)
    fresh = work.backbone(torch.from_numpy(work.images.pixels))
    expected = fresh.permute(0, 2, 3, 1).detach().half().numpy()
    np.testing.assert_array_equal(extract_features(work, cache), cached)
    np.testing.assert_allclose(cached, expected, rtol=2e-3, atol=1e-4)
    assert cached.shape == work.shape
    assert cached.nbytes == work.bytes


def test_frozen_backbone_does_not_move(generator, cache):
    work = job(generator)
    before = {name: t.clone() for name, t in work.backbone.state_dict().items()}
    extract_features(work, cache)
    for name, tensor in work.backbone.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_overflow_says_so(generator, cache):
    with pytest.raises(OverflowError, match="^a feature is not a number or beyond the 65504"):
        extract_features(job(generator, network=Counted(1e6)), cache)
    assert list(cache.folder.iterdir()) == []


def test_key_follows_backbone_images_and_precision(generator):
    work = job(generator)
    other_images = ImageSet.of(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    row = BackboneConfig(arch="image", weights="none", padding="none")
    keys = {
        work.key,
        FeatureJob(work.backbone, other_images, 4, CPU, torch.float32).key,
        FeatureJob(work.backbone, work.images, 4, CPU, torch.bfloat16).key,
        FeatureJob(build_backbone(row, 16, 8, "none"), work.images, 3, CPU, torch.float32).key,
        FeatureJob(work.backbone, work.images, 4, torch.device("cuda"), torch.float32).key,
    }
    assert len(keys) == 5
