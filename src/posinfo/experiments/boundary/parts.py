"""The settings of each part of the boundary study."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from posinfo.choices import Label, Once, Section, WithoutNulls, one_of
from posinfo.experiments.boundary.distance import FROZEN, SCRATCH
from posinfo.experiments.boundary.red_green import RedGreenImages
from posinfo.experiments.permutenet.settings import GRID as canvas_grid
from posinfo.experiments.permutenet.settings import TableCell as CanvasRow
from posinfo.grid import Seeds
from posinfo.networks.models.audited import AuditedConfig
from posinfo.networks.models.augshift import MethodName
from posinfo.networks.models.place_classifiers import POOLINGS, PlaceConfig
from posinfo.networks.models.stacked_convnets import CONVOLUTION_PADDINGS
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.crops import ShiftConfig
from posinfo.stimuli.labelled_images import SIDE, DatasetConfig
from posinfo.stimuli.quadrants import BORDERS, TILE

Paddings = Annotated[
    tuple[Annotated[str, one_of("padding", CONVOLUTION_PADDINGS)], ...], Field(min_length=1), Once
]
Pixels = Annotated[int, Field(ge=0)]
LARGEST_STRIDE = 32  # px, of a network's last map


class PatchLocationParameters(Section):
    """Part 1.

    Attributes:
        paddings: a row each; see ``ConvNetConfig``.
        kernel_size: of the one convolution.
        channels: its filters.
        training: the protocol.
        seeds: of the weights.
    """

    paddings: Paddings
    kernel_size: int
    channels: int = Field(ge=1)
    training: TrainingConfig
    seeds: Seeds

    @model_validator(mode="after")
    def _uses_its_protocol(self) -> "PatchLocationParameters":
        _require_used("patch_location", self.training)
        return self


class RedGreenParameters(Section):
    """Part 3.

    Attributes:
        paddings: a row each; see ``ConvNetConfig``.
        channels: of the four convolutions.
        images: how many.
        training: the protocol.
        seeds: of the weights.
    """

    paddings: Paddings
    channels: tuple[int, int, int, int]
    images: RedGreenImages
    training: TrainingConfig
    seeds: Seeds

    @model_validator(mode="after")
    def _uses_its_protocol(self) -> "RedGreenParameters":
        _require_used("red_green", self.training)
        return self


class DistanceNetwork(AuditedConfig):
    """A row of part 2: a network, how it is trained, and its borders.

    Attributes:
        trained: ``frozen`` or ``scratch``.
        pooling: see ``PlaceConfig``.
        borders: widths in pixels; None: those of all rows.
        seeds: of weights; None: those of all rows.
    """

    trained: Annotated[str, one_of("trained", (FROZEN, SCRATCH))]
    pooling: Annotated[str, one_of("pooling", POOLINGS)] = "max"
    borders: Annotated[tuple[Pixels, ...], Field(min_length=2), Once] | None = None
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _starts_at_random(self) -> "DistanceNetwork":
        if self.trained == SCRATCH and self.weights != "untrained":
            raise ValueError(f"trained from scratch, weights are untrained; got {self.weights!r}")
        if "seed" in self.model_fields_set:
            raise ValueError("a row has `seeds`, a list, and no `seed`")
        return self

    def shown(self) -> dict[str, Any]:
        """The settings that a cell of it is shown with, but for its border and its seed."""
        return self.model_dump(exclude={"seed", "seeds", "borders"})

    def network(self, seed: int) -> AuditedConfig:
        """Without what is done with it."""
        fields = set(AuditedConfig.model_fields)
        return AuditedConfig(**{**self.model_dump(include=fields), "seed": seed})

    def place(self, seed: int, first_padding: int | None = None) -> PlaceConfig:
        """What reads its maps."""
        return PlaceConfig(
            network=self.network(seed), pooling=self.pooling, first_padding=first_padding
        )


class DistanceParameters(Section):
    """Part 2.

    Attributes:
        train_tiles: tiles cut from train and validation photographs together; of a folder, each
            photograph is one.
        test_tiles: the same of the test photographs.
        canvas: see ``QuadrantConfig``.
        border: what surrounds the canvas, ``black`` or ``released``.
        borders: widths in pixels of every row that has none of its own.
        training: the protocol of networks that are trained from scratch.
        strengths: inverse penalties among which validation photographs choose, of frozen ones.
        networks: the rows, by label.
        seeds: of every row that has none of its own.
        picture_size: side in pixels of the photographs that reach is measured on.
        crop: side in pixels of what is cut out of them.
        tolerance: error below which a map counts as right.
    """

    train_tiles: int = Field(ge=4)
    test_tiles: int = Field(ge=1)
    canvas: int = Field(ge=2 * TILE)
    border: Annotated[str, one_of("boundary.distance.border", BORDERS)]
    borders: Annotated[tuple[Pixels, ...], Field(min_length=2), Once]
    training: TrainingConfig
    strengths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), Once]
    networks: Annotated[dict[Label, DistanceNetwork], WithoutNulls, Field(min_length=1)]
    seeds: Seeds
    picture_size: int = Field(ge=128)
    crop: int = Field(ge=32)
    tolerance: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _uses_its_protocol(self) -> "DistanceParameters":
        _require_used("distance", self.training)
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> "DistanceParameters":
        if self.crop + 2 * LARGEST_STRIDE > self.picture_size:
            raise ValueError(
                f"crop must leave {LARGEST_STRIDE} px on each side of picture_size "
                f"{self.picture_size}; got {self.crop}"
            )
        return self

    def borders_of(self, row: DistanceNetwork) -> tuple[int, ...]:
        """In pixels, the narrowest first."""
        return tuple(sorted(row.borders or self.borders))


class TrainSize(Section):
    """How many images are trained on, and how often.

    Attributes:
        images: train and validation images together; None: all.
        epochs: passes over the train images.
    """

    images: int | None = Field(ge=2)
    epochs: int = Field(ge=1)

    @property
    def name(self) -> str:
        """Of the row: ``all`` or the number of images."""
        return str(self.images or "all")


class ShiftsParameters(Section):
    """Parts 4 and 6: classifiers of small images; see ``AugShiftParameters``.

    Attributes:
        dataset: the images.
        width: channels of the ResNet-18's first stage.
        augmentation: shifts in training.
        training: the protocol.
        shifts: ranges of offsets that part 4 measures consistency over.
        draws: pairs of offsets per image.
        methods: networks of part 4.
        seeds: of part 4.
        efficiency_methods: networks of part 6.
        efficiency: train images and epochs of part 6.
        efficiency_seeds: of part 6.
    """

    dataset: DatasetConfig
    width: int = Field(ge=1)
    augmentation: ShiftConfig
    training: TrainingConfig
    shifts: Annotated[tuple[ShiftConfig, ...], Field(min_length=1), Once]
    draws: int = Field(ge=1)
    methods: Annotated[tuple[MethodName, ...], Field(min_length=1), Once]
    seeds: Seeds
    efficiency_methods: Annotated[tuple[MethodName, ...], Field(min_length=1), Once]
    efficiency: Annotated[tuple[TrainSize, ...], Field(min_length=1), Once]
    efficiency_seeds: Seeds

    @model_validator(mode="after")
    def _sizes_fit_together(self) -> "ShiftsParameters":
        names = [each.name for each in self.efficiency]
        if len(set(names)) < len(names):
            raise ValueError(f"efficiency: each number of images may stand once; got {names}")
        limit, most = self.dataset.train_limit, max(each.images or 0 for each in self.efficiency)
        if limit and most >= limit:
            raise ValueError(f"efficiency: images must be fewer than {limit}, all; got {most}")
        epochs = {each.epochs for each in self.efficiency if each.images is None}
        if epochs - {self.training.epochs}:
            raise ValueError(
                f"efficiency: all images are trained on for training.epochs {self.training.epochs}"
            )
        return self


class CanvasesParameters(Section):
    """Part 5; see ``PermutenetParameters``.

    Attributes:
        dataset: the tiles.
        shared: settings of every row that does not say otherwise.
        rows: what each of them changes.
        tasks: that every row is trained for, each by itself.
        seeds: of weights, order and locations.
    """

    dataset: DatasetConfig
    shared: dict[str, Any]
    rows: tuple[dict[str, Any], ...] = Field(min_length=1)
    tasks: Annotated[tuple[str, ...], Field(min_length=1), Once]
    seeds: Seeds

    def cells(self) -> dict[str, CanvasRow]:
        """The rows by label; a ``ValueError`` says why one cannot be."""
        items = [{**row, "task": task} for task in self.tasks for row in self.rows]
        cells = canvas_grid.cells(items, self.shared, ())
        for label, cell in cells.items():
            if cell.location_size < SIDE:
                raise ValueError(
                    f"boundary.canvases: {label}: tiles of {SIDE} x {SIDE} px do not fit a canvas "
                    f"location of {cell.location_size} px: enlarge `location_size`"
                )
        return cells


def _require_used(part: str, training: TrainingConfig) -> None:
    """Refuse what a part does not do."""
    if training.mirrored or training.compile:
        raise ValueError(f"boundary.{part}.training: mirrored and compile must be false")
