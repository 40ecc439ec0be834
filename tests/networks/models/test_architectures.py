import pytest
import timm
import torch
from torch import nn

from posinfo.networks.models.architectures import build_network, check_arch, sketch_network


def own_network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())


def no_network():
    return "a string"


def test_own_function_is_called():
    network = build_network(f"{__name__}:own_network")
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 8, 8)
    assert not network.training


@pytest.mark.parametrize(
    "arch",
    [
        "vgg16", "regnet_y_400mf", "googlenet", "inception_v3",
        "timm/convnext_tiny", "timm/resnet18.a1_in1k", "timm/swinv2_tiny_window8_256",
    ],
)  # fmt: skip
def test_sketches_take_no_memory(arch):
    assert all(parameter.is_meta for parameter in sketch_network(arch).parameters())


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("absent_package:f", "arch 'absent_package:f' cannot be imported (No module named"),
        (f"{__name__}:absent", f"arch '{__name__}:absent' cannot be imported (module"),
        (f"{__name__}:__name__", f"arch '{__name__}:__name__' is no function but <class 'str'>"),
        ("resnet81", "package.module:function; got 'resnet81' (did you mean 'resnet18'?)"),
        ("timm/resnet18(width=8)", "one of timm.list_models(); got 'timm/resnet18(width=8)'"),
    ],
)
def test_what_cannot_be_built_is_refused(arch, message):
    with pytest.raises(ValueError) as raised:
        check_arch(arch)
    assert message in str(raised.value)


def test_function_must_return_a_network():
    with pytest.raises(TypeError, match=r"no_network' must return a torch.nn.Module; got <class"):
        build_network(f"{__name__}:no_network")


def test_own_networks_take_a_width():
    narrow = build_network("canvas_resnet18(width=8)")
    assert narrow(torch.zeros(1, 3, 96, 96)).shape == (1, 64, 6, 6)
    assert not narrow.training


@pytest.mark.parametrize(
    "arch", ["resnet18(width=8)", "canvas_resnet18(width=0)", "canvas_resnet18()"]
)
def test_widths_that_cannot_be(arch):
    with pytest.raises(ValueError, match=r"canvas_resnet18\(width=N\), .*cifar_resnet18\("):
        check_arch(arch)


@pytest.mark.parametrize("arch", ["timm/test_convnext", "timm/test_convnext.r160_in1k"])
def test_networks_of_timm_are_timms(arch):
    torch.manual_seed(4)
    expected = timm.create_model("test_convnext").eval()
    torch.manual_seed(4)
    network = build_network(check_arch(arch))
    assert not network.training
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(images), expected(images))


@pytest.mark.parametrize(
    ("arch", "near"),
    [
        ("timm/convnxt_tiny", "convnext_tiny, timm/convnextv2_tiny, timm/convit_tiny"),
        (
            "timm/resnet18.a1_in21k",
            "resnet18.a1_in1k, timm/resnet18.a3_in1k, timm/resnet18.a2_in1k",
        ),
    ],
)
def test_unknown_networks_and_tags_of_timm_name_near_ones(arch, near):
    with pytest.raises(ValueError) as raised:
        check_arch(arch)
    assert str(raised.value) == (
        f"arch must be one of timm/{near}, timm/ and one of timm.list_models(); "
        f"got {arch!r} (did you mean 'timm/{near.partition(',')[0]}'?)"
    )
