"""One cell of a table: a backbone, a readout on some of its blocks, and the patterns to read."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator

from posinfo.choices import check
from posinfo.networks.backbones import BackboneConfig
from posinfo.networks.feature_array import block_ranges
from posinfo.networks.normalisation import NORMALISATIONS
from posinfo.networks.readout_config import ReadoutConfig
from posinfo.networks.ridge import require_memory
from posinfo.pipelines.labels import LABEL, no_repeats


class Cell(BaseModel):
    """What is trained and scored together.

    Attributes:
        label: of the cell, which names files: letters, digits, ``. _ + -``.
        name: the label without the seed of an untrained backbone: a row of a table.
        backbone: label of the backbone.
        row: the backbone itself.
        features: label of its features, which cells may share.
        blocks: names of the blocks that are read; empty: all.
        readout: the head and its fit.
        patterns: to read, keys of ``PATTERNS``.
        seeds: of the readouts.
        image_size: side in pixels of the images and of the ground truth.
        feature_size: side in pixels to which every block is resized.
        normalisation: of the images.
        stripes: range of the striped patterns.
        tables: of the paper in which the cell stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str, StringConstraints(pattern=LABEL)]
    name: str
    backbone: str
    row: BackboneConfig
    features: str
    blocks: tuple[str, ...]
    readout: ReadoutConfig
    patterns: tuple[str, ...]
    seeds: tuple[int, ...]
    image_size: int
    feature_size: int
    normalisation: str
    stripes: str
    tables: tuple[str, ...]

    @field_validator("normalisation")
    @classmethod
    def _known_normalisation(cls, normalisation: str) -> str:
        return check("normalisation", normalisation, NORMALISATIONS)

    @field_validator("patterns", "seeds", "blocks")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        return no_repeats(values)

    @property
    def heads(self) -> list[tuple[str, int]]:
        """Pattern and seed of each readout, in the order in which they are kept."""
        return [(pattern, seed) for pattern in self.patterns for seed in self.seeds]

    @property
    def feature_settings(self) -> dict[str, object]:
        """All that the features depend on, but for the images."""
        fields = {"image_size", "feature_size", "normalisation"}
        return {**self.row.model_dump(mode="json"), **self.model_dump(include=fields)}

    def readout_settings(self, features: str) -> dict[str, object]:
        """All that trained readouts depend on, given the key of their train features."""
        fields = {"blocks", "stripes", "image_size"}
        return {
            "features": features,
            "heads": self.heads,
            **self.model_dump(include=fields),
            **self.readout.settings,
        }

    def flat_settings(self) -> dict[str, object]:
        """Every setting of the cell for a tracker, but for the patterns."""
        row = self.row.model_dump(mode="json")
        row["backbone_seed"], row["backbone_blocks"] = row.pop("seed"), row.pop("blocks")
        return {
            **row,
            **self.model_dump(exclude={"label", "name", "row", "features", "patterns", "tables"}),
            "blocks": "all" if not self.blocks else "+".join(self.blocks),
        }

    def check(self) -> None:
        """Whether the cell can be run, before anything is computed.

        Raises:
            FileNotFoundError, ValueError: what cannot be, and what to change.
        """
        if self.feature_size > self.image_size:
            raise ValueError(
                f"feature_size {self.feature_size} must be at most image_size {self.image_size}: "
                "no block is larger than the image"
            )
        if self.readout.head == "ridge" and len(self.seeds) > 1:
            raise ValueError(
                "head 'ridge' is solved, not trained from a seed: give it one seed; "
                f"got {self.seeds}"
            )
        self.readout.grid(self.feature_size)
        channels = self.row.block_channels(self.image_size)
        width = sum(channels.values())
        if self.blocks:
            ranges = block_ranges(channels, self.blocks)
            width = sum(stop - start for start, stop in ranges)
        if self.readout.head == "ridge":
            require_memory(width, self.readout)
        self.row.check_weights(self.image_size)
