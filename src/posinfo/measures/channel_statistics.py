"""What the channels of a latent do: on images, on their mirror images, and where nothing is to see.

Islam et al., ICCV 2021, experiment 3, look for channels that encode position by how much the
average of a channel over all places changes when the image is mirrored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.surgery.block_reader import BlockReader
from posinfo.networks.surgery.mirrored import with_mirrored_kernels
from posinfo.work import Work

Images = Float[Tensor, "_ 3 _ _"]


@dataclass(frozen=True)
class ChannelStatistics:
    """Of each of c channels.

    Attributes:
        z: average over all places, per image (n, c).
        z_mirrored: the same of the mirror images.
        kernel_flip: mean over images of ``|z - z_mirrored|`` of the network with mirrored kernels.
        magnitude: mean absolute activation.
        rms: root of the mean squared activation.
        mean_map: activation at each place, averaged over images (c, h, w).
        probe_x: on images without a layout, the difference between the averages of the left and
            of the right half of the map, as a share of its mean absolute activation.
        probe_y: the same of its upper and its lower half.
    """

    z: Float[Tensor, "n c"]
    z_mirrored: Float[Tensor, "n c"]
    kernel_flip: Float[Tensor, " c"]
    magnitude: Float[Tensor, " c"]
    rms: Float[Tensor, " c"]
    mean_map: Float[Tensor, "c h w"]
    probe_x: Float[Tensor, " c"]
    probe_y: Float[Tensor, " c"]

    def tensors(self) -> dict[str, Tensor]:
        """All of them by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def channel_statistics(
    network: nn.Module,
    layer: str,
    images: Iterable[Images],
    layout_free: Iterable[Images],
    work: Work,
) -> ChannelStatistics:
    """Two passes over the images with the network, and two with mirrored kernels.

    Args:
        network: in evaluation mode, on ``work.device``.
        layer: whose output (n, c, h, w) is the latent.
        images: batches to rank channels by.
        layout_free: batches of images in which no place is special.
        work: its ``dtype`` is that of the forward pass; ``on_progress`` counts images.
    """
    pooled: dict[str, list[Tensor]] = {"z": [], "z_mirrored": [], "kernel_flip": []}
    other, moments, count = with_mirrored_kernels(network), torch.zeros(()), 0
    for batch in images:
        maps, mirrored = _both_ways(network, layer, batch, work)
        pooled["z"].append(_pooled(maps))
        pooled["z_mirrored"].append(_pooled(mirrored))
        one, two = map(_pooled, _both_ways(other, layer, batch, work))
        pooled["kernel_flip"].append((one - two).abs())
        moments = moments.to(maps) + _moments(maps)
        count += len(batch)
        work.on_progress(len(batch))
    mean_map, absolute, squared = moments / count
    probe = _probe(network, layer, layout_free, work)
    z, z_mirrored, kernel_flip = (torch.cat(parts).cpu() for parts in pooled.values())
    return ChannelStatistics(
        z=z,
        z_mirrored=z_mirrored,
        kernel_flip=kernel_flip.mean(0),
        magnitude=absolute.mean((1, 2)).float().cpu(),
        rms=squared.mean((1, 2)).sqrt().float().cpu(),
        mean_map=mean_map.float().cpu(),
        probe_x=probe[0].float().cpu(),
        probe_y=probe[1].float().cpu(),
    )


def halves_differ(maps: Float[Tensor, "c h w"]) -> Float[Tensor, " c"]:
    """How far the averages of the left and of the right half differ.

    A column in the middle belongs to neither.
    """
    half = maps.shape[2] // 2
    return (maps[..., :half].mean((1, 2)) - maps[..., -half:].mean((1, 2))).abs()


def _probe(
    network: nn.Module, layer: str, images: Iterable[Images], work: Work
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Left against right, and up against down."""
    moments = torch.zeros(())
    for batch in images:
        maps = _latent(network, layer, batch, work)
        moments = moments.to(maps) + _moments(maps)
        work.on_progress(len(batch))
    mean_map, absolute, _ = moments
    size = absolute.mean((1, 2))
    # a channel that is never active tells no place apart
    left_right, up_down = halves_differ(mean_map), halves_differ(mean_map.transpose(1, 2))
    return (left_right / size).nan_to_num(0.0), (up_down / size).nan_to_num(0.0)


def _moments(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "3 c h w"]:
    """Sums over images of values, absolute values and squares."""
    return torch.stack([maps.sum(0), maps.abs().sum(0), maps.square().sum(0)])


def _both_ways(
    network: nn.Module, layer: str, images: Images, work: Work
) -> tuple[Float[Tensor, "_ c h w"], Float[Tensor, "_ c h w"]]:
    """The latents of images and of their mirror images."""
    return _latent(network, layer, images, work), _latent(network, layer, images.flip(3), work)


@torch.inference_mode()
def _latent(network: nn.Module, layer: str, images: Images, work: Work) -> Float[Tensor, "_ c h w"]:
    """In double precision: the sum of a mirrored map is that of the map."""
    images = images.contiguous(memory_format=torch.channels_last)
    with work.autocast():
        return BlockReader(network, [layer], lambda output, _: output)(images)["f1"].double()


def _pooled(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
    return maps.mean((2, 3)).float()
