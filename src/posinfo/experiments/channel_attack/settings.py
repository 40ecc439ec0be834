"""The section `channel_attack` of the configuration, and the cells it asks for."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, model_validator

from posinfo.choices import Section
from posinfo.experiments.channel_attack.attack import AttackCell
from posinfo.experiments.channel_attack.channels import ChannelsCell
from posinfo.experiments.channel_attack.planned_attacks import AttackConfig
from posinfo.experiments.channel_attack.scenes import SceneCounts, ScenesCell
from posinfo.experiments.channel_attack.train import SegmenterCell
from posinfo.experiments.trained_network import network_label
from posinfo.grid import Grid, Once, Seeds
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.scenes import Layout, ScenesConfig


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


class ChannelAttackParameters(Section):
    """What is trained and attacked.

    Attributes:
        scenes: of every row that changes nothing of them.
        images: how many scenes each split has.
        arch: see ``SegmenterConfig``; of every row that names no other, as are the next three.
        width: see ``SegmenterConfig``.
        padding: see ``SegmenterConfig``.
        planted: see ``SegmenterConfig``.
        training: the protocol.
        attack: what is silenced.
        networks: what each row changes: fields of ``TableCell``, mappings by single fields.
        seeds: of every row that has none of its own.
        only: labels of the rows to run; empty: all.
    """

    scenes: ScenesConfig
    images: SceneCounts
    arch: str
    width: int | None
    padding: str
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
        names = {"arch", "width", "padding", "planted", "training", "attack", "seeds"}
        shared = section.model_dump(include=names)
        shared["layout"] = section.scenes.layout
        return GRID.cells(section.networks, shared, section.only)

    def scenes_of(self, cell: TableCell) -> ScenesConfig:
        """The scenes of a row."""
        return self.channel_attack.scenes.model_copy(update={"layout": cell.layout})


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


def scenes_cells(settings: ChannelAttackSettings) -> dict[str, ScenesCell]:
    """Every kind of scenes that a row names."""
    kinds = [settings.scenes_of(cell) for cell in settings.cells.values()]
    counts = settings.channel_attack.images
    return {kind.layout: ScenesCell(scenes=kind, counts=counts) for kind in kinds}


def train_cells(settings: ChannelAttackSettings) -> dict[str, SegmenterCell]:
    """A network per row and seed."""
    cells = {}
    for label, cell in settings.cells.items():
        scenes = settings.scenes_of(cell)
        network = SegmenterConfig(**cell.model_dump(include=set(SegmenterConfig.model_fields)))
        for seed in cell.seeds:
            cells[network_label(label, seed)] = SegmenterCell(
                inputs={"scenes": f"scenes/{cell.layout}"},
                parameters={
                    "cell": label, "seed": seed, **dict(network), "scenes": scenes,
                    "training": cell.training, "attack": cell.attack,
                },
                network=network,
                training=cell.training,
                size=(scenes.height, scenes.width),
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
                attack=row.attack,
                seed=seed,
            )
    return cells
