"""The section `channel_attack` of the configuration, and the cells it asks for."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import Field, model_validator

from posinfo.choices import Once, Section, check
from posinfo.experiments.channel_attack.attack import AttackCell
from posinfo.experiments.channel_attack.channels import ChannelsCell
from posinfo.experiments.channel_attack.planned_attacks import AttackConfig
from posinfo.experiments.channel_attack.scenes import CityscapesCell, SceneCounts, ScenesCell
from posinfo.experiments.channel_attack.train import SegmenterCell
from posinfo.experiments.trained_network import network_label
from posinfo.grid import Grid, Seeds
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.models.state_file import file_key
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.cityscapes import CLASSES as cityscapes_classes
from posinfo.stimuli.cityscapes import LabelledPhotograph, cityscapes_files, cityscapes_key
from posinfo.stimuli.scenes import CLASSES as scene_classes
from posinfo.stimuli.scenes import Layout, ScenesConfig

CITYSCAPES = "cityscapes"
PHOTOGRAPHED = ("ranking", "test")  # splits of Cityscapes


class TableCell(SegmenterConfig):
    """A row of the table: a network, its scenes and its seeds.

    Attributes:
        layout: see ``ScenesConfig``.
        training: the protocol.
        attack: what is silenced.
        seeds: of weights and order.
    """

    layout: Layout
    training: TrainingConfig
    attack: AttackConfig
    seeds: Seeds

    @model_validator(mode="after")
    def _one_network_of_a_file(self) -> "TableCell":
        if self.weights and len(self.seeds) > 1:
            raise ValueError(
                "weights of a file are one network, whatever the seed; got seeds "
                f"{list(self.seeds)}"
            )
        return self


class ChannelAttackParameters(Section):
    """What is trained and attacked.

    Attributes:
        scenes: of every row that changes nothing of them.
        images: how many scenes each split has.
        cityscapes: folder of Cityscapes, whose validation photographs take the place of scenes;
            None: scenes are drawn.
        arch: see ``SegmenterConfig``; of every row that names no other, as are the next four.
        width: see ``SegmenterConfig``.
        padding: see ``SegmenterConfig``.
        weights: see ``SegmenterConfig``.
        planted: see ``SegmenterConfig``.
        training: the protocol.
        attack: what is silenced.
        networks: what each row changes: fields of ``TableCell``, mappings by single fields.
        seeds: of every row that has none of its own.
        only: labels of the rows to run; empty: all.
    """

    scenes: ScenesConfig
    images: SceneCounts
    cityscapes: Path | None
    arch: str
    width: int | None
    padding: str
    weights: str
    planted: int
    training: TrainingConfig
    attack: AttackConfig
    networks: tuple[dict[str, Any], ...] = Field(min_length=1)
    seeds: Seeds
    only: Annotated[tuple[str, ...], Once]

    @model_validator(mode="after")
    def _enough_images(self) -> "ChannelAttackParameters":
        if self.images.train < self.training.batch_size:
            raise ValueError(
                f"images.train ({self.images.train}) must be at least training.batch_size "
                f"({self.training.batch_size})"
            )
        return self


class ChannelAttackSettings(Section):
    """The sections that channel_attack reads."""

    channel_attack: ChannelAttackParameters

    @cached_property
    def cells(self) -> dict[str, TableCell]:
        """The selected rows by label; a ``ValueError`` says why one cannot be."""
        section = self.channel_attack
        names = {"arch", "width", "padding", "weights", "planted", "training", "attack", "seeds"}
        shared = section.model_dump(include=names)
        shared["layout"] = section.scenes.layout
        cells = GRID.cells(section.networks, shared, section.only)
        for label, cell in cells.items():
            if section.cityscapes is not None:
                _require_of_cityscapes(label, cell)
            else:
                _require_groups(label, cell, section.images)
        return cells

    @cached_property
    def photographs(self) -> tuple[LabelledPhotograph, ...]:
        """Of Cityscapes; none where scenes are drawn."""
        folder = self.channel_attack.cityscapes
        return (
            () if folder is None else tuple(cityscapes_files(folder, "channel_attack.cityscapes"))
        )

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        if self.photographs:
            with Image.open(self.photographs[0].image) as image:
                return image.height, image.width
        return self.channel_attack.scenes.height, self.channel_attack.scenes.width

    def source(self, cell: TableCell) -> str:
        """Label of the scenes of a row."""
        return CITYSCAPES if self.photographs else cell.layout

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes, in the order of their labels."""
        return cityscapes_classes if self.photographs else scene_classes

    def scenes_of(self, cell: TableCell) -> ScenesConfig:
        """The scenes of a row."""
        return self.channel_attack.scenes.model_copy(update={"layout": cell.layout})


def _require_of_cityscapes(label: str, cell: TableCell) -> None:
    if not cell.weights:
        raise ValueError(
            f"{GRID.where}: {label} needs weights, a file: nothing is trained on Cityscapes here"
        )
    for name, protocol in cell.attack.protocols.items():
        check(f"channel_attack.attack.protocols.{name}.split", protocol.split, PHOTOGRAPHED)


def _require_groups(label: str, cell: TableCell, counts: SceneCounts) -> None:
    for protocol in cell.attack.protocols.values():
        count = getattr(counts, protocol.split)
        if count < cell.attack.groups:
            raise ValueError(
                f"{GRID.where}: {label}: images.{protocol.split} ({count}) must be at least "
                f"attack.groups ({cell.attack.groups})"
            )


GRID = Grid(
    where="channel_attack.networks",
    model=TableCell,
    first=lambda cell: cell.arch,
    prefixes={
        "arch": None,
        "padding": "",
        "layout": "",
        "planted": "planted",
        "attack": None,
        "seeds": None,
    },
)


def scenes_cells(settings: ChannelAttackSettings) -> dict[str, ScenesCell | CityscapesCell]:
    """Every kind of scenes that a row names, or the photographs."""
    if files := settings.photographs:
        free = settings.channel_attack.images.layout_free
        content = cityscapes_key(files)
        return {CITYSCAPES: CityscapesCell(content=content, layout_free=free, files=files)}
    kinds = [settings.scenes_of(cell) for cell in settings.cells.values()]
    counts = settings.channel_attack.images
    return {kind.layout: ScenesCell(scenes=kind, counts=counts) for kind in kinds}


def train_cells(settings: ChannelAttackSettings) -> dict[str, SegmenterCell]:
    """A network per row and seed."""
    cells = {}
    for label, cell in settings.cells.items():
        scenes = settings.scenes_of(cell)
        # model_dump leaves out the path, by which results are not found again
        known = {name: getattr(cell, name) for name in SegmenterConfig.model_fields}
        network = SegmenterConfig(**known)
        where = f"{GRID.where}: {label}: weights"
        weights = file_key(Path(cell.weights), where) if cell.weights else ""
        for seed in cell.seeds:
            cells[network_label(label, seed)] = SegmenterCell(
                inputs={"scenes": f"scenes/{settings.source(cell)}"},
                parameters={
                    "cell": label, "seed": seed, **dict(network), "scenes": scenes,
                    "training": cell.training, "attack": cell.attack,
                },
                network=network,
                classes=len(settings.class_names),
                weights=weights,
                training=cell.training,
                size=settings.size,
                seed=seed,
            )  # fmt: skip
    return cells


def channels_cells(settings: ChannelAttackSettings) -> dict[str, ChannelsCell]:
    """The latent of each trained network."""
    return {
        label: ChannelsCell(
            inputs={**cell.inputs, "network": f"train/{label}"},
            parameters=cell.parameters,
            network=cell.network,
            classes=cell.classes,
        )
        for label, cell in train_cells(settings).items()
    }


def attack_cells(settings: ChannelAttackSettings) -> dict[str, AttackCell]:
    """The attacks on each trained network."""
    cells = {}
    trained = train_cells(settings)
    for label, row in settings.cells.items():
        for seed in row.seeds:
            name = network_label(label, seed)
            needed = {"network": f"train/{name}", "channels": f"channels/{name}"}
            cells[name] = AttackCell(
                inputs={**trained[name].inputs, **needed},
                parameters=trained[name].parameters,
                network=trained[name].network,
                classes=len(settings.class_names),
                attack=row.attack,
                seed=seed,
            )
    return cells
