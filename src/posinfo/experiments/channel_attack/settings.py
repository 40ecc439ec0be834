"""The section `channel_attack` of the configuration."""

from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, model_validator

from posinfo.choices import Once, Section, check
from posinfo.experiments.channel_attack.classifiers import (
    AttackedClassifier,
    ClassifiersConfig,
)
from posinfo.experiments.channel_attack.planned_attacks import AttackConfig
from posinfo.experiments.channel_attack.scenes import SceneCounts
from posinfo.grid import Grid, Seeds
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.labelled_photographs import LabelledPhotograph, Size, size_of
from posinfo.stimuli.photos import PhotosConfig
from posinfo.stimuli.scenes import CLASSES as scene_classes
from posinfo.stimuli.scenes import Layout, ScenesConfig
from posinfo.stimuli.segmentation_sets import SEGMENTATION_SETS, SPLITS, PhotographsConfig
from posinfo.stimuli.upright import upright_photographs

Side = Annotated[int, Field(ge=32)]  # pixels


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
        classifiers: that are attacked, too.
        only: labels of rows and classifiers to run, one row at least; empty: all.
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
    classifiers: ClassifiersConfig
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

    photos: PhotosConfig
    channel_attack: ChannelAttackParameters

    @model_validator(mode="after")
    def _labels_of_a_folder(self) -> "ChannelAttackSettings":
        if self.channel_attack.classifiers.labelled and self.photos.test_dir is None:
            raise ValueError(
                "channel_attack.classifiers.labelled: the embedded photographs have no labels; "
                "photos.test_dir must be a folder with a folder for each class"
            )
        return self

    @cached_property
    def cells(self) -> dict[str, TableCell]:
        """The selected rows by label; a ``ValueError`` says why one cannot be."""
        section = self.channel_attack
        shared = section.model_dump(include={*SHARED})
        shared["layout"] = section.scenes.layout
        every = GRID.cells(section.networks, shared, ())
        known = [*every, *section.classifiers.networks]
        for name in section.only:
            check("channel_attack.only", name, known)
        cells = {name: every[name] for name in every if name in section.only or not section.only}
        if not cells:
            raise ValueError(f"channel_attack.only must name one of {', '.join(every)}")
        for label, cell in cells.items():
            if section.photographs is not None:
                _require_of_photographs(label, cell)
        return cells

    @cached_property
    def classifiers(self) -> dict[str, AttackedClassifier]:
        """The selected classifiers by label."""
        section = self.channel_attack
        known = section.classifiers.networks
        return {name: known[name] for name in known if name in section.only or not section.only}

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """Of the photographs that classifiers are shown, see ``upright_photographs``."""
        return upright_photographs(self.photos, self.channel_attack.classifiers.crops)

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

    @cached_property
    def image_counts(self) -> dict[str, int]:
        """How many images there are of each split that attacks are measured on."""
        config = self.channel_attack.photographs
        if config is None:
            return self.channel_attack.images.model_dump()
        splits = SEGMENTATION_SETS[config.dataset].splits(self.photographs)
        return {name: len(files) for name, files in splits.items()}

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
        check(f"channel_attack.attack.protocols.{name}.split", protocol.split, SPLITS)


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
