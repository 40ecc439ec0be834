from urllib.error import URLError

import pytest
import timm
import torch
from torchvision.models import ResNet50_Weights, ViT_B_16_Weights, ViT_H_14_Weights

from posinfo.networks.models.downloaded_weights import imagenet_fetched
from posinfo.networks.models.weights import check_source, load_network, weights_key


def test_imagenet_weights_that_cannot_be_had_name_their_address(monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(
        ValueError, match=r"^weights 'imagenet' could not be had from https://.*vgg16"
    ):
        check_source("vgg16", "imagenet")


@pytest.mark.parametrize(
    ("arch", "release"),
    [
        ("resnet50", ResNet50_Weights.IMAGENET1K_V1),  # of two
        ("vit_b_16", ViT_B_16_Weights.IMAGENET1K_V1),  # and two of SWAG's
        ("vit_h_14", ViT_H_14_Weights.IMAGENET1K_SWAG_LINEAR_V1),  # at 224 px
    ],
)
def test_release_of_imagenet_weights_is_the_first_and_is_checked(monkeypatch, arch, release):
    asked = []

    def fetch(url, *_, **options):
        asked.append((url, options.get("check_hash")))
        return {}

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    for remembered in (check_source, imagenet_fetched):
        remembered.cache_clear()
    assert weights_key(arch, "imagenet", "mine") == release.url
    check_source(arch, "imagenet")
    assert asked == [(release.url, True)]


def test_imagenet_weights_are_torchvisions():
    with pytest.raises(ValueError, match=r"^arch \(of weights 'imagenet'\) must be one of alexnet"):
        check_source("tests.networks.models.test_architectures:own_network", "imagenet")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.mark.parametrize("refuse", [check_source, load_network])
def test_pretrained_weights_that_cannot_be_had_name_their_address(offline, refuse):
    with pytest.raises(ValueError) as raised:
        refuse("timm/test_vit", "pretrained")
    reason = raised.value.__cause__
    assert isinstance(reason, OSError)
    assert str(raised.value) == (
        "weights 'pretrained' of arch 'timm/test_vit' could not be had from "
        f"https://huggingface.co/timm/test_vit.r160_in1k ({reason}); "
        "download them by hand and give their path as weights"
    )


@pytest.fixture
def hub(monkeypatch):
    """Answers requests for weights of test_convnext; the list of what was asked for."""
    asked = []
    torch.manual_seed(8)
    state = timm.create_model("test_convnext").state_dict()

    def answer(model_id, *_, **__):
        asked.append(model_id)
        return dict(state)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", answer)
    return asked, state


@pytest.mark.parametrize("arch", ["timm/test_convnext", "timm/test_convnext.r160_in1k"])
def test_pretrained_weights_are_those_of_timm(hub, arch):
    asked, state = hub
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    check_source(arch, "pretrained")
    network = load_network(arch, "pretrained")
    assert torch.equal(torch.rand(1), expected)
    assert set(asked) == {"timm/test_convnext.r160_in1k"}
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in state.items())
    assert not network.training


@pytest.mark.parametrize(
    ("arch", "weights", "message"),
    [
        (
            "timm/resnet18",
            "imagenet",
            "weights 'imagenet' are those of torchvision's networks, timm's are 'pretrained'; "
            "got arch 'timm/resnet18'",
        ),
        (
            "resnet18",
            "pretrained",
            "weights 'pretrained' are those of arch timm/NAME, torchvision's are 'imagenet'; "
            "got arch 'resnet18'",
        ),
        (
            "timm/efficientnet_b8",
            "pretrained",
            "timm has no pretrained weights of arch 'timm/efficientnet_b8'",
        ),
    ],
)
def test_weights_that_a_network_has_not(arch, weights, message):
    for refuse in (check_source, load_network, lambda *source: weights_key(*source, "mine")):
        with pytest.raises(ValueError) as raised:
            refuse(arch, weights)
        assert str(raised.value) == message
