import pytest
import timm
import torch
from torch import nn
from torchvision.models import densenet121
from torchvision.models.segmentation import (
    deeplabv3_mobilenet_v3_large,
    fcn_resnet50,
    lraspp_mobilenet_v3_large,
)

from posinfo.networks.surgery.ablation import ablated, without_channels
from posinfo.networks.surgery.padding import repad
from posinfo.networks.surgery.resumable import Resumable


def untrained(build, **settings):
    torch.manual_seed(0)
    return build(weights=None, **settings).eval()


class Skipping(nn.Module):
    """Uses one layer before and behind the latent, adds in place, and skips around it."""

    def __init__(self):
        super().__init__()
        self.stem, self.latent, self.shared = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.calls = []
        self.stem.register_forward_hook(lambda *call: self.calls.append("stem"))

    def forward(self, images):
        early = self.shared(self.stem(images))
        early += images
        return {"out": self.shared(self.latent(early.relu())) + early}


NETWORKS = {
    "fcn": (lambda: untrained(fcn_resnet50, weights_backbone=None), "backbone.layer4"),
    "deeplab": (
        lambda: untrained(deeplabv3_mobilenet_v3_large, weights_backbone=None),
        "backbone.16",
    ),
    "lraspp": (lambda: untrained(lraspp_mobilenet_v3_large, weights_backbone=None), "backbone.16"),
    "densenet": (lambda: untrained(densenet121), "features.denseblock3"),
    "timm": (lambda: timm.create_model("tf_efficientnet_lite0").eval(), "bn2"),
    "skipping": (lambda: Skipping().eval(), "latent"),
}


REPADDED = ("lraspp", "timm", "skipping")  # heads with and without padding


def answer(output):
    return output["out"] if isinstance(output, dict) else output


@pytest.mark.parametrize(
    ("name", "padding"),
    [*((name, "as_built") for name in NETWORKS), *((name, "circular") for name in REPADDED)],
)
@torch.no_grad()
def test_finishing_is_running_the_whole_network(name, padding):
    build, layer = NETWORKS[name]
    network = repad(build(), padding)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    resumable = Resumable(network, layer)
    latent = resumable.start(images)
    for channels in ([], [0, 2], [1]):
        with ablated(network, layer, channels):
            whole = answer(network(images))
        assert torch.equal(answer(resumable.finish(without_channels(latent, channels))), whole)


def test_what_stands_before_the_layer_runs_once():
    network = Skipping().eval()
    resumable = Resumable(network, "latent")
    resumable.start(torch.rand(1, 3, 4, 4))
    network.calls.clear()
    stem, forward = network.stem, nn.Conv2d.forward
    stem.forward = lambda images: network.calls.append("forward") or forward(stem, images)
    resumable.finish(torch.rand(1, 3, 4, 4))
    assert "forward" not in network.calls
    network(torch.rand(1, 3, 4, 4))
    assert "forward" in network.calls, "the user's own forward is there again"


def test_nothing_is_left_behind():
    network = Skipping().eval()
    before = {name: dict(vars(module)) for name, module in network.named_modules()}
    resumable = Resumable(network, "latent")
    with pytest.raises(RuntimeError):
        resumable.start(torch.rand(1, 3, 0, 4))
    resumable.start(torch.rand(1, 3, 4, 4))
    with pytest.raises(RuntimeError):
        resumable.finish(torch.rand(1, 7, 4, 4))
    for name, module in network.named_modules():
        assert vars(module).keys() == before[name].keys()
        assert len(module._forward_hooks) == (name == "stem")


def test_layers_that_do_not_run_are_refused():
    network = Skipping()
    network.idle = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="does not run its layer 'idle'"):
        Resumable(network, "idle").start(torch.rand(1, 3, 4, 4))
