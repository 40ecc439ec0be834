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

from posinfo.choices import Section
from posinfo.work import Work

C = TypeVar("C", bound="Cell")

STAGES = ("data_preparation", "modeling", "evaluation")


class Cell(Section):
    """Settings of one result; a step's own kind of cell adds its fields.

    A result is found again by the values of all fields, but for those with ``exclude=True``.

    Attributes:
        inputs: for each role in ``Step.run``, the result that is needed, as ``step/label``.
        modules: dotted names of modules outside posinfo whose code the result depends on.
        parameters: settings, nested as in YAML, that the MLflow run of the cell shows; empty: the
            cell's own fields.
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
        tensors: name to tensor of any shape and dtype, on any device.
        arrays: name to array; one that ``Work.array`` has made stays on disk, memory-mapped.
        rows: lines of a result table; float columns become metrics of the MLflow run.
        history: name of a quantity to its value in each epoch, the first epoch first.
        facts: name to a small value that JSON can write.
        files: file name with suffix, or path inside of the result, to the file's content.
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
        name: what the step is called in commands, folders and keys.
        stage: one of ``STAGES``; each result of an ``evaluation`` step becomes an MLflow run.
        cells: function of the experiment's settings that returns label to cell.
        run: function of a cell, its inputs by role and ``Work`` that returns the result.
        numeric: whether results depend on the device and on the precision.
        picture: function of a result that draws the figure of its MLflow run; None: no figure.
        shared_with: the step of another experiment, ``experiment/step``, whose cells and results
            these are, too; empty: none.
    """

    name: str
    stage: str
    cells: Callable[[Any], Mapping[str, Cell]]
    run: Callable[[Any, Inputs, Work], Result]
    numeric: bool = True
    picture: Callable[[Result], Figure] | None = None
    shared_with: str = ""


@dataclass(frozen=True)
class Report:
    """What an experiment reports.

    Attributes:
        tables: file name without suffix to a table, which is written as CSV.
        texts: the same for Markdown, which is also printed at the end of a run.
        figures: the same for pictures, which are written as PNG.
        folders: name of a folder to the content of its files, by path inside of it.
    """

    tables: Mapping[str, pd.DataFrame]
    texts: Mapping[str, str]
    figures: Mapping[str, Figure]
    folders: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Objectives:
    """What a sweep can ask of an experiment.

    Attributes:
        metrics: columns of the rows of its last step that are measured on the images of ``split``.
        split: dotted name of the setting that says which images these are: ``validation`` while
            settings are chosen, then ``test``.
        seeds: dotted name of the setting that lists the seeds; the rows have a column ``seed``.
    """

    metrics: tuple[str, ...]
    split: str
    seeds: str


Results = Mapping[str, Mapping[str, Result]]
"""Results by step and label of the cell."""


@dataclass(frozen=True)
class Experiment:
    """A pipeline's content.

    Attributes:
        name: what the pipeline is called: ``kedro run --pipeline=NAME``.
        settings: class of the settings; each of its fields is a section of the configuration.
        steps: the steps in the order in which they run.
        report: function of the settings, of results by step and label, and of the published
            numbers (measures/published.csv) that returns the report.
        tables: names of all tables of the report.
        texts: names of all its texts.
        figures: names of all its figures.
        folders: names of all its folders.
        reported: names of the steps whose results the report gets; empty: the last step alone.
        family: the first part of the keys of its results, which experiments that share steps have
            in common; empty: the experiment's name.
        objectives: what a sweep can ask; None: it measures on test images alone.
    """

    name: str
    settings: type[BaseModel]
    steps: tuple[Step, ...]
    report: Callable[[Any, Results, pd.DataFrame], Report]
    tables: tuple[str, ...] = ("scores", "table")
    texts: tuple[str, ...] = ("table",)
    figures: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    family: str = ""
    objectives: Objectives | None = None

    @property
    def report_steps(self) -> tuple[str, ...]:
        """Names of the steps whose results make the report."""
        return self.reported or (self.steps[-1].name,)
