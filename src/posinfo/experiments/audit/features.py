"""The maps of a network's layers, resized to one side, that readouts of position are fitted to."""

import torch

from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import NetworkCell
from posinfo.networks.models.backbones import Backbone
from posinfo.networks.readouts.features import extract_features
from posinfo.networks.surgery.block_reader import BlockReader
from posinfo.networks.surgery.blocks import align
from posinfo.work import Work


class FeaturesCell(NetworkCell):
    """A network and a set of images.

    Attributes:
        feature_size: side in pixels to which every map is resized.
    """

    feature_size: int


def run(cell: FeaturesCell, inputs: Inputs, work: Work) -> Result:
    """Array ``features`` (n, s, s, c) float16 and, in ``facts``, the ``channels`` of each layer."""
    observed = cell.network.load(cell.image_size)
    channels: dict[str, int] = {}

    def aligned(block: torch.Tensor, index: int) -> torch.Tensor:
        maps = align(block, cell.feature_size, observed.channels_last)
        channels[observed.layers[index]] = maps.shape[1]
        return maps

    blocks = BlockReader(observed.network, observed.layers, aligned)
    blocks.to(work.device)
    with torch.inference_mode():
        blocks(torch.zeros(1, 3, cell.image_size, cell.image_size, device=work.device))
    backbone = Backbone(blocks, cell.feature_size, "imagenet", cell.network.colours)
    pixels = inputs["images"].arrays["pixels"]
    features = extract_features(backbone, pixels, sum(channels.values()), work)
    return Result(arrays={"features": features}, facts={"channels": list(channels.items())})
