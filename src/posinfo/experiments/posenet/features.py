"""Step 2: each image passes once through each frozen backbone."""

from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.backbones import BackboneConfig, build_backbone
from posinfo.networks.features import extract_features
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
        """Whether the backbone takes images of this size and its weights fit; a dry run.

        Raises:
            FileNotFoundError, ValueError: what cannot be, and what to change.
        """
        if self.feature_size > self.image_size:
            raise ValueError(
                f"feature_size {self.feature_size} must be at most image_size {self.image_size}: "
                "no block is larger than the image"
            )
        self.backbone.block_channels(self.image_size)
        self.backbone.check_weights(self.image_size)


def run(cell: FeaturesCell, inputs: Inputs, work: Work) -> Result:
    """Array ``features`` (n, s, s, c) float16, and in ``facts`` the ``channels`` of each block."""
    channels = cell.backbone.block_channels(cell.image_size)
    sizes = cell.image_size, cell.feature_size
    backbone = build_backbone(cell.backbone, *sizes, cell.normalisation)
    pixels = inputs["images"].arrays["pixels"]
    features = extract_features(backbone, pixels, sum(channels.values()), work)
    return Result(arrays={"features": features}, facts={"channels": list(channels.items())})
