"""ResNet-18 without the max-pool and of any width, for small images (He et al., CVPR 2016)."""

from collections import OrderedDict

from torch import nn
from torchvision.models.resnet import BasicBlock, conv1x1

WIDTH = 64  # channels of the first stage
BLOCKS_PER_STAGE = 2


def canvas_resnet18(width: int = WIDTH) -> nn.Module:
    """The backbone of GAPNet and PermuteNet (Islam et al., ICCV 2021, released code).

    A 7 x 7 stem of stride 2, no max-pool, four stages of two basic blocks; total stride 16.
    Layers are called as in torchvision's ResNet-18, and at full width its weights fit.

    Args:
        width: channels of the first stage; the others have 2, 4 and 8 times as many.
    """
    return _resnet18(nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False), width)


def cifar_resnet18(width: int = WIDTH) -> nn.Module:
    """ResNet-18 for 32 px images: a 3 x 3 stem of stride 1; total stride 8.

    Args:
        width: see ``canvas_resnet18``.
    """
    return _resnet18(nn.Conv2d(3, width, 3, padding=1, bias=False), width)


def segmenter_resnet18(width: int = WIDTH) -> nn.Module:
    """As ``canvas_resnet18``, but its last stage keeps the size: total stride 8.

    Args:
        width: see ``canvas_resnet18``.
    """
    stem = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    return _resnet18(stem, width, strides=(1, 2, 2, 1))


def _resnet18(
    stem: nn.Conv2d, width: int, strides: tuple[int, ...] = (1, 2, 2, 2)
) -> nn.Sequential:
    return nn.Sequential(OrderedDict(resnet18_stages(stem, width, strides)))


def resnet18_stages(
    stem: nn.Conv2d, width: int, strides: tuple[int, ...] = (1, 2, 2, 2)
) -> list[tuple[str, nn.Module]]:
    """The layers by name, without a max-pool: ``conv1, bn1, relu, layer1`` to ``layer4``.

    Args:
        stem: the first convolution.
        width: see ``canvas_resnet18``.
        strides: of each stage.
    """
    stages: list[tuple[str, nn.Module]] = []
    channels = width
    for stage, stride in enumerate(strides):
        wider = width * 2**stage
        stages.append((f"layer{stage + 1}", _stage(channels, wider, stride)))
        channels = wider
    relu = nn.ReLU(inplace=True)
    return [("conv1", stem), ("bn1", nn.BatchNorm2d(width)), ("relu", relu), *stages]


def _stage(channels: int, wider: int, stride: int) -> nn.Module:
    shortcut = None
    if stride > 1 or channels != wider:
        # A strided 1 x 1 convolution in two layers: the weight gradient of the one is wrong or
        # crashes where fewer than 16 channels are last in memory (oneDNN issue 6035).
        taken = ("every_other", nn.AvgPool2d(1, stride))
        named = [taken, ("0", conv1x1(channels, wider)), ("1", nn.BatchNorm2d(wider))]
        shortcut = nn.Sequential(OrderedDict(named))
    first = BasicBlock(channels, wider, stride, shortcut)
    others = [BasicBlock(wider, wider) for _ in range(BLOCKS_PER_STAGE - 1)]
    return nn.Sequential(first, *others)
