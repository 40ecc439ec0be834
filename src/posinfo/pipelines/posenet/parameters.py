"""The `posenet` section of the configuration."""

from typing import Annotated

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
from posinfo.networks.readouts import ReadoutConfig
from posinfo.stimuli.patterns import PATTERNS

LABEL = r"^[A-Za-z0-9][\w.+-]*$"


class PosenetParameters(BaseModel):
    """What is measured: every selected backbone on every pattern with every seed.

    Attributes:
        image_size: side in pixels of the images and of the ground truth.
        feature_size: side in pixels to which every block is resized.
        normalisation: of the images, a key of ``NORMALISATIONS``.
        backbones: rows of the table by label, which names files: letters, digits, ``. _ + -``.
        patterns: keys of ``PATTERNS``.
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

    def feature_settings(self, label: str) -> dict[str, object]:
        """All that the features of a row depend on, but for the images."""
        fields = {"image_size", "feature_size", "normalisation"}
        return {**self.backbones[label].model_dump(), **self.model_dump(include=fields)}

    def readout_settings(self, features: str) -> dict[str, object]:
        """All that trained readouts depend on, given the key of their train features."""
        return {"features": features, "heads": self.heads, **self.readout.model_dump()}

    @property
    def heads(self) -> list[tuple[str, int]]:
        """Pattern and seed of each readout of a backbone, in the order in which they are kept."""
        return [(pattern, seed) for pattern in self.patterns for seed in self.seeds]

    @field_validator("normalisation")
    @classmethod
    def _known_normalisation(cls, normalisation: str) -> str:
        return check("normalisation", normalisation, NORMALISATIONS)

    @field_validator("patterns")
    @classmethod
    def _known_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check("pattern", pattern, PATTERNS) for pattern in patterns)

    @field_validator("patterns", "seeds", "only")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        repeated = sorted({str(value) for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"each value may stand once; repeated: {', '.join(repeated)}")
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> "PosenetParameters":
        if self.feature_size > self.image_size:
            raise ValueError(
                f"feature_size {self.feature_size} must be at most image_size {self.image_size}: "
                "no block is larger than the image"
            )
        self.readout.grid(self.feature_size)
        for label in self.only:
            check("only", label, self.backbones)
        for row in self.rows.values():
            row.feature_channels(self.image_size, self.feature_size)
            row.check_weights()
        return self
