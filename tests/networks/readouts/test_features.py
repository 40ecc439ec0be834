import numpy as np
import pytest
import torch
from torch import nn

from posinfo.networks.models.backbones import Backbone
from posinfo.networks.readouts.features import batch_size, extract_features
from posinfo.networks.surgery.blocks import align
from posinfo.work import Work

COUNT = batch_size(torch.device("cpu")) + 3


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


def backbone(network=None):
    return Backbone(network or Counted(), 8, "imagenet")


@pytest.fixture
def pixels(generator):
    shape = (COUNT, 3, 16, 16)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).numpy()


def test_each_image_is_seen_once_but_for_two_that_try_the_network(pixels):
    network, totals, done = backbone(), [], []
    work = Work(on_total=totals.append, on_progress=done.append)
    extract_features(network, pixels, 4, work)
    assert network.blocks.seen - 2 * 2 - 1 == sum(done) == COUNT and totals == [COUNT]


class Draws(Counted):
    def forward(self, images):
        drawn = 1e-4 * torch.rand(len(images), 3, 1, 1)
        return super().forward(images + drawn)


class CarriesOver(Counted):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images):
        self.mean += images.mean()
        return super().forward(images)


class NormalisesOverTheBatch(Counted):
    def forward(self, images):
        features = super().forward(images)["f1"]
        return {"f1": features - features.mean(0)}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (NormalisesOverTheBatch, "answers an image differently in other company"),
        (Draws, "answers the same images differently each time: it draws at random in its forward"),
        (CarriesOver, "changes its buffers in its forward pass, in evaluation mode"),
        (Counted, None),
    ],
)
def test_network_that_does_not_repeat_itself_is_refused(pixels, network, message):
    if message is None:
        extract_features(backbone(network()), pixels, 4, Work())
        return
    done = []
    with pytest.raises(ValueError, match=message):
        extract_features(backbone(network()), pixels, 4, Work(on_progress=done.append))
    assert done == []


def test_features_are_those_of_the_network(pixels, work):
    network = backbone()
    features = extract_features(network, pixels, 4, work)
    fresh = network(torch.from_numpy(pixels))
    expected = fresh.permute(0, 2, 3, 1).detach().half().numpy()
    np.testing.assert_allclose(features, expected, rtol=2e-3, atol=1e-4)
    assert features.shape == (COUNT, 8, 8, 4) and features.dtype == np.float16
    np.testing.assert_array_equal(np.load(work.folder / "features.npy"), features)


def test_features_are_the_same_on_disk_and_in_memory(pixels, work):
    network = backbone()
    stored = extract_features(network, pixels, 4, work)
    assert isinstance(stored, np.memmap)
    in_memory = extract_features(network, pixels, 4, Work())
    assert not isinstance(in_memory, np.memmap)
    np.testing.assert_array_equal(stored, in_memory)


def test_pixels_may_be_memory_mapped_and_are_left_alone(pixels, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels)
    mapped, network = np.load(tmp_path / "pixels.npy", mmap_mode="r"), backbone()
    expected = extract_features(network, pixels, 4, Work())
    np.testing.assert_array_equal(extract_features(network, mapped, 4, Work()), expected)
    np.testing.assert_array_equal(mapped, pixels)


def test_forward_passes_compute_in_the_precision_of_the_work(pixels):
    network = backbone()
    exact = extract_features(network, pixels, 4, Work())
    half = extract_features(network, pixels, 4, Work(dtype=torch.bfloat16))
    assert next(network.parameters()).dtype == torch.bfloat16
    difference = np.abs(exact.astype(float) - half)
    assert 0 < difference.max() < 0.05 * np.abs(exact).max()


def test_frozen_backbone_does_not_move(pixels):
    network = backbone()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    extract_features(network, pixels, 4, Work())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_overflow_says_so(pixels, work):
    with pytest.raises(OverflowError, match="^a feature is not a number or beyond the 65504"):
        extract_features(backbone(Counted(1e6)), pixels, 4, work)
