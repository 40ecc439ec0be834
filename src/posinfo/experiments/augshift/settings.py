"""The section `augshift` of the configuration, and the cells it asks for."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, model_validator

from posinfo.choices import Once, Section, one_of
from posinfo.experiments.augshift.evaluate import EvaluateCell
from posinfo.experiments.augshift.train import NetworkCell
from posinfo.experiments.labelled_images import ImagesCell
from posinfo.experiments.measured_split import MeasuredSplit
from posinfo.experiments.trained_network import network_label
from posinfo.grid import Grid, Seeds
from posinfo.networks.models.augshift import AugShiftConfig
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.crops import ShiftConfig
from posinfo.stimuli.labelled_images import DATASETS, DatasetConfig


class TableCell(AugShiftConfig):
    """A cell of the table: a method, its images and its seeds.

    Attributes:
        training: the protocol.
        dataset: a key of ``DATASETS``.
        seeds: of weights, order and crops.
    """

    training: TrainingConfig
    dataset: Annotated[str, one_of("dataset.name", DATASETS)]
    seeds: Seeds

    @model_validator(mode="after")
    def _without_what_it_does_not_use(self) -> "TableCell":
        """A setting that a method does not use is none of its settings."""
        unused = {} if self.uses_latents else {"latent_weight": 0.0}
        unused |= {} if self.crops > 1 else {"loss": "mean"}
        return self.model_copy(update=unused)


class AugShiftParameters(Section):
    """What is trained, and how its consistency is measured.

    Attributes:
        dataset: the images of every cell that names no others.
        width: channels of the ResNet-18's first stage.
        latent_weight: of the squared difference of latents (lambda).
        loss: mean or sum of the two cross entropies.
        augmentation: shifts in training.
        training: the protocol of every cell that changes nothing of it.
        split: the images that are measured: ``test``, or ``validation`` to choose settings by.
        shifts: ranges of offsets that consistency is measured over.
        draws: pairs of offsets per image of the sampled consistency.
        methods: what each cell changes: fields of ``TableCell``, ``training`` by single fields.
        seeds: of every cell that has none of its own.
        only: labels of the cells to run, or methods; empty: all.
    """

    dataset: DatasetConfig
    width: int = Field(ge=1)
    latent_weight: float = Field(ge=0)
    loss: str
    augmentation: ShiftConfig
    training: TrainingConfig
    split: MeasuredSplit
    shifts: Annotated[tuple[ShiftConfig, ...], Field(min_length=1), Once]
    draws: int = Field(ge=1)
    methods: tuple[dict[str, Any], ...] = Field(min_length=1)
    seeds: Seeds
    only: Annotated[tuple[str, ...], Once]


class AugShiftSettings(Section):
    """The sections that augshift reads."""

    augshift: AugShiftParameters

    @cached_property
    def cells(self) -> dict[str, TableCell]:
        """The selected cells by label; a ``ValueError`` says why one cannot be."""
        section = self.augshift
        for item in section.methods:
            method = str(item.get("method"))
            if "latent_weight" in item and "augshift" not in method.split("+"):
                raise ValueError(f"{GRID.where}: {dict(item)}: {method!r} has no latent_weight")
        shared = section.model_dump(include={"width", "latent_weight", "loss", "training", "seeds"})
        shared["dataset"] = section.dataset.name
        return GRID.cells(section.methods, shared, section.only)

    def dataset_of(self, cell: TableCell) -> DatasetConfig:
        """The images of a cell; a ``ValueError`` if they have fewer classes than asked for."""
        return DatasetConfig.model_validate({**dict(self.augshift.dataset), "name": cell.dataset})


GRID = Grid(
    where="augshift.methods",
    model=TableCell,
    first=lambda cell: cell.method,
    groups=lambda cell: (cell.method,),
    prefixes={
        "method": None,
        "latent_weight": "",
        "dataset": "",
        "seeds": None,
        "epochs": "epochs",
        "batch_size": "batch",
    },
)


def images_cells(settings: AugShiftSettings) -> dict[str, ImagesCell]:
    """Every data set that a cell names."""
    datasets = [settings.dataset_of(cell) for cell in settings.cells.values()]
    return {dataset.name: ImagesCell(dataset=dataset) for dataset in datasets}


def train_cells(settings: AugShiftSettings) -> dict[str, NetworkCell]:
    """A network per cell of the table and seed."""
    cells = {}
    for label, cell in settings.cells.items():
        dataset = settings.dataset_of(cell)
        method = AugShiftConfig(**cell.model_dump(include=set(AugShiftConfig.model_fields)))
        shared = {"augmentation": settings.augshift.augmentation, "training": cell.training}
        about = {"dataset": dataset, "split": settings.augshift.split}
        parameters = {**dict(method), **about, **shared}
        for seed in cell.seeds:
            cells[network_label(label, seed)] = NetworkCell(
                inputs={"images": f"images/{cell.dataset}"},
                parameters={"cell": label, "seed": seed, **parameters},
                method=method,
                classes=dataset.class_count,
                seed=seed,
                **shared,
            )
    return cells


def evaluate_cells(settings: AugShiftSettings) -> dict[str, EvaluateCell]:
    """The predictions of each trained network."""
    measured = {name: getattr(settings.augshift, name) for name in ("split", "shifts", "draws")}
    cells = train_cells(settings).items()
    needing = {label: cell.needing(network=f"train/{label}") for label, cell in cells}
    return {label: EvaluateCell(**dict(cell), **measured) for label, cell in needing.items()}
