"""The `posenet` section of the configuration."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from posinfo.choices import check
from posinfo.networks.backbones import BackboneConfig
from posinfo.networks.normalisation import NORMALISATIONS
from posinfo.networks.readout_config import ReadoutConfig
from posinfo.pipelines.labels import LABEL, no_repeats
from posinfo.pipelines.posenet.cells import Cell
from posinfo.stimuli.patterns import PATTERNS, STRIPES


class PosenetParameters(BaseModel):
    """What is measured: every selected backbone on every pattern with every seed.

    Attributes:
        image_size: side in pixels of the images and of the ground truth.
        feature_size: side in pixels to which every block is resized.
        normalisation: of the images, a key of ``NORMALISATIONS``.
        backbones: rows of the table by label, which names files: letters, digits, ``. _ + -``.
        patterns: keys of ``PATTERNS``.
        stripes: range of the striped patterns, a key of ``STRIPES``.
        readout: the head and its training.
        seeds: of the readouts' initial weights.
        only: labels of the backbones to run; empty: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(ge=8)
    feature_size: int = Field(ge=2)
    normalisation: str
    backbones: dict[Annotated[str, StringConstraints(pattern=LABEL)], BackboneConfig] = Field(
        min_length=1
    )
    patterns: tuple[str, ...] = Field(min_length=1)
    stripes: str
    readout: ReadoutConfig
    seeds: tuple[int, ...] = Field(min_length=1)
    only: tuple[str, ...]

    @property
    def rows(self) -> dict[str, BackboneConfig]:
        """The selected backbones by label."""
        return {
            label: row
            for label, row in self.backbones.items()
            if not self.only or label in self.only
        }

    @property
    def cells(self) -> list[Cell]:
        """The selected backbones with all of their blocks: Table 1."""
        return [self.cell(label, row, label=label) for label, row in self.rows.items()]

    def cell(self, backbone: str, row: BackboneConfig, **settings: Any) -> Cell:
        """A cell with the settings of Table 1, but for those that are given."""
        shared = {
            "name": backbone,
            "features": backbone,
            "blocks": (),
            "readout": self.readout,
            "patterns": self.patterns,
            "seeds": self.seeds,
            "image_size": self.image_size,
            "feature_size": self.feature_size,
            "normalisation": self.normalisation,
            "stripes": self.stripes,
            "tables": ("1",),
        }
        return Cell(backbone=backbone, row=row, **(shared | settings))

    @field_validator("normalisation")
    @classmethod
    def _known_normalisation(cls, normalisation: str) -> str:
        return check("normalisation", normalisation, NORMALISATIONS)

    @field_validator("patterns")
    @classmethod
    def _known_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check("pattern", pattern, PATTERNS) for pattern in patterns)

    @field_validator("stripes")
    @classmethod
    def _known_stripes(cls, stripes: str) -> str:
        return check("stripes", stripes, STRIPES)

    @field_validator("patterns", "seeds", "only")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        return no_repeats(values)

    @model_validator(mode="after")
    def _fits_together(self) -> "PosenetParameters":
        for label in self.only:
            check("only", label, self.backbones)
        for cell in self.cells:
            cell.check()
        return self
