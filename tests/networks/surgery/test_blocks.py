import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate
from torchvision.models import get_model

from posinfo.networks.models.architectures import OWN, sketch_network
from posinfo.networks.models.backbones import BackboneConfig
from posinfo.networks.surgery.blocks import align, block_layers


class TwoPaths(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.conv(images).mean((2, 3)))


def flat_network():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))


class Undecided(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, images):
        return self.conv(images) if images.mean() <= 0 else self.other(images)


def undecided_network():
    return Undecided()


class TwiceNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 5, 3, padding=1), nn.ReLU()

    def forward(self, images):
        return self.relu(self.conv(self.relu(images))).mean((2, 3))


def channels(arch, padding="zero", size=224, **more):
    row = BackboneConfig(arch=arch, weights="untrained", padding=padding, **more)
    return row.block_channels(size)


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("vgg16", [64, 128, 256, 512, 512]),
        ("vgg13_bn", [64, 128, 256, 512, 512]),
        ("resnet18", [64, 128, 256, 512]),
        *((f"{name}(width=4)", [4, 8, 16, 32]) for name in OWN if "resnet18" in name),
        ("bagnet33(width=4)", [16, 32, 64, 128]),
        ("narrow_densenet121(width=4)", [4, 8, 16, 32, 64]),
        ("resnet50", [256, 512, 1024, 2048]),
        ("alexnet", [64, 192, 256, 256]),
        ("densenet121", [64, 128, 256, 512, 1024]),
        ("mobilenet_v3_large", [64, 72, 240, 672, 960]),
        ("efficientnet_b0", [96, 144, 240, 672, 1280]),
        ("convnext_tiny", [96, 192, 384, 768]),
        ("squeezenet1_0", [96, 256, 512, 512]),
        ("vit_b_16", [768] * 4),
        ("swin_t", [96, 192, 384, 768]),
        ("maxvit_t", [64, 128, 256, 512]),
        ("regnet_y_400mf", [48, 104, 208, 440, 440]),
    ],
)
def test_default_blocks_of_every_family(arch, expected):
    assert list(channels(arch).values()) == expected
    assert list(channels(arch)) == [f"f{index}" for index in range(1, len(expected) + 1)]


def test_paper_adds_the_stem_of_a_resnet():
    assert list(channels("resnet18", blocks="paper").values()) == [64, 64, 128, 256, 512]
    assert channels("vgg16", blocks="paper") == channels("vgg16")
    with pytest.raises(ValueError, match="^blocks 'paper' are those of VGGs and ResNets"):
        channels("alexnet", blocks="paper")


def test_layers_may_be_named():
    row = ("layer2.0.conv1", "layer4")
    assert channels("resnet18", blocks=row) == {"f1": 128, "f2": 512}


def test_unknown_layer_lists_candidates():
    network = sketch_network("resnet18")
    with pytest.raises(ValueError) as raised:
        block_layers(network, torch.empty(1, 3, 8, 8), "resnet18", ("layer2.0.conv7",))
    assert str(raised.value).startswith(
        "arch 'resnet18' has no layer 'layer2.0.conv7'; near or among its layers are "
        "layer2.0.conv2, layer2.0.conv1"
    )


@pytest.mark.parametrize(
    ("arch", "smallest"),
    [("resnet18", 467), ("vgg16", 196)],
)
def test_without_padding_too_small_images_are_refused_with_the_smallest(arch, smallest):
    with pytest.raises(ValueError) as raised:
        channels(arch, padding="none", size=128)
    assert str(raised.value) == (
        f"images of 128 px are too small for arch {arch!r} with padding 'none': "
        f"the smallest image_size is {smallest} px"
    )
    assert channels(arch, padding="none", size=smallest)


def test_vit_has_positions_instead_of_padding():
    with pytest.raises(ValueError, match="^padding 'reflect': this network has no padded layer"):
        channels("vit_b_16", padding="reflect")
    assert channels("vit_b_16", positions="none") == channels("vit_b_16")
    with pytest.raises(ValueError, match="^positions: none - this network has no position embed"):
        channels("resnet18", positions="none")


@pytest.mark.parametrize(
    ("arch", "layers"),
    [
        ("vit_b_16", [f"encoder.layers.encoder_layer_{index}" for index in (2, 5, 8, 11)]),
        ("timm/vit_tiny_patch16_224", [f"blocks.{index}" for index in (2, 5, 8, 11)]),
    ],
)
def test_a_vit_is_read_at_four_depths_up_to_its_last_layer(arch, layers):
    images = torch.empty(1, 3, 224, 224, device="meta")
    assert block_layers(sketch_network(arch), images, arch, "default") == layers


def test_network_without_maps_is_refused():
    with pytest.raises(ValueError) as raised:
        channels(f"{__name__}:flat_network", size=16)
    assert str(raised.value) == (
        "the network has no spatial feature map: name its layers in `blocks`"
    )


def test_network_that_looks_at_values_is_read():
    assert channels(f"{__name__}:undecided_network", size=16) == {"f1": 4}


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("timm/tf_efficientnet_lite0", [16, 24, 40, 112, 320]),
        ("timm/resnet18", [64, 64, 128, 256, 512]),
        ("timm/swin_tiny_patch4_window7_224", [96, 192, 384, 768]),
        ("timm/vit_tiny_patch16_224", [192] * 4),
    ],
)
def test_blocks_of_timm_are_what_timm_calls_features(arch, expected):
    assert list(channels(arch, padding="as_built").values()) == expected


def test_first_output_of_a_layer_that_runs_twice_is_no_default_block():
    """The reader reads its first output, which another layer has overtaken."""
    assert channels(f"{__name__}:TwiceNetwork", size=16) == {"f1": 5}


def test_own_network_is_read_at_its_resolutions():
    assert channels(f"{__name__}:TwoPaths", size=16) == {"f1": 4}


def test_tokens_become_the_grid_that_they_were_cut_from():
    torch.manual_seed(0)
    vit = get_model("vit_b_32").eval()
    images = torch.randn(1, 3, 224, 224)
    patches = vit.conv_proj(images)
    tokens = patches.flatten(2).transpose(1, 2)
    with_class = torch.cat([vit.class_token, tokens], 1)
    expected = interpolate(patches, (5, 5), mode="bilinear", align_corners=True)
    torch.testing.assert_close(align(tokens, 5), expected)
    torch.testing.assert_close(align(with_class, 5), expected)
    torch.testing.assert_close(align(patches.permute(0, 2, 3, 1), 5, channels_last=True), expected)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 7, 4), "7 tokens are no square grid"), ((1, 7), r"a block of shape \(1, 7\) has no")],
)
def test_blocks_without_a_map_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        align(torch.zeros(shape), 4)
