import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from posinfo.experiment import Result
from posinfo.experiments.posenet.features import FeaturesCell, run
from posinfo.networks.models.backbones import BackboneConfig


def cell(arch="image", weights="none", padding="none", **changes):
    backbone = BackboneConfig(arch=arch, weights=weights, padding=padding)
    settings = {"image_size": 32, "feature_size": 8, "normalisation": "none", **changes}
    return FeaturesCell(backbone=backbone, weights="", **settings)


@pytest.fixture
def pixels(generator):
    return torch.randint(0, 256, (3, 3, 32, 32), generator=generator, dtype=torch.uint8).numpy()


def test_features_of_the_image_alone_are_the_image(pixels, work):
    result = run(cell(), {"images": Result(arrays={"pixels": pixels})}, work)
    shown = torch.from_numpy(pixels).float() / 255
    expected = interpolate(shown, (8, 8), mode="bilinear", align_corners=True)
    got = result.arrays["features"]
    np.testing.assert_allclose(got, expected.permute(0, 2, 3, 1).numpy(), atol=1e-3)
    assert isinstance(got, np.memmap) and got.dtype == np.float16
    assert result.facts == {"channels": [("image", 3)], "padded": []}


def test_channels_are_those_of_the_blocks_in_order(pixels, work):
    result = run(
        cell("resnet18", "untrained", "zero"), {"images": Result(arrays={"pixels": pixels})}, work
    )
    assert [channels for _, channels in result.facts["channels"]] == [64, 128, 256, 512]
    assert [name for name, _ in result.facts["channels"]] == ["f1", "f2", "f3", "f4"]
    assert result.arrays["features"].shape == (3, 8, 8, 960)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"feature_size": 33},
            "^feature_size 33 must be at most image_size 32: no block is larger",
        ),
        (
            {"arch": "vgg16", "weights": "untrained", "padding": "none"},
            "^images of 32 px are too small for arch 'vgg16' with padding 'none'",
        ),
        (
            {"arch": "vgg19", "weights": "hed-bsds500", "padding": "zero"},
            "^weights 'hed-bsds500' belong to arch vgg16; got arch 'vgg19'$",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_a_dry_run(changes, message):
    with pytest.raises(ValueError, match=message):
        cell(**changes).check()


def test_missing_weights_are_refused_by_a_dry_run():
    with pytest.raises(FileNotFoundError, match=r"^weights: there is no file nowhere\.pth$"):
        cell("vgg16", "nowhere.pth", "zero").check()


def test_says_what_was_padded(pixels, work):
    only = {"padding_layers": ("layer3.1",), "blocks": ("layer4",)}
    backbone = BackboneConfig(arch="resnet18", weights="untrained", padding="reflect", **only)
    shown = cell("resnet18", "untrained", "reflect").model_copy(update={"backbone": backbone})
    padded = run(shown, {"images": Result(arrays={"pixels": pixels})}, work).facts["padded"]
    assert [tuple(call) for call in padded] == [
        ("layer3.1.conv1", "conv2d", (1, 1, 1, 1)), ("layer3.1.conv2", "conv2d", (1, 1, 1, 1)),
    ]  # fmt: skip
