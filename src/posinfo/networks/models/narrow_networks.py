"""Networks of the papers at any width: ResNet-18 and DenseNet-121 as in torchvision, and BagNet-33.

None has a classifier; each returns its last maps.
"""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.densenet import DenseNet

from posinfo.networks.models.resnet18 import WIDTH, resnet18_stages

BAGNET_BLOCKS, BAGNET_STRIDES = (3, 4, 6, 3), (2, 2, 2, 1)
EXPANSION = 4  # channels of a stage's output per channel of its 3 x 3 convolution


def narrow_resnet18(width: int = WIDTH) -> nn.Module:
    """ResNet-18 with stem and max-pool (He et al., CVPR 2016): total stride 32, field 435 px.

    Args:
        width: channels of the stem and of the first stage.
    """
    stem = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    named = resnet18_stages(stem, width)
    named.insert(3, ("maxpool", nn.MaxPool2d(3, stride=2, padding=1)))
    return nn.Sequential(OrderedDict(named))


def narrow_densenet121(width: int = WIDTH) -> nn.Module:
    """DenseNet-121 (Huang et al., CVPR 2017): total stride 32.

    Args:
        width: channels of the stem; each layer adds half as many.
    """
    whole = DenseNet(max(1, width // 2), (6, 12, 24, 16), width)
    return nn.Sequential(whole.features, nn.ReLU())


def bagnet33(width: int = WIDTH) -> nn.Module:
    """BagNet-33 (Brendel and Bethge, ICLR 2019): no padding, total stride 8, field 33 px.

    ResNet-50 with a 3 x 3 convolution in the first block of each stage alone.

    Args:
        width: channels of the stem and of the first stage's 3 x 3 convolution.
    """
    named: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, width, 1, bias=False)),
        ("conv2", nn.Conv2d(width, width, 3, bias=False)),
        ("bn1", nn.BatchNorm2d(width)),
        ("relu", nn.ReLU()),
    ]
    inputs = width
    for stage, (blocks, stride) in enumerate(zip(BAGNET_BLOCKS, BAGNET_STRIDES, strict=True)):
        planes = width * 2**stage
        layers = [_Bottleneck(inputs, planes, 3, stride)]
        inputs = planes * EXPANSION
        layers += [_Bottleneck(inputs, planes, 1, 1) for _ in range(blocks - 1)]
        named.append((f"layer{stage + 1}", nn.Sequential(*layers)))
    return nn.Sequential(OrderedDict(named))


class _Bottleneck(nn.Module):
    """A residual block whose shortcut is cropped to what the convolutions without padding leave."""

    def __init__(self, inputs: int, planes: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        outputs = planes * EXPANSION
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, planes, 1, bias=False), nn.BatchNorm2d(planes), nn.ReLU(),
            nn.Conv2d(planes, planes, kernel_size, stride, bias=False), nn.BatchNorm2d(planes),
            nn.ReLU(), nn.Conv2d(planes, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d a b"]:
        """As in the released code, the last rows and columns of the shortcut are cropped."""
        changed = self.convolutions(maps)
        height, width = changed.shape[2:]
        return (changed + self.shortcut(maps)[:, :, :height, :width]).relu()
