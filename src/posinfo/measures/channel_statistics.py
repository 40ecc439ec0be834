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
        probe: on images without a layout, the difference between the averages of the left and of
            the right half of the mean map.
        probe_x: the same as a share of the mean absolute activation on these images, 0 to 2; of a
            channel that is hardly ever active it may be large.
        probe_y: as ``probe_x``, of the upper and the lower half.
    """

    z: Float[Tensor, "n c"]
    z_mirrored: Float[Tensor, "n c"]
    kernel_flip: Float[Tensor, " c"]
    magnitude: Float[Tensor, " c"]
    rms: Float[Tensor, " c"]
    mean_map: Float[Tensor, "c h w"]
    probe: Float[Tensor, " c"]
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
    """Two passes over the images with the network, and two with mirrored kernels, in float32.

    In bfloat16, rounding would be as large as the differences that are looked for.

    Args:
        network: in evaluation mode, on ``work.device``.
        layer: whose output (n, c, h, w) is the latent.
        images: batches to rank channels by.
        layout_free: batches of images in which no place is special.
        work: its ``on_progress`` counts images.
    """
    pooled: dict[str, list[Tensor]] = {"z": [], "z_mirrored": [], "kernel_flip": []}
    other, moments = with_mirrored_kernels(network), _Moments()
    for batch in images:
        maps, mirrored = _both_ways(network, layer, batch)
        pooled["z"].append(_pooled(maps))
        pooled["z_mirrored"].append(_pooled(mirrored))
        one, two = map(_pooled, _both_ways(other, layer, batch))
        pooled["kernel_flip"].append((one - two).abs())
        moments.add(maps)
        work.on_progress(len(batch))
    nothing = _Moments()
    for batch in layout_free:
        nothing.add(_latent(network, layer, batch))
        work.on_progress(len(batch))
    mean_map, absolute, squared = moments.means()
    probed, size, _ = nothing.means()
    x, y = halves_differ(probed), halves_differ(probed.transpose(1, 2))
    size = size.mean((1, 2))
    z, z_mirrored, kernel_flip = (torch.cat(parts) for parts in pooled.values())
    return ChannelStatistics(
        z=z,
        z_mirrored=z_mirrored,
        kernel_flip=kernel_flip.mean(0),
        magnitude=absolute.mean((1, 2)).float(),
        rms=squared.mean((1, 2)).sqrt().float(),
        mean_map=mean_map.float(),
        probe=x.float(),
        # a channel that is never active tells no place apart
        probe_x=(x / size).nan_to_num(0.0).float(),
        probe_y=(y / size).nan_to_num(0.0).float(),
    )


class _Moments:
    """Means over images of values, absolute values and squares at each place, on the CPU."""

    def __init__(self) -> None:
        self._sums, self._count = torch.zeros((), dtype=torch.float64), 0

    def add(self, maps: Float[Tensor, "_ c h w"]) -> None:
        sums = torch.stack([maps.sum(0), maps.abs().sum(0), maps.square().sum(0)])
        self._sums = self._sums + sums.cpu().double()
        self._count += len(maps)

    def means(self) -> Float[Tensor, "3 c h w"]:
        return self._sums / self._count


def halves_differ(maps: Float[Tensor, "c h w"]) -> Float[Tensor, " c"]:
    """How far the averages of the left and of the right half differ.

    A column in the middle belongs to neither.
    """
    half = maps.shape[2] // 2
    return (maps[..., :half].mean((1, 2)) - maps[..., -half:].mean((1, 2))).abs()


def _both_ways(
    network: nn.Module, layer: str, images: Images
) -> tuple[Float[Tensor, "_ c h w"], Float[Tensor, "_ c h w"]]:
    """The latents of images and of their mirror images."""
    return _latent(network, layer, images), _latent(network, layer, images.flip(3))


@torch.inference_mode()
def _latent(network: nn.Module, layer: str, images: Images) -> Float[Tensor, "_ c h w"]:
    images = images.contiguous(memory_format=torch.channels_last)
    return BlockReader(network, [layer], lambda output, _: output)(images)["f1"]


def _pooled(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
    return maps.mean((2, 3)).cpu()
