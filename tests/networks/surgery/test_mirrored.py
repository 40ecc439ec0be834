import torch

from posinfo.networks.models.segmenters import SegmenterConfig, build_segmenter
from posinfo.networks.surgery.mirrored import with_mirrored_kernels


def segmenter(planted):
    config = SegmenterConfig(arch="small_deeplab", width=4, padding="as_built", planted=planted)
    return build_segmenter(config, classes=3, seed=0).eval()


@torch.inference_mode()
def latent(network, images):
    return network.backbone(images)["out"]


def test_mirrored_networks_see_the_mirrored_image():
    """At odd sizes each stride is even on both sides: (W - 1) is divisible by the stride of 8."""
    network, images = segmenter(planted=0), torch.rand(2, 3, 33, 65)
    mirrored = with_mirrored_kernels(network)
    seen = latent(mirrored, images.flip(3)).flip(3)
    torch.testing.assert_close(seen, latent(network, images), atol=1e-5, rtol=0)
    assert (latent(mirrored, images) - latent(network, images)).abs().max() > 0.01


def test_uneven_strides_tell_left_from_right():
    network, images = segmenter(planted=0), torch.rand(2, 3, 32, 64)
    seen = latent(with_mirrored_kernels(network), images.flip(3)).flip(3)
    assert (seen - latent(network, images)).abs().max() > 0.01


def test_the_network_itself_stays_as_it_is():
    network = segmenter(planted=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with_mirrored_kernels(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
