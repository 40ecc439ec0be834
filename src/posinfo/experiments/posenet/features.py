"""Step 2: each image passes once through each frozen backbone."""

from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.backbones import BackboneConfig, build_backbone
from posinfo.networks.readouts.features import extract_features
from posinfo.work import Work


class FeaturesCell(Cell):
    """A backbone and what it is shown.

    Attributes:
        backbone: architecture, weights, padding and blocks.
        weights: key of what the source of the weights holds.
        image_size: side in pixels of the images.
        feature_size: side in pixels to which every block is resized.
        normalisation: of the images, a key of ``NORMALISATIONS``.
    """

    backbone: BackboneConfig
    weights: str
    image_size: int
    feature_size: int
    normalisation: str

    def check(self) -> None:
        """See ``BackboneConfig.check``."""
        self.backbone.check(self.image_size, self.feature_size)


def run(cell: FeaturesCell, inputs: Inputs, work: Work) -> Result:
    """Array ``features`` (n, s, s, c) float16.

    In ``facts``, the ``channels`` of each block, and with a padding other than ``as_built`` which
    calls were ``padded``, see ``PaddedCall``.
    """
    channels = cell.backbone.block_channels(cell.image_size)
    sizes = cell.image_size, cell.feature_size
    backbone = build_backbone(cell.backbone, *sizes, cell.normalisation)
    pixels = inputs["images"].arrays["pixels"]
    features = extract_features(backbone, pixels, sum(channels.values()), work)
    padded = getattr(backbone.blocks, "padded_calls", [])
    facts = {"channels": list(channels.items()), "padded": padded}
    return Result(arrays={"features": features}, facts=facts)
