import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import interpolate

from posinfo.networks.models.architectures import sketch_network
from posinfo.networks.models.augshift import AugShiftConfig, build_latent_classifier
from posinfo.networks.models.backbones import BackboneConfig, build_backbone
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.trained_file import with_colours
from posinfo.networks.models.weights import load_network
from posinfo.networks.surgery.block_reader import BlockReader
from posinfo.networks.surgery.blocks import align
from posinfo.networks.surgery.dry_run import find_layers
from posinfo.networks.surgery.padding import repad


def row(arch="vgg16", weights="untrained", padding="zero", **more):
    return BackboneConfig(arch=arch, weights=weights, padding=padding, **more)


def images(generator, side=64):
    return torch.randint(0, 256, (2, 3, side, side), generator=generator, dtype=torch.uint8)


def test_vgg16_blocks_are_the_relu_outputs_before_pooling(generator):
    shown = images(generator)
    layers = load_network("vgg16", "untrained").features
    outputs, x = [], normalise(shown, "imagenet")
    for index, layer in enumerate(layers):
        x = layer(x)
        if index in (3, 8, 15, 22, 29):
            outputs.append(interpolate(x, (7, 7), mode="bilinear", align_corners=True))
    features = build_backbone(row(), 64, 7, "imagenet")(shown)
    torch.testing.assert_close(features, torch.cat(outputs, 1).detach(), rtol=1e-4, atol=1e-5)
    assert features.shape == (2, 1472, 7, 7)


def test_image_alone_is_resized(generator):
    shown = images(generator)
    backbone = build_backbone(row("image", "none", "none"), 64, 7, "none")
    expected = interpolate(shown.float() / 255, (7, 7), mode="bilinear", align_corners=True)
    torch.testing.assert_close(backbone(shown), expected)


@pytest.mark.parametrize("arch", ["image", "squeezenet1_1", "resnet18", "mobilenet_v3_small"])
def test_dry_run_gives_the_true_number_of_channels(arch, generator):
    config = row("image", "none", "none") if arch == "image" else row(arch)
    features = build_backbone(config, 64, 5, "imagenet")(images(generator))
    assert features.shape[1] == sum(config.block_channels(64).values())


def test_released_block_sizes_without_padding():
    network = repad(sketch_network("vgg16"), "none")
    reader = BlockReader(network, find_layers("vgg16", "default", 224), lambda block, index: block)
    maps = reader(torch.empty(1, 3, 224, 224, device="meta"))
    assert [tuple(m.shape[-2:]) for m in maps.values()] == [(s, s) for s in (220, 106, 47, 17, 2)]


def test_backbone_without_a_classifier_moves_to_a_device(generator):
    """The embedded weights end before it."""
    backbone = build_backbone(row(weights="hed-bsds500", padding="none"), 224, 4, "imagenet")
    backbone.to(torch.device("cpu"), torch.float32)
    assert backbone(images(generator, 224)).shape == (2, 1472, 4, 4)
    assert not any("classifier" in name for name in backbone.state_dict())


def test_nothing_of_a_backbone_can_learn():
    backbone = build_backbone(row("resnet18"), 64, 7, "imagenet")
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.blocks.modules())


class OwnNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.mean = torch.tensor(float(torch.ones(3).mean().item()))  # no meta device has items

    def forward(self, images):
        return torch.relu(self.conv(images) - self.mean)


def own_network():
    return OwnNetwork()


def test_own_network_takes_a_checkpoint(tmp_path, generator):
    torch.manual_seed(4)
    trained = own_network()
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    config = row(arch=f"{__name__}:own_network", weights=str(tmp_path / "w.pth"))
    config.check(16, 2)
    shown = images(generator, side=16)
    features = build_backbone(config, 16, 16, "none")(shown)
    torch.testing.assert_close(features, trained(shown / 255).detach())


def test_too_small_images_are_refused():
    with pytest.raises(ValueError) as raised:
        row(padding="none").block_channels(128)
    assert str(raised.value) == (
        "images of 128 px are too small for arch 'vgg16' with padding 'none': "
        "the smallest image_size is 196 px"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"arch": "vvgg16"},
            "package.module:function; got 'vvgg16' (did you mean 'vgg16'?)",
        ),
        (
            {"padding": "circle"},
            "padding must be one of as_built, zero, none, reflect, replicate, circular, partial; "
            "got 'circle'",
        ),
        (
            {"arch": "image"},
            "arch 'image' has no layers: weights and padding must be none; got weights "
            "'untrained', padding 'zero'",
        ),
        ({"colour": "red"}, "setting must be one of"),
    ],
)
def test_bad_rows_are_refused(fields, message):
    with pytest.raises(ValidationError) as raised:
        row(**fields)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("method", "arch"),
    [
        ("baseline", "cifar_resnet18(width=2)"),
        ("blurpool", "cifar_resnet18_blurpool(width=2)"),
        ("fconv", "cifar_resnet18_fconv(width=2)"),
    ],
)
def test_trained_network_sees_the_colours_of_its_training(generator, tmp_path, method, arch):
    config = AugShiftConfig(method=method, width=2, latent_weight=0, loss="mean")
    network = build_latent_classifier(config, 4, 0)
    mean, std = torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.125, 0.25, 0.5])
    for name, subtracted in (("own", mean), ("other", mean / 2)):
        path = tmp_path / f"{name}.safetensors"
        save_file(with_colours(network.state_dict(), subtracted, std), path)
        backbone = build_backbone(row(arch, str(path), "as_built"), 32, 4, "imagenet")
        shown = images(generator, 32)
        colours = (shown / 255 - subtracted[:, None, None]) / std[:, None, None]
        maps = network.maps.eval()(colours)
        if method == "fconv":
            maps = maps[:, :, 7:-7, 7:-7]  # the image
        last = interpolate(maps, (4, 4), mode="bilinear", align_corners=True)
        torch.testing.assert_close(backbone(shown)[:, -16:], last.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arch", ["cifar_resnet18", "cifar_resnet18_fconv"])
def test_blocks_show_the_image_and_nothing_beyond_it(arch, generator):
    """A pixel far from the border is where the plain network has it, to half a stride."""
    config = row(f"{arch}(width=4)", padding="as_built")
    black = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
    sizes = {1: 224, 2: 112, 3: 56, 4: 28}
    for stage, side in sizes.items():
        own = config.model_copy(update={"blocks": (f"layer{stage}",)})
        backbone = build_backbone(own, 224, side, "none")
        for y, x in ((64, 152), (112, 112), (160, 72)):
            shown = black.clone()
            shown[:, :, y, x] = 255
            change = (backbone(shown) - backbone(black)).abs().sum((0, 1))
            rows, columns = change.sum(1), change.sum(0)
            stride = 224 / side
            for weights, place in ((rows, y), (columns, x)):
                middle = (weights * torch.arange(side)).sum() / weights.sum()
                assert middle.item() * stride == pytest.approx(place, abs=stride)


@pytest.mark.parametrize("padding", ["as_built", "zero", "reflect", "circular", "none"])
def test_rows_beyond_the_image_are_those_that_full_padding_adds(generator, padding):
    arch, layers = "cifar_resnet18_fconv(width=2)", ("layer1", "layer2", "layer3", "layer4")
    config = row(arch, padding=padding, blocks=layers)
    shown = images(generator, 224)
    network = repad(load_network(arch, "untrained"), padding)
    with torch.inference_mode():
        maps = BlockReader(network, layers, lambda block, index: block)(
            normalise(shown, "imagenet")
        )
    expected = []
    for block, beyond in zip(maps.values(), (10, 12, 13, 14), strict=True):
        first = 0 if padding == "none" else (beyond + 1) // 2
        last = block.shape[2] if padding == "none" else block.shape[2] - beyond + first
        expected.append(align(block[:, :, first:last, first:last], 9))
    sides = [block.shape[2] for block in maps.values()]
    assert padding == "none" or sides == [224 + 10, 112 + 12, 56 + 13, 28 + 14]
    features = build_backbone(config, 224, 9, "imagenet")(shown)
    torch.testing.assert_close(features, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)


class Patches(nn.Module):
    """Patches of an image, to each of which its own embedding is added."""

    def __init__(self, name):
        super().__init__()
        self.patches, self.name = nn.Conv2d(3, 4, 4, stride=4), name
        self.register_parameter(name, nn.Parameter(torch.randn(1, 16, 4)))

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2) + getattr(self, self.name)
        return tokens.transpose(1, 2).unflatten(2, (4, 4))


def like_torchvision():
    return Patches("pos_embedding")


def like_timm():
    return Patches("pos_embed")


@pytest.mark.parametrize("name", ["like_torchvision", "like_timm"])
def test_a_network_without_its_positions_sees_a_constant_image_alike_everywhere(name):
    grey = torch.full((1, 3, 16, 16), 128, dtype=torch.uint8)
    spread = {}
    for positions in ("kept", "none"):
        config = row(f"{__name__}:{name}", padding="as_built", positions=positions)
        features = build_backbone(config, 16, 4, "imagenet")(grey)
        spread[positions] = (features.amax((2, 3)) - features.amin((2, 3))).max().item()
    assert spread["none"] == pytest.approx(0, abs=1e-6) and spread["kept"] > 1
