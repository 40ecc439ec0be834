"""The `augshift` section of the configuration."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from posinfo.choices import check
from posinfo.networks.augshift import AugShiftConfig, in_order
from posinfo.networks.training_config import TrainingConfig
from posinfo.pipelines.labels import no_repeats
from posinfo.stimuli.crops import SHIFT_PADDINGS
from posinfo.stimuli.labelled_images import SIDE, DatasetConfig

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class ShiftConfig(BaseModel):
    """By how much images are shifted, and what lies outside of them.

    Attributes:
        max_shift: offsets run from 0 to this number of pixels on each axis; half of it is the
            image as it is, but for ``crop``.
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

    @property
    def name(self) -> str:
        """Of the range: ``zero-8``."""
        return f"{self.padding}-{self.max_shift}"


class MethodConfig(BaseModel):
    """A row of the table.

    Attributes:
        method: names joined by ``+``, see ``AugShiftConfig``.
        dataset: a key of ``DATASETS``; None: that of the experiment.
        seeds: of weights, order and crops; None: those of the experiment.
        latent_weight: of AugShift's third loss; None: that of the experiment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    dataset: str | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    latent_weight: float | None = None

    @field_validator("method")
    @classmethod
    def _in_order(cls, method: str) -> str:
        return in_order(method)

    @field_validator("seeds")
    @classmethod
    def _no_repeats(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return seeds if seeds is None else no_repeats(seeds)


class Cell(NamedTuple):
    """What is trained on which images from which seeds."""

    config: AugShiftConfig
    dataset: DatasetConfig
    seeds: tuple[int, ...]


class AugShiftParameters(BaseModel):
    """What is trained, and how its consistency is measured.

    Attributes:
        dataset: the images of every row that names no others.
        width: channels of the ResNet-18's first stage.
        latent_weight: of the squared difference of latents (lambda).
        loss: mean or sum of the two cross entropies.
        augmentation: shifts in training.
        training: the protocol, shared by all methods.
        shifts: ranges of offsets that consistency is measured over.
        draws: pairs of offsets per image of the sampled consistency.
        methods: the rows.
        seeds: of every row that has none of its own.
        only: labels of the rows to run, or methods; empty: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetConfig
    width: int
    latent_weight: float
    loss: str
    augmentation: ShiftConfig
    training: TrainingConfig
    shifts: tuple[ShiftConfig, ...] = Field(min_length=1)
    draws: int = Field(ge=1)
    methods: tuple[MethodConfig, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1)
    only: tuple[str, ...]

    @field_validator("seeds", "only", "shifts")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        return no_repeats(values)

    @model_validator(mode="after")
    def _fits_together(self) -> "AugShiftParameters":
        labels = [_label(row) for row in self.methods]
        no_repeats(tuple(labels))
        names = dict.fromkeys([*labels, *(row.method for row in self.methods)])
        for name in self.only:
            check("augshift.only", name, names)
        cells = [self._cell(row)[:2] for row in self.methods]
        for label, cell in zip(labels, cells, strict=True):
            first = labels[cells.index(cell)]
            if first != label:
                raise ValueError(f"augshift.methods: {label} is the same as {first}")
        return self

    def cells(self) -> dict[str, Cell]:
        """The selected rows by label."""
        return {
            _label(row): self._cell(row)
            for row in self.methods
            if not self.only or {_label(row), row.method} & set(self.only)
        }

    def settings(self, cell: Cell, data: str, seed: int) -> dict[str, object]:
        """All that a trained network depends on, but for the machine.

        Args:
            cell: what is trained.
            data: key of the images.
            seed: of the training.
        """
        shared = self.model_dump(mode="json", include={"augmentation", "training"})
        told = {**cell.config.model_dump(mode="json"), "dataset": cell.dataset.name}
        return {**shared, **told, "data": data, "seed": seed}

    def answers_settings(self, cell: Cell) -> dict[str, object]:
        """The settings that the answers of its trained networks depend on."""
        shared = self.model_dump(mode="json", include={"augmentation", "training", "shifts"})
        told = {"images": cell.dataset.settings, "seeds": list(cell.seeds)}
        return {**shared, **cell.config.model_dump(mode="json"), **told}

    def _cell(self, row: MethodConfig) -> Cell:
        try:
            return self._resolved(row)
        except ValueError as error:
            raise ValueError(f"augshift.methods: {_label(row)}: {error}") from error

    def _resolved(self, row: MethodConfig) -> Cell:
        weight = self.latent_weight if row.latent_weight is None else row.latent_weight
        config = AugShiftConfig(
            method=row.method, width=self.width, latent_weight=weight, loss=self.loss
        )
        if not config.uses_latents and row.latent_weight is not None:
            raise ValueError(f"{row.method!r} has no latent_weight")
        # what a method does not use is no setting of it
        unused = {} if config.uses_latents else {"latent_weight": 0.0}
        unused |= {} if config.crops > 1 else {"loss": "mean"}
        images = {**self.dataset.model_dump(), "name": row.dataset or self.dataset.name}
        return Cell(
            config.model_copy(update=unused),
            DatasetConfig.model_validate(images),
            self.seeds if row.seeds is None else row.seeds,
        )


def _label(row: MethodConfig) -> str:
    weight = "" if row.latent_weight is None else f"-{row.latent_weight:g}"
    dataset = "" if row.dataset is None else f"-{row.dataset}"
    return f"{row.method}{weight}{dataset}"
