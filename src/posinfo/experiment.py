"""What an experiment is: typed settings, an ordered list of steps, and a report.

A step computes the results of its cells, each from the cell's settings and from results of earlier
steps that the cell names. docs/adding-an-experiment.md has a complete one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from posinfo.work import Work

C = TypeVar("C", bound="Cell")

STAGES = ("data_preparation", "modeling", "evaluation")


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, and nothing changes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(Section):
    """Settings of one result; a step's own kind of cell adds its fields.

    A result is found again by the values of all fields, but for those with ``exclude=True``.

    Attributes:
        inputs: by role, the results that are needed: ``step/label``.
        modules: of the user's own, whose code the result depends on.
        parameters: all settings behind the result, for the tracker; empty: the cell's fields.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inputs: dict[str, str] = Field(default={}, exclude=True)
    modules: tuple[str, ...] = Field(default=(), exclude=True)
    parameters: dict[str, Any] = Field(default={}, exclude=True)

    def needing(self: C, **inputs: str) -> C:
        """The same cell with more inputs."""
        return self.model_copy(update={"inputs": {**self.inputs, **inputs}})

    def check(self) -> None:
        """Whether it can be computed; asked before anything is, and only if it has to be.

        Raises:
            FileNotFoundError, ValueError: it cannot; the message says what to change.
        """


@dataclass(frozen=True)
class Result:
    """What a step returns for a cell, and what the store gives back.

    Attributes:
        tensors: by name.
        arrays: by name; those of ``Work.array`` stay on disk, memory-mapped.
        rows: of a result table. Its float columns are metrics.
        history: by name of the quantity, its value in each epoch.
        facts: small values that JSON can write.
        files: by name with its suffix, text or bytes.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    rows: pd.DataFrame | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """The rows of a result that has some."""
        assert self.rows is not None
        return self.rows


Inputs = Mapping[str, Result]
"""Results of earlier steps, by the role that a cell gives them."""


@dataclass(frozen=True)
class Step:
    """One step of an experiment.

    Attributes:
        name: of its node.
        stage: one of ``STAGES``. What an ``evaluation`` step returns is tracked.
        cells: from the experiment's settings, cells by label.
        run: computes a cell's result from its inputs by role.
        numeric: whether the result depends on the device and the precision.
        picture: drawn of a result for the tracker.
    """

    name: str
    stage: str
    cells: Callable[[Any], Mapping[str, Cell]]
    run: Callable[[Any, Inputs, Work], Result]
    numeric: bool = True
    picture: Callable[[Result], Figure] | None = None


@dataclass(frozen=True)
class Report:
    """What an experiment reports, by name of the file without suffix.

    Attributes:
        tables: written as CSV.
        texts: written as Markdown and printed at the end of a run.
        figures: written as PNG.
    """

    tables: Mapping[str, pd.DataFrame]
    texts: Mapping[str, str]
    figures: Mapping[str, Figure]


Results = Mapping[str, Mapping[str, Result]]
"""Results by step and label of the cell."""


@dataclass(frozen=True)
class Experiment:
    """A pipeline's content.

    Attributes:
        name: of the pipeline.
        settings: a pydantic model whose fields are sections of the configuration.
        steps: in order.
        report: made from the settings, the results of the steps in ``reported`` by step and label,
            and the published numbers.
        tables: names of the report's tables.
        texts: names of its texts.
        figures: names of its figures.
        reported: names of the steps whose results it gets; empty: the last step.
        family: folder of its results in the store, which experiments of the same steps share;
            empty: its name.
    """

    name: str
    settings: type[BaseModel]
    steps: tuple[Step, ...]
    report: Callable[[Any, Results, pd.DataFrame], Report]
    tables: tuple[str, ...] = ("scores", "table")
    texts: tuple[str, ...] = ("table",)
    figures: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    family: str = ""

    @property
    def report_steps(self) -> tuple[str, ...]:
        """Names of the steps whose results make the report."""
        return self.reported or (self.steps[-1].name,)
