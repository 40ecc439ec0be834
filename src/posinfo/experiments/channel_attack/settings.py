"""The section `channel_attack` of the configuration, and the cells it asks for."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, model_validator

from posinfo.choices import Once, Section, check
from posinfo.experiments.channel_attack.attack import AttackCell
from posinfo.experiments.channel_attack.channels import ChannelsCell
from posinfo.experiments.channel_attack.planned_attacks import AttackConfig
from posinfo.experiments.channel_attack.scenes import PhotographsCell, SceneCounts, ScenesCell
from posinfo.experiments.channel_attack.train import SegmenterCell
from posinfo.experiments.trained_network import network_label
from posinfo.grid import Grid, Seeds
from posinfo.networks.models.architectures import user_modules
from posinfo.networks.models.segmenter_weights import segmenter_weights_key
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.labelled_photographs import LabelledPhotograph, Size, files_key, size_of
from posinfo.stimuli.scenes import CLASSES as scene_classes
from posinfo.stimuli.scenes import Layout, ScenesConfig
from posinfo.stimuli.segmentation_sets import SEGMENTATION_SETS, PhotographsConfig

Side = Annotated[int, Field(ge=32)]  # pixels
PHOTOGRAPHED = ("ranking", "test")  # splits of photographs


# settings of every row
SHARED = (
    "arch", "width", "padding", "weights", "planted", "layer", "training", "attack", "seeds",
)  # fmt: skip


class TableCell(SegmenterConfig):
    """A row of the table: a network, its scenes and its seeds.

    Attributes:
        layout: see ``ScenesConfig``.
        size: height and width of the images in pixels: scenes are drawn so large, photographs
            resized; None: as ``scenes`` says, or as the first photograph.
        training: the protocol.
        attack: what is silenced.
        seeds: of weights and order.
    """

    layout: Layout
    size: tuple[Side, Side] | None = None
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
        photographs: of a data set, that take the place of scenes; None: scenes are drawn.
        arch: see ``SegmenterConfig``; of every row that names no other, as are the next five.
        width: see ``SegmenterConfig``.
        padding: see ``SegmenterConfig``.
        weights: see ``SegmenterConfig``.
        planted: see ``SegmenterConfig``.
        layer: see ``SegmenterConfig``.
        training: the protocol.
        attack: what is silenced.
        networks: what each row changes: fields of ``TableCell``, mappings by single fields.
        seeds: of every row that has none of its own.
        only: labels of the rows to run; empty: all.
    """

    scenes: ScenesConfig
    images: SceneCounts
    photographs: PhotographsConfig | None
    arch: str
    width: int | None
    padding: str
    weights: str
    planted: int
    layer: str
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
        shared = section.model_dump(include={*SHARED})
        shared["layout"] = section.scenes.layout
        cells = GRID.cells(section.networks, shared, section.only)
        for label, cell in cells.items():
            if section.photographs is not None:
                _require_of_photographs(label, cell)
            else:
                _require_groups(label, cell, section.images)
        return cells

    @cached_property
    def photographs(self) -> tuple[LabelledPhotograph, ...]:
        """The files of the data set; none where scenes are drawn."""
        config = self.channel_attack.photographs
        if config is None:
            return ()
        setting = "channel_attack.photographs.folder"
        return tuple(SEGMENTATION_SETS[config.dataset].files(config.folder, setting))

    def size(self, cell: TableCell) -> Size:
        """Height and width of the images of a row in pixels."""
        scenes = self.channel_attack.scenes
        own = size_of(self.photographs[0].image) if self.photographs else None
        return cell.size or own or (scenes.height, scenes.width)

    def source(self, cell: TableCell) -> str:
        """Label of the images of a row."""
        config = self.channel_attack.photographs
        name = config.dataset if config else cell.layout
        return f"{name}-{cell.size[0]}x{cell.size[1]}" if cell.size else name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes, in the order of their labels."""
        config = self.channel_attack.photographs
        return SEGMENTATION_SETS[config.dataset].classes if config else scene_classes

    def scenes_of(self, cell: TableCell) -> ScenesConfig:
        """The scenes of a row."""
        height, width = self.size(cell)
        changed = {"layout": cell.layout, "height": height, "width": width}
        return self.channel_attack.scenes.model_copy(update=changed)


def _require_of_photographs(label: str, cell: TableCell) -> None:
    if not cell.weights:
        raise ValueError(
            f"{GRID.where}: {label} needs weights: nothing is trained on photographs here"
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
        "size": "",
        "layer": "",
        "attack": None,
        "seeds": None,
    },
)


def scenes_cells(settings: ChannelAttackSettings) -> dict[str, ScenesCell | PhotographsCell]:
    """Every kind of scenes that a row names, or the photographs in every size."""
    config, counts = settings.channel_attack.photographs, settings.channel_attack.images
    cells: dict[str, ScenesCell | PhotographsCell] = {}
    for row in settings.cells.values():
        if config is None:
            cell = ScenesCell(scenes=settings.scenes_of(row), counts=counts)
        else:
            cell = PhotographsCell(
                dataset=config.dataset,
                content=files_key(settings.photographs),
                size=settings.size(row),
                layout_free=counts.layout_free,
                files=settings.photographs,
            )
        cells[settings.source(row)] = cell
    return cells


def train_cells(settings: ChannelAttackSettings) -> dict[str, SegmenterCell]:
    """A network per row and seed."""
    cells = {}
    for label, cell in settings.cells.items():
        # model_dump leaves out the weights, by whose name results are not found again
        known = {name: getattr(cell, name) for name in SegmenterConfig.model_fields}
        network = SegmenterConfig(**known)
        weights = segmenter_weights_key(network, f"{GRID.where}: {label}: weights")
        drawn = settings.channel_attack.photographs is None
        about = {"scenes": settings.scenes_of(cell)} if drawn else {"images": settings.source(cell)}
        about |= {**dict(network), "training": cell.training, "attack": cell.attack}
        for seed in cell.seeds:
            cells[network_label(label, seed)] = SegmenterCell(
                inputs={"scenes": f"scenes/{settings.source(cell)}"},
                modules=user_modules(network.arch),
                parameters={"cell": label, "seed": seed, **about},
                network=network,
                classes=len(settings.class_names),
                weights=weights,
                training=cell.training,
                size=settings.size(cell),
                seed=seed,
            )
    return cells


def channels_cells(settings: ChannelAttackSettings) -> dict[str, ChannelsCell]:
    """The latent of each trained network."""
    return {
        label: ChannelsCell(
            inputs={**cell.inputs, "network": f"train/{label}"},
            modules=cell.modules,
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
                modules=trained[name].modules,
                parameters=trained[name].parameters,
                network=trained[name].network,
                classes=len(settings.class_names),
                attack=row.attack,
                seed=seed,
            )
    return cells
