"""The `augshift` section of the configuration."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from posinfo.choices import check
from posinfo.networks.augshift import AugShiftConfig
from posinfo.networks.settings_digest import settings_key
from posinfo.networks.training_config import TrainingConfig
from posinfo.pipelines.labels import no_repeats
from posinfo.stimuli.crops import SHIFT_PADDINGS
from posinfo.stimuli.labelled_images import SIDE, DatasetConfig

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class ShiftConfig(BaseModel):
    """By how much images are shifted, and what lies outside of them.

    Attributes:
        max_shift: offsets run from 0 to this number of pixels on each axis; half of it is the
            image as it is.
        padding: a key of ``SHIFT_PADDINGS``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_shift: int = Field(ge=0)
    padding: str

    @field_validator("max_shift")
    @classmethod
    def _inside_the_image(cls, max_shift: int) -> int:
        if max_shift >= SIDE:
            raise ValueError(
                f"max_shift must be less than the side of the images, {SIDE} px; got {max_shift}"
            )
        return max_shift

    @field_validator("padding")
    @classmethod
    def _known_padding(cls, padding: str) -> str:
        return check("shift padding", padding, SHIFT_PADDINGS)


class MethodConfig(BaseModel):
    """A row of the table.

    Attributes:
        method: names joined by ``+``, see ``AugShiftConfig``.
        seeds: of weights, order and crops; None: those of the experiment.
        latent_weight: of AugShift's third loss; None: that of the experiment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    latent_weight: float | None = None

    @field_validator("seeds")
    @classmethod
    def _no_repeats(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return seeds if seeds is None else no_repeats(seeds)


class AugShiftParameters(BaseModel):
    """What is trained, and how its consistency is measured.

    Attributes:
        dataset: the images.
        width: channels of the ResNet-18's first stage.
        latent_weight: of the squared difference of latents (lambda).
        loss: mean or sum of the two cross entropies.
        augmentation: shifts in training.
        training: the protocol, shared by all methods.
        shift: the offsets that consistency is measured over.
        draws: pairs of offsets per image of the sampled consistency.
        methods: the rows.
        seeds: of every row that has none of its own.
        only: methods to run; empty: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetConfig
    width: int
    latent_weight: float
    loss: str
    augmentation: ShiftConfig
    training: TrainingConfig
    shift: ShiftConfig
    draws: int = Field(ge=1)
    methods: tuple[MethodConfig, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1)
    only: tuple[str, ...]

    @field_validator("seeds", "only")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        return no_repeats(values)

    @model_validator(mode="after")
    def _fits_together(self) -> "AugShiftParameters":
        labels = [self._label(row) for row in self.methods]
        no_repeats(tuple(labels))
        for name in self.only:
            check("augshift.only", name, labels)
        for row in self.methods:
            self._config(row)
        return self

    def rows(self) -> dict[str, tuple[AugShiftConfig, tuple[int, ...]]]:
        """What is trained from which seeds, by label of the selected methods."""
        return {
            self._label(row): (self._config(row), self.seeds if row.seeds is None else row.seeds)
            for row in self.methods
            if not self.only or self._label(row) in self.only
        }

    def settings(self, config: AugShiftConfig, data: str, seed: int) -> dict[str, object]:
        """All that a trained network depends on, but for the machine."""
        shared = self.model_dump(mode="json", include={"augmentation", "training"})
        return {**shared, **config.model_dump(mode="json"), "data": data, "seed": seed}

    def answers_key(self, config: AugShiftConfig, seed: int) -> str:
        """Of all settings that the answers of a trained network depend on."""
        images = self.dataset.model_dump(mode="json", exclude={"folder", "download"})
        settings = self.settings(config, "", seed)
        return settings_key({**settings, "images": images, "shift": self.shift.model_dump()})

    def _config(self, row: MethodConfig) -> AugShiftConfig:
        weight = self.latent_weight if row.latent_weight is None else row.latent_weight
        config = AugShiftConfig(
            method=row.method, width=self.width, latent_weight=weight, loss=self.loss
        )
        if not config.uses_latents and row.latent_weight is not None:
            raise ValueError(f"augshift.methods: {row.method!r} has no latent_weight")
        # what a method does not use is no setting of it
        unused = {} if config.uses_latents else {"latent_weight": 0.0}
        unused |= {} if config.crops > 1 else {"loss": "mean"}
        return config.model_copy(update=unused)

    @staticmethod
    def _label(row: MethodConfig) -> str:
        weight = "" if row.latent_weight is None else f"-{row.latent_weight:g}"
        return f"{row.method}{weight}"


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Whether the section makes sense, before anything is computed.

    Raises:
        ValueError: it does not; the message says what to change.
    """
    AugShiftParameters.model_validate(parameters["augshift"])
