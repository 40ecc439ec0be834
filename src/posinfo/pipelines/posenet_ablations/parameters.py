"""The `posenet_ablations` section of the configuration."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from posinfo.choices import check
from posinfo.networks.backbones import BackboneConfig
from posinfo.networks.readout_config import ReadoutConfig
from posinfo.pipelines.labels import LABEL
from posinfo.pipelines.posenet.cells import Cell
from posinfo.pipelines.posenet.parameters import PosenetParameters

# How the label of a cell, which names files, tells the changed fields of the readout.
READOUT_LETTERS = {
    "kernel_size": "k", "layers": "l", "hidden_width": "w", "padding": "p", "head": "", "loss": "",
}  # fmt: skip


class CellConfig(BaseModel):
    """One item of `cells`: what differs from Table 1.

    Attributes:
        tables: in which the cell stands: 1, 2a, 2b, 3, 4, or names of one's own.
        backbone: a label of `posenet.backbones` or `posenet_ablations.backbones`.
        blocks: names of the blocks to read (f1, f2, ...); empty: all.
        readout: fields of `posenet.readout` to change.
        normalisation: of the images; None: as in Table 1.
        patterns: None: those of the experiment.
        seeds: of the readouts; None: those of the experiment.
        backbone_seeds: of untrained weights, each drawn anew; None: the row's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: tuple[str, ...] = Field(min_length=1)
    backbone: str
    blocks: tuple[str, ...] = ()
    readout: dict[str, Any] = {}
    normalisation: str | None = None
    patterns: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    backbone_seeds: tuple[int, ...] | None = None


class AblationParameters(BaseModel):
    """Cells on the photographs, sizes and protocol of the posenet experiment.

    Attributes:
        backbones: rows besides those of `posenet.backbones`, by label.
        patterns: to read, among those of `posenet.patterns`.
        seeds: of the readouts.
        cells: what is measured.
        only: tables or labels of cells to run; empty: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbones: dict[Annotated[str, StringConstraints(pattern=LABEL)], BackboneConfig]
    patterns: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    cells: tuple[CellConfig, ...] = Field(min_length=1)
    only: tuple[str, ...]

    def resolve(self, posenet: PosenetParameters) -> list[Cell]:
        """The selected cells with all of their settings.

        Raises:
            ValueError: a cell that names what there is not, or two equal cells.
        """
        cells = [cell for config in self.cells for cell in self._cells_of(config, posenet)]
        labels = [cell.label for cell in cells]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(
                f"posenet_ablations.cells: {', '.join(twice)} stands there twice; "
                "name all its tables in one item"
            )
        tables = dict.fromkeys(table for cell in cells for table in cell.tables)
        for name in self.only:
            check("posenet_ablations.only", name, [*sorted(tables), *labels])
        return [
            cell
            for cell in cells
            if not self.only or cell.label in self.only or set(cell.tables) & set(self.only)
        ]

    def _cells_of(self, config: CellConfig, posenet: PosenetParameters) -> list[Cell]:
        backbones = {**posenet.backbones, **self.backbones}
        check("posenet_ablations.cells: backbone", config.backbone, backbones)
        for name in config.readout:
            check("posenet_ablations.cells: readout", name, ReadoutConfig.model_fields)
        patterns = config.patterns or self.patterns
        for pattern in patterns:
            check("posenet_ablations: pattern", pattern, posenet.patterns)
        changes = dict(config.readout)
        ridge = posenet.readout.ridge.model_dump() | changes.pop("ridge", {})
        readout = ReadoutConfig.model_validate(
            {**posenet.readout.model_dump(), **changes, "ridge": ridge}
        )
        row = backbones[config.backbone]
        if config.backbone_seeds and row.weights != "untrained":
            raise ValueError(
                "posenet_ablations.cells: backbone_seeds are of untrained weights; "
                f"{config.backbone!r} has weights {row.weights!r}"
            )
        seeds = config.backbone_seeds or (row.seed,)
        return [
            posenet.cell(
                config.backbone,
                row.model_copy(update={"seed": seed}),
                name=_label(config, None),
                label=_label(config, seed if seed != row.seed else None),
                features=_features_label(config, seed if seed != row.seed else None),
                blocks=config.blocks,
                readout=readout,
                normalisation=config.normalisation or posenet.normalisation,
                patterns=patterns,
                seeds=config.seeds or self.seeds,
                tables=config.tables,
            )
            for seed in seeds
        ]


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Whether every selected cell can be run, before anything is computed.

    Raises:
        FileNotFoundError, ValueError: what cannot be, and what to change.
    """
    posenet = PosenetParameters.model_validate(parameters["posenet"])
    ablations = AblationParameters.model_validate(parameters["posenet_ablations"])
    for cell in ablations.resolve(posenet):
        try:
            cell.check()
        except ValueError as error:
            raise ValueError(f"posenet_ablations.cells: {cell.label}: {error}") from error


def _features_label(config: CellConfig, seed: int | None) -> str:
    parts = [config.backbone]
    if seed is not None:
        parts.append(f"seed{seed}")
    if config.normalisation is not None:
        parts.append(f"norm-{config.normalisation}")
    return "-".join(parts)


def _label(config: CellConfig, seed: int | None) -> str:
    parts = [_features_label(config, seed), *config.blocks]
    for name, value in config.readout.items():
        changed = value.items() if isinstance(value, dict) else [(name, value)]
        for field, setting in changed:
            told = "+".join(map(str, setting)) if isinstance(setting, list) else setting
            parts.append(f"{READOUT_LETTERS.get(field, field)}{told}")
    return "-".join(parts)
