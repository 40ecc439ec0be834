"""The section `permutenet` of the configuration, and the cells it asks for."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, model_validator

from posinfo.choices import Once, Section
from posinfo.experiments.labelled_images import ImagesCell
from posinfo.experiments.measured_split import MeasuredSplit
from posinfo.experiments.permutenet.evaluate import EvaluateCell
from posinfo.experiments.permutenet.train import NetworkCell
from posinfo.experiments.trained_network import network_label
from posinfo.grid import Grid, Seeds, one_value
from posinfo.networks.models.architectures import user_modules
from posinfo.networks.models.pooled_classifiers import ClassifierConfig
from posinfo.networks.training.canvases import TaskName
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.canvases import CanvasConfig
from posinfo.stimuli.labelled_images import DatasetConfig


class TableCell(Section):
    """A cell of the result table but for its seeds; see ``ClassifierConfig`` and ``CanvasConfig``.

    Attributes:
        task: location (where the tile stands) or image (which class the tile is of).
        grid: locations per side of the canvas.
        location_size: side of a location in pixels.
        canvas: its colour: a key of ``COLOURS`` or [red, green, blue], each 0..255.
        training: the protocol.
    """

    network: str
    permutation: str
    task: TaskName
    grid: int
    location_size: int
    canvas: str | tuple[int, int, int]
    arch: str
    width: int | None
    padding: str
    permuted_before: int | None
    training: TrainingConfig

    @model_validator(mode="after")
    def _fits_together(self) -> "TableCell":
        _ = self.classifier, self.canvas_config
        return self

    @property
    def classifier(self) -> ClassifierConfig:
        """The network."""
        return ClassifierConfig(**self.model_dump(include=set(ClassifierConfig.model_fields)))

    @property
    def canvas_config(self) -> CanvasConfig:
        """What it is shown; a ``ValueError`` if there is no such canvas."""
        return CanvasConfig(grid=self.grid, location_size=self.location_size, colour=self.canvas)

    def columns(self) -> dict[str, object]:
        """The settings as columns of the result table."""
        flat = {**self.model_dump(exclude={"training"}), **self.training.model_dump()}
        del flat["compile"]  # changes no number but by round-off
        return {name: one_value(value) for name, value in flat.items()}


class PermutenetParameters(Section):
    """What is trained and tested.

    Attributes:
        dataset: the tiles.
        split: the images that are measured: ``test``, or ``validation`` to choose settings by.
        shared: settings of every cell that does not say otherwise.
        cells: what differs, one item per cell of the table.
        seeds: of weights, order and locations; each cell is trained once per seed.
        only: labels, networks or tasks of the cells to run; empty: all.
    """

    dataset: DatasetConfig
    split: MeasuredSplit
    shared: dict[str, Any]
    cells: tuple[dict[str, Any], ...] = Field(min_length=1)
    seeds: Seeds
    only: Annotated[tuple[str, ...], Once]


class PermutenetSettings(Section):
    """The sections that permutenet reads."""

    permutenet: PermutenetParameters

    @cached_property
    def cells(self) -> dict[str, TableCell]:
        """The selected cells by label; a ``ValueError`` says why one cannot be."""
        section = self.permutenet
        return GRID.cells(section.cells, section.shared, section.only)


GRID = Grid(
    where="permutenet.cells",
    model=TableCell,
    first=lambda cell: f"{cell.network}-{cell.permutation}-{cell.task}-{cell.grid}x{cell.grid}",
    groups=lambda cell: (cell.network, cell.task),
    prefixes={"network": None, "permutation": None, "task": None, "grid": None},
)


def images_cells(settings: PermutenetSettings) -> dict[str, ImagesCell]:
    """The data set."""
    dataset = settings.permutenet.dataset
    return {dataset.name: ImagesCell(dataset=dataset)}


def train_cells(settings: PermutenetSettings) -> dict[str, NetworkCell]:
    """A network per cell of the table and seed."""
    dataset = settings.permutenet.dataset
    about = {"dataset": dataset, "split": settings.permutenet.split}
    return {
        network_label(label, seed): NetworkCell(
            inputs={"images": f"images/{dataset.name}"},
            modules=user_modules(cell.arch),
            parameters={"cell": label, "seed": seed, **about, **dict(cell)},
            classifier=cell.classifier,
            canvas=cell.canvas_config,
            task=cell.task,
            training=cell.training,
            seed=seed,
        )
        for label, cell in settings.cells.items()
        for seed in settings.permutenet.seeds
    }


def evaluate_cells(settings: PermutenetSettings) -> dict[str, EvaluateCell]:
    """The answers of each trained network."""
    split, cells = settings.permutenet.split, train_cells(settings).items()
    needing = {label: cell.needing(network=f"train/{label}") for label, cell in cells}
    return {label: EvaluateCell(**dict(cell), split=split) for label, cell in needing.items()}
