"""The sections `posenet` and `posenet_ablations` of the configuration, and their cells."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from posinfo.choices import Label, Once, Section, Seed, WithoutNulls, check
from posinfo.experiments.images import ImagesCell
from posinfo.experiments.measured_split import MeasuredSplit
from posinfo.experiments.posenet.features import FeaturesCell
from posinfo.experiments.posenet.readouts import ReadoutsCell
from posinfo.grid import Grid, Item, Seeds
from posinfo.networks.models.architectures import user_modules
from posinfo.networks.models.backbones import BackboneConfig
from posinfo.networks.models.normalisation import NormalisationName
from posinfo.networks.models.weights import weights_key
from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.held_out import hold_out
from posinfo.networks.surgery.legal_size import LARGEST_IMAGE
from posinfo.stimuli.patterns import PatternName, StripesName
from posinfo.stimuli.photos import PhotosConfig, manifest_key, photo_manifests
from posinfo.stimuli.synthetic import StimulusName

Patterns = Annotated[tuple[PatternName, ...], Field(min_length=1), Once]


class TableCell(Section):
    """A cell of a table: a backbone, a readout on some of its blocks, and the patterns to read.

    Attributes:
        backbone: its label.
        backbone_seed: of untrained weights; None: that of the backbone.
        normalisation: of the images, a key of ``NORMALISATIONS``.
        blocks: names of the blocks that are read (f1, f2, ...); empty: all.
        readout: the head and its fit.
        patterns: to read, keys of ``PATTERNS``.
        seeds: of the readouts' initial weights.
        tables: of the paper in which the cell stands: 1, 2a, 2b, 3, 4, or names of one's own.
    """

    backbone: str
    backbone_seed: Seed | None
    normalisation: NormalisationName
    blocks: Annotated[tuple[str, ...], Once]
    readout: ReadoutConfig
    patterns: Patterns
    seeds: Seeds
    tables: Annotated[tuple[str, ...], Field(min_length=1)]


class TableParameters(Section):
    """What both experiments are told.

    Attributes:
        backbones: by label, which names files: letters, digits, ``. _ + -``; null: none.
        patterns: of every cell that names none, keys of ``PATTERNS``.
        seeds: of the readouts' initial weights, of every cell that names none.
        only: labels or tables of the cells to run; empty: all.
    """

    backbones: Annotated[dict[Label, BackboneConfig], WithoutNulls]
    patterns: Patterns
    seeds: Seeds
    only: Annotated[tuple[str, ...], Once]


class PosenetParameters(TableParameters):
    """What is measured: every selected backbone on every pattern with every seed.

    Attributes:
        image_size: side in pixels of the images and of the ground truth.
        feature_size: side in pixels to which every block is resized.
        normalisation: of the images, a key of ``NORMALISATIONS``.
        stimuli: images without content on which readouts are tested, keys of ``SYNTHETIC``.
        stripes: range of the striped patterns, a key of ``STRIPES``.
        split: the photographs that are measured: ``test``, or ``validation`` to choose settings by:
            some of the train photographs, which nothing is trained on then.
        held_out: share of the train photographs that are measured by ``split: validation``.
        readout: the head and its training.
    """

    image_size: int = Field(ge=8, le=LARGEST_IMAGE)
    feature_size: int = Field(ge=2)
    normalisation: NormalisationName
    stimuli: Annotated[tuple[StimulusName, ...], Field(min_length=1), Once]
    stripes: StripesName
    split: MeasuredSplit
    held_out: float = Field(gt=0, lt=1)
    readout: ReadoutConfig


class AblationParameters(TableParameters):
    """Cells on the photographs, sizes, protocol and backbones of the section `posenet`.

    Attributes:
        cells: what each changes of Table 1: fields of ``TableCell``, ``readout`` by single
            fields; ``backbone_seeds`` makes a cell for each seed of untrained weights.
    """

    cells: tuple[dict[str, Any], ...] = Field(min_length=1)


class PosenetSettings(Section):
    """The sections that posenet reads: a cell per selected backbone, with all of its blocks."""

    photos: PhotosConfig
    posenet: PosenetParameters

    @property
    def backbones(self) -> dict[str, BackboneConfig]:
        """All that cells may name, by label."""
        return self.posenet.backbones

    @cached_property
    def manifests(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Of the train and the test photographs, see ``photo_manifests``."""
        return photo_manifests(self.photos)

    @property
    def held_out(self) -> float | None:
        """Share of the train photographs that are measured; None: the test photographs are."""
        return self.posenet.held_out if self.posenet.split == "validation" else None

    @cached_property
    def fitted_images(self) -> int:
        """How many train images are trained on; a ``ValueError`` if none can be held out."""
        photographs = self.manifests[0].photograph.tolist()
        if self.held_out is None:
            return len(photographs)
        try:
            return int((~hold_out(photographs, self.held_out)).sum())
        except ValueError as error:
            raise ValueError(
                f"posenet.split validation: {error}; give photos.train_dir more photographs, or "
                "photos.train_crops a larger number"
            ) from error

    @cached_property
    def cells(self) -> dict[str, TableCell]:
        """The selected cells by label; a ``ValueError`` says why one cannot be."""
        items = [{"backbone": label} for label in self.backbones]
        return self._cells("posenet.backbones", items, self.posenet)

    def _cells(
        self, where: str, items: Sequence[Item], section: TableParameters
    ) -> dict[str, TableCell]:
        shared = {
            "backbone_seed": None, "blocks": (), "tables": ("1",),
            "normalisation": self.posenet.normalisation,
            "readout": self.posenet.readout.model_dump(),
            "patterns": section.patterns, "seeds": section.seeds,
        }  # fmt: skip
        grid = Grid(
            where,
            TableCell,
            first=lambda cell: check(f"{where}: backbone", cell.backbone, self.backbones),
            groups=lambda cell: () if section is self.posenet else cell.tables,
            prefixes=PREFIXES,
        )
        return grid.cells(items, shared, section.only)

    def backbone_of(self, cell: TableCell) -> BackboneConfig:
        """The backbone of a cell, with the cell's seed."""
        backbone = self.backbones[cell.backbone]
        seed = backbone.seed if cell.backbone_seed is None else cell.backbone_seed
        return backbone.model_copy(update={"seed": seed})

    def features_of(self, cell: TableCell) -> str:
        """The label of a cell's features, without the set of images."""
        seed = "" if cell.backbone_seed is None else f"-seed{cell.backbone_seed}"
        plain = cell.normalisation == self.posenet.normalisation
        return cell.backbone + seed + ("" if plain else f"-norm-{cell.normalisation}")


class AblationSettings(PosenetSettings):
    """The sections that posenet_ablations reads: the same experiment with cells of any kind."""

    posenet_ablations: AblationParameters

    @property
    def backbones(self) -> dict[str, BackboneConfig]:
        """All that cells may name, by label."""
        return {**self.posenet.backbones, **self.posenet_ablations.backbones}

    @cached_property
    def cells(self) -> dict[str, TableCell]:
        """See ``PosenetSettings.cells``."""
        section, where = self.posenet_ablations, "posenet_ablations.cells"
        items = [item for cell in section.cells for item in self._by_seed(where, cell)]
        return self._cells(where, items, section)

    def _by_seed(self, where: str, item: Item) -> list[Item]:
        """An item for each of its ``backbone_seeds``."""
        rest = {name: value for name, value in item.items() if name != "backbone_seeds"}
        if item.get("backbone_seeds") is None:
            return [rest]
        label = check(f"{where}: backbone", str(item.get("backbone")), self.backbones)
        own, weights = self.backbones[label].seed, self.backbones[label].weights
        if weights != "untrained":
            raise ValueError(
                f"{where}: backbone_seeds are of untrained weights; "
                f"{label!r} has weights {weights!r}"
            )
        seeds = item["backbone_seeds"]
        return [rest if seed == own else {**rest, "backbone_seed": seed} for seed in seeds]


# In a label; None leaves a field out.
PREFIXES = {
    "backbone": None, "backbone_seed": "seed", "normalisation": "norm-", "blocks": "",
    "patterns": None, "seeds": None, "tables": None,
    "head": "", "loss": "", "lr": "lr", "kernel_size": "k", "layers": "l", "hidden_width": "w",
    "padding": "p",
}  # fmt: skip


def images_cells(settings: PosenetSettings) -> dict[str, ImagesCell]:
    """``train`` and ``test`` photographs, and ``synthetic`` images."""
    size, stimuli = settings.posenet.image_size, settings.posenet.stimuli
    train, test = settings.manifests
    cells = {}
    for name, manifest, others in (("train", train, test), ("test", test, train)):
        content, files = manifest_key(manifest), tuple(others.file.unique())
        cells[name] = ImagesCell(image_size=size, content=content, manifest=manifest, others=files)
    return {**cells, "synthetic": ImagesCell(image_size=size, stimuli=stimuli)}


def features_cells(settings: PosenetSettings) -> dict[str, FeaturesCell]:
    """Every backbone that a cell of the table names, on each set of images."""
    cells = {}
    for cell in settings.cells.values():
        backbone = settings.backbone_of(cell)
        weights = weights_key(backbone.arch, backbone.weights, f"backbones.{cell.backbone}.weights")
        for images in ("train", "test", "synthetic"):
            cells[f"{settings.features_of(cell)}.{images}"] = FeaturesCell(
                inputs={"images": f"images/{images}"},
                modules=user_modules(backbone.arch),
                backbone=backbone,
                weights=weights,
                normalisation=cell.normalisation,
                **settings.posenet.model_dump(include={"image_size", "feature_size"}),
            )
    return cells


def readouts_cells(settings: PosenetSettings) -> dict[str, ReadoutsCell]:
    """The readouts of each cell of the table."""
    sizes = settings.posenet.model_dump(include={"image_size", "feature_size", "stripes"})
    cells = {}
    for label, cell in settings.cells.items():
        features = f"features/{settings.features_of(cell)}.train"
        cells[label] = ReadoutsCell(
            inputs={"features": features, "images": "images/train"},
            parameters=_parameters(cell, settings),
            heads=tuple((pattern, seed) for pattern in cell.patterns for seed in cell.seeds),
            blocks=cell.blocks,
            held_out=settings.held_out,
            fit=cell.readout.settings,
            readout=cell.readout,
            backbone=settings.backbone_of(cell),
            train_images=settings.fitted_images,
            **sizes,
        )
    return cells


def evaluate_cells(settings: PosenetSettings) -> dict[str, ReadoutsCell]:
    """The same on the photographs that are measured."""
    cells, photographs = {}, "test" if settings.held_out is None else "train"
    for label, cell in readouts_cells(settings).items():
        features = f"features/{settings.features_of(settings.cells[label])}"
        inputs = {
            "readouts": f"readouts/{label}",
            "photos": f"{features}.{photographs}", "images": f"images/{photographs}",
            "synthetic": f"{features}.synthetic", "synthetic_images": "images/synthetic",
        }  # fmt: skip
        cells[label] = cell.model_copy(update={"inputs": inputs})
    return cells


def _parameters(cell: TableCell, settings: PosenetSettings) -> dict[str, Any]:
    """Every setting behind a cell, for the tracker."""
    backbone = settings.backbone_of(cell).model_dump(mode="json", exclude={"seed", "blocks"})
    table = cell.model_dump(mode="json", exclude={"patterns", "tables"})
    sizes = settings.posenet.model_dump(include={"image_size", "feature_size", "stripes"})
    measured = {"split": settings.posenet.split, "held_out": settings.held_out}
    more = {"blocks": "+".join(cell.blocks) or "all", "photos": settings.photos, **measured}
    return {**backbone, **table, **sizes, **more}
