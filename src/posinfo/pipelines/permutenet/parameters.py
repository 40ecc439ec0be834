"""The `permutenet` section of the configuration."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from posinfo.choices import check
from posinfo.networks.canvas_training import TASKS
from posinfo.networks.pooled_classifiers import ClassifierConfig
from posinfo.networks.stored_settings import settings_key
from posinfo.networks.training_config import TrainingConfig
from posinfo.pipelines.labels import LABEL, no_repeats
from posinfo.stimuli.canvases import CanvasConfig
from posinfo.stimuli.labelled_images import DatasetConfig

NAMED_BY = ("network", "permutation", "task", "grid")  # what every label begins with


class CellConfig(BaseModel):
    """A row of the result table but for its seeds.

    Attributes:
        network: gapnet or permutenet.
        permutation: of channels, a key of ``PERMUTATIONS``.
        task: location (which cell of the grid) or image (which class the tile is of).
        grid: cells per side of the canvas.
        cell_size: side of a cell in pixels.
        canvas: its colour: a key of ``COLOURS`` or [red, green, blue], each 0..255.
        arch: of the backbone, see ``posinfo.networks.architectures``.
        width: channels of the first stage of ``canvas_resnet18``; null for other networks.
        padding: a key of ``PADDINGS``.
        permuted_before: the stage of a ResNet before which channels are permuted; null: after
            pooling.
        training: the protocol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    permutation: str
    task: str
    grid: int
    cell_size: int
    canvas: str | tuple[int, int, int]
    arch: str
    width: int | None
    padding: str
    permuted_before: int | None
    training: TrainingConfig

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        return check("task", task, TASKS)

    @property
    def classifier(self) -> ClassifierConfig:
        """The network.

        Raises:
            ValueError: its settings do not fit together.
        """
        return ClassifierConfig(**self.model_dump(include=set(ClassifierConfig.model_fields)))

    @property
    def canvas_config(self) -> CanvasConfig:
        """What it is shown.

        Raises:
            ValueError: there is no such canvas.
        """
        return CanvasConfig(grid=self.grid, cell=self.cell_size, colour=self.canvas)

    def columns(self) -> dict[str, object]:
        """The settings as columns of the result table."""
        flat = {**self.model_dump(exclude={"training"}), **self.training.model_dump()}
        del flat["compile"]  # changes no number but by round-off
        return {name: told(value) for name, value in flat.items()}

    def settings(self, data: str, seed: int) -> dict[str, object]:
        """All that a trained network depends on, but for the machine.

        Args:
            data: key of the images.
            seed: of the training.
        """
        return {**self.model_dump(mode="json"), "data": data, "seed": seed}


class PermutenetParameters(BaseModel):
    """What is trained and tested.

    Attributes:
        dataset: the tiles.
        shared: settings of every cell that does not say otherwise.
        cells: what differs, one item per row of the table.
        seeds: of weights, order and places; each cell is trained once per seed.
        only: labels, networks or tasks of the cells to run; empty: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetConfig
    shared: dict[str, Any]
    cells: tuple[dict[str, Any], ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(min_length=1)
    only: tuple[str, ...]

    @field_validator("seeds", "only")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        return no_repeats(values)

    def resolve(self) -> dict[str, CellConfig]:
        """The selected cells by label.

        Raises:
            ValueError: a cell cannot be, stands there twice, or is not there.
        """
        cells: dict[str, CellConfig] = {}
        for changes in self.cells:
            label, cell = self._labelled(changes)
            if cell in cells.values():
                raise ValueError(f"permutenet.cells: {label} stands there twice")
            cells[label] = cell
        names = {name: (name, cell.network, cell.task) for name, cell in cells.items()}
        for name in self.only:
            check("permutenet.only", name, dict.fromkeys(sum(names.values(), ())))
        return {
            label: cell
            for label, cell in cells.items()
            if not self.only or set(names[label]) & set(self.only)
        }

    def answers_key(self, cell: CellConfig, seed: int) -> str:
        """Of all settings that the answers of a trained network depend on."""
        return settings_key({**cell.settings("", seed), "images": self.dataset.settings})

    def check(self) -> None:
        """Whether every selected cell can be run, before anything is computed.

        Raises:
            ValueError: one cannot; the message says which, and what to change.
        """
        for label, cell in self.resolve().items():
            try:
                cell.classifier.check(cell.canvas_config.side, "canvas (grid x cell_size)")
            except ValueError as error:
                raise ValueError(f"permutenet.cells: {label}: {error}") from error

    def _labelled(self, changes: Mapping[str, Any]) -> tuple[str, CellConfig]:
        for name in changes:
            check("permutenet.cells: setting", name, CellConfig.model_fields)
        for name in self.shared:
            check("permutenet.shared", name, CellConfig.model_fields)
        try:
            training = _training(self.shared) | _training(changes)
            merged = {**self.shared, **changes, "training": training}
            cell = CellConfig.model_validate(merged)
            _ = cell.classifier, cell.canvas_config
        except ValueError as error:
            raise ValueError(f"permutenet.cells: {dict(changes)}: {error}") from error
        return _Label.model_validate({"label": _label(cell, changes)}).label, cell


def _training(settings: Mapping[str, Any]) -> dict[str, Any]:
    training = settings.get("training", {})
    if not isinstance(training, Mapping):
        raise ValueError(f"training must be a mapping of settings; got {training!r}")
    return dict(training)


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Whether every selected cell can be run, before anything is computed.

    Raises:
        ValueError: one cannot; the message says which, and what to change.
    """
    PermutenetParameters.model_validate(parameters["permutenet"]).check()


class _Label(BaseModel):
    label: Annotated[str, StringConstraints(pattern=LABEL)]


def _label(cell: CellConfig, changes: Mapping[str, Any]) -> str:
    parts = [cell.network, cell.permutation, cell.task, f"{cell.grid}x{cell.grid}"]
    for name, value in changes.items():
        if name not in NAMED_BY:
            changed = value.items() if isinstance(value, Mapping) else [(name, value)]
            parts += [f"{field}-{_in_a_label(setting)}" for field, setting in changed]
    return "-".join(parts)


def _in_a_label(value: object) -> str:
    return str(told(value)).replace(":", ".").replace("(", ".").replace(")", "")


def told(value: object) -> object:
    """A setting as one value: ``255+0+0`` for a list."""
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else value
