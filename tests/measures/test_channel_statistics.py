import pytest
import torch
from torch import nn

from posinfo.measures.channel_rankings import ranked_channels
from posinfo.measures.channel_statistics import channel_statistics, halves_differ
from posinfo.networks.models.segmenters import LATENT, SegmenterConfig, build_segmenter
from posinfo.stimuli.scene_textures import layout_free_images
from posinfo.work import Work


class Latent(nn.Module):
    """A latent of three known channels: red, a left border, and nothing."""

    def __init__(self):
        super().__init__()
        self.latent = nn.Identity()

    def forward(self, images):
        red = images[:, :1]
        border = torch.zeros_like(red)
        border[..., 0] = 1
        return self.latent(torch.cat([red, border, torch.zeros_like(red)], 1))


def statistics(network, layer, images, layout_free=None):
    layout_free = images if layout_free is None else layout_free
    return channel_statistics(network.eval(), layer, images.split(3), layout_free.split(3), Work())


@pytest.fixture(scope="module")
def images():
    return torch.rand(8, 3, 4, 6, generator=torch.Generator().manual_seed(0))


def test_statistics_are_those_of_the_definition(images):
    found = statistics(Latent(), "latent", images)
    red = images[:, 0]
    torch.testing.assert_close(found.z[:, 0], red.mean((1, 2)))
    torch.testing.assert_close(found.z_mirrored[:, 0], red.mean((1, 2)))
    torch.testing.assert_close(found.z[:, 1], torch.full((8,), 1 / 6))
    torch.testing.assert_close(found.mean_map[0], red.mean(0))
    torch.testing.assert_close(found.magnitude[0], red.abs().mean())
    torch.testing.assert_close(
        found.rms,
        torch.stack([red.square().mean().sqrt(), torch.tensor((1 / 6) ** 0.5), torch.tensor(0.0)]),
    )
    left, right = red[..., :3].mean(), red[..., 3:].mean()
    torch.testing.assert_close(found.probe_x[0], (left - right).abs() / red.mean())
    torch.testing.assert_close(found.probe_x[1], torch.tensor(2.0))
    torch.testing.assert_close(found.probe[1], torch.tensor(1 / 3))
    upper, lower = red[:, :2].mean(), red[:, 2:].mean()
    torch.testing.assert_close(found.probe_y[0], (upper - lower).abs() / red.mean())
    assert found.probe_y[1] == 0
    assert found.probe_x[2] == 0, "a silent channel tells no place apart"


def test_the_paper_s_difference_does_not_see_what_the_probe_sees(images):
    """A channel that is position alone has the same average for an image and its mirror."""
    found = statistics(Latent(), "latent", images)
    assert (found.z - found.z_mirrored).abs().max() < 1e-6
    assert found.probe_x[1] == 2


class Chiral(nn.Module):
    """One channel: how much redder the pixel at the right is, where it is."""

    def __init__(self):
        super().__init__()
        self.latent = nn.Conv2d(3, 1, (1, 3), padding=(0, 1), bias=False)
        with torch.no_grad():
            self.latent.weight.zero_()[0, 0, 0] = torch.tensor([-1.0, 0.0, 2.0])

    def forward(self, images):
        return self.latent(images)


def test_differences_are_image_minus_mirror_image(images):
    """Summed over a row, zeros at the border leave 2 (all but the first) - (all but the last)."""
    found = statistics(Chiral(), "latent", images)
    red = images[:, 0]
    total, first, last = red.sum((1, 2)), red[..., 0].sum(1), red[..., -1].sum(1)
    torch.testing.assert_close(found.z[:, 0] * 24, 2 * (total - first) - (total - last))
    torch.testing.assert_close(found.z_mirrored[:, 0] * 24, 2 * (total - last) - (total - first))


def test_kernel_flip_is_the_difference_of_the_network_with_mirrored_kernels(images):
    found = statistics(Chiral(), "latent", images)
    mirrored = Chiral()
    with torch.no_grad():
        mirrored.latent.weight.copy_(mirrored.latent.weight.flip(3))
        z, z_mirrored = (mirrored(each).mean((2, 3)) for each in (images, images.flip(3)))
    torch.testing.assert_close(found.kernel_flip, (z - z_mirrored).abs().mean(0))
    # nothing strides unevenly here: it is the same as that of the network itself
    torch.testing.assert_close(found.kernel_flip, (found.z - found.z_mirrored).abs().mean(0))


def test_kernel_flip_differs_where_strides_are_uneven():
    config = SegmenterConfig(arch="small_deeplab", width=4, padding="zero", planted=0)
    network = build_segmenter(config, classes=3, seed=0).eval()
    images = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    found = statistics(network, LATENT, images)
    differences = (found.z - found.z_mirrored).abs().mean(0)
    assert (found.kernel_flip - differences).abs().max() > 0.1 * differences.max()


def test_the_probe_finds_planted_coordinates_and_the_border_of_zeros():
    """Untrained networks: of zeros at the border, of none, and with four planted channels."""
    free = torch.from_numpy(layout_free_images(32, (64, 128))).float() / 255
    medians = {}
    for padding in ("zero", "circular"):
        config = SegmenterConfig(arch="small_deeplab", width=8, padding=padding, planted=4)
        network = build_segmenter(config, classes=3, seed=0).eval()
        found = statistics(network, LATENT, free[:4], free)
        assert set(ranked_channels(found, "probe")[:4].tolist()) == {64, 65, 66, 67}
        medians[padding] = found.probe_x[:64].median()
    assert medians["zero"] > 3 * medians["circular"]


def test_the_middle_column_belongs_to_no_half():
    maps = torch.tensor([[[1.0, 2.0, 100.0, 5.0, 7.0]]])
    assert halves_differ(maps).item() == pytest.approx(4.5)


def test_batches_do_not_matter(images):
    network = Latent().eval()
    whole = channel_statistics(network, "latent", [images], [images], Work()).tensors()
    for name, tensor in statistics(network, "latent", images).tensors().items():
        torch.testing.assert_close(tensor, whole[name])


@pytest.mark.parametrize(("size", "even"), [((33, 65), False), ((32, 64), True)])
def test_uneven_padding_alone_ranks_channels_at_even_sizes(size, even):
    """With symmetric kernels an image and its mirror differ only by uneven strides."""
    config = SegmenterConfig(arch="small_deeplab", width=4, padding="zero", planted=0)
    network = build_segmenter(config, classes=3, seed=0).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_((module.weight + module.weight.flip(3)) / 2)
    found = statistics(network, LATENT, torch.rand(3, 3, *size))
    worst = (found.z - found.z_mirrored).abs().max()
    assert (worst > 1e-4) if even else (worst <= 1e-5)
