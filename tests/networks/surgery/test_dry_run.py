import torch
from torch import nn

from posinfo.networks.surgery.dry_run import dry_run, find_layers, needed_tensors


class Decides(nn.Module):
    """Looks at values, so that shapes alone do not do."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, images):
        maps = self.conv(images)
        return self.head(maps.mean((2, 3))) if maps.sum().item() > 1e9 else maps


def test_network_that_looks_at_values_computes_on_a_black_image():
    seen = []

    def run(network, images):
        seen.append((images.device.type, images.is_meta or images.abs().max().item()))
        return network(images).shape

    assert dry_run(f"{__name__}:Decides", 8, run) == (1, 4, 8, 8)
    assert seen == [("meta", True), ("cpu", 0)]


def test_other_networks_compute_nothing():
    assert dry_run("resnet18", 64, lambda network, images: network(images).device.type) == "meta"


def test_layers_and_tensors_of_a_network_that_looks_at_values():
    arch = f"{__name__}:Decides"
    assert find_layers(arch, "default", 8) == ("",)  # its own output
    assert needed_tensors(arch, "default", 8) == {"conv.weight", "conv.bias"}


def test_state_of_the_generator_is_left_alone():
    before = torch.get_rng_state()
    find_layers(f"{__name__}:Decides", "default", 16)
    assert torch.equal(torch.get_rng_state(), before)
