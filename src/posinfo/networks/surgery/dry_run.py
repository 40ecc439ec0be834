"""What can be found out of a network without computing anything but shapes."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor, nn

from posinfo.networks.models.architectures import build_network, sketch_network
from posinfo.networks.surgery.block_reader import BlockReader, Touched
from posinfo.networks.surgery.blocks import Blocks, block_layers

T = TypeVar("T")


def dry_run(arch: str, image_size: int, run: Callable[[nn.Module, Tensor], T]) -> T:
    """What a function finds of an untrained network and an image.

    Args:
        arch: see ``posinfo.networks.models.architectures``.
        image_size: side in pixels of the image.
        run: gets the network, whose layers it may not change, and an image (1, 3, s, s). Both are
            on the meta device, which computes shapes alone; a network that looks at values gets a
            black image and computes.
    """
    size = (1, 3, image_size, image_size)
    try:
        return run(_sketch(arch), torch.empty(size, device="meta"))
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):  # as PyTorch says where a value is asked for
            raise
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        return run(build_network(arch), torch.zeros(size))


@lru_cache(maxsize=256)
def find_layers(arch: str, blocks: Blocks, image_size: int) -> tuple[str, ...]:
    """The layers behind the blocks of a network, see ``block_layers``."""

    def found(network: nn.Module, images: Tensor) -> tuple[str, ...]:
        return tuple(block_layers(network, images, arch, blocks))

    return dry_run(arch, image_size, found)


@lru_cache(maxsize=256)
def needed_tensors(arch: str, blocks: Blocks, image_size: int) -> frozenset[str]:
    """Names of the parameters and buffers that the blocks of a network depend on."""
    layers = find_layers(arch, blocks, image_size)

    def touched(network: nn.Module, images: Tensor) -> frozenset[str]:
        with Touched(network) as used:
            BlockReader(network, layers, lambda block, index: block)(images)
        return frozenset(used.names)

    return dry_run(arch, image_size, touched)


@lru_cache(maxsize=32)
def _sketch(arch: str) -> nn.Module:
    return sketch_network(arch)
