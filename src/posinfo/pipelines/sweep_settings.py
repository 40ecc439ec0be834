"""The section `sweep` of the configuration, and what it says of an experiment's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from posinfo.choices import (
    Label,
    Section,
    Seed,
    WithoutNulls,
    check,
    no_repeats,
    one_of,
    pick,
    problems,
)
from posinfo.experiment import Experiment
from posinfo.experiments import EXPERIMENTS
from posinfo.networks.training.devices import Parallel
from posinfo.pipelines.requests import SHARED, Request
from posinfo.pipelines.search_space import (
    Changes,
    Space,
    changed,
    combinations,
    in_order,
    require_known,
    value_at,
)
from posinfo.plan import digest, numerics

STORAGES = ("sqlite", "postgresql+psycopg")
SAMPLERS = (
    "TPESampler", "RandomSampler", "GPSampler", "NSGAIISampler", "NSGAIIISampler",
    "QMCSampler", "GridSampler", "BruteForceSampler",
)  # fmt: skip
PRUNERS = (
    "MedianPruner", "PercentilePruner", "SuccessiveHalvingPruner", "HyperbandPruner",
    "ThresholdPruner", "PatientPruner", "WilcoxonPruner", "NopPruner",
)  # fmt: skip
VALIDATION, TEST = "validation", "test"


class Objective(Section):
    """A number of an experiment that a sweep makes high or low.

    Attributes:
        metric: a column of the rows of the experiment's last step.
        direction: ``maximize`` or ``minimize``.
        where: the rows that count, by column and value; empty: all. Their mean is taken.
    """

    metric: str
    direction: Literal["maximize", "minimize"]
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its metric, and the rows that count."""
        return "_".join([self.metric, *map(str, self.where.values())])


class Named(Section, extra="allow"):
    """A sampler or pruner of Optuna's: the name of its class, and its arguments."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def _has_only_known_keys(cls, values: Any) -> Any:
        return values  # Optuna knows which arguments there are


class Search(Section):
    """What is searched in one experiment.

    Attributes:
        settings: of every trial, where they are not those of the experiment, by dotted name.
        space: what trials change, by dotted name; null: not this one.
        objectives: one, or several, whose best compromises are then looked for.
        n_trials: that are to end, pruned and failed ones included.
        seeds_per_trial: a trial's number is the mean over so many seeds.
        sampler: a class of ``optuna.samplers`` by name, with arguments.
        pruner: a class of ``optuna.pruners`` by name, with arguments, that looks at the validation
            score of each epoch of the first training of a trial; None: no trial is cut short.
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    space: Annotated[Space, WithoutNulls] = Field(min_length=1)
    objectives: tuple[Objective, ...] = Field(min_length=1)
    n_trials: int = Field(ge=1)
    seeds_per_trial: int = Field(ge=1)
    sampler: Named
    pruner: Named | None

    @model_validator(mode="after")
    def _fits_together(self) -> "Search":
        check("sampler.name", self.sampler.name, SAMPLERS)
        object.__setattr__(self, "space", in_order(self.space))
        no_repeats(tuple(objective.name for objective in self.objectives))
        if self.pruner is not None:
            check("pruner.name", self.pruner.name, PRUNERS)
            if len(self.objectives) > 1:
                raise ValueError(
                    "a pruner needs one objective: Optuna cannot cut short with several"
                )
        return self


def require_address(storage: str) -> str:
    """The address itself, if Optuna can use it and it shows no password.

    Raises:
        ValueError: says what is possible; a password is not repeated.
    """
    try:
        url = make_url(storage)
    except (ArgumentError, ValueError):  # whose text may be a part of a password
        raise ValueError("sweep.storage is no address: sqlite:///optuna.db is one") from None
    check("sweep.storage: scheme", url.drivername, STORAGES)
    if url.password is not None or any("password" in name for name in url.query):
        raise ValueError(
            "sweep.storage has a password in it, which logs and lists of processes would show: put "
            "it in PGPASSWORD, ~/.pgpass, or `environment` in conf/local/credentials.yml"
        )
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("sweep.storage names no file: sqlite:///optuna.db does")
    return storage


class SweepParameters(Section):
    """A search of an experiment's settings.

    Attributes:
        experiment: a key of ``searches``.
        study: its name in the storage; None: the experiment, and a hash of what is searched.
        storage: of trials, an address of SQLAlchemy's without a password.
        n_trials: in place of that of the search; None: that one.
        timeout: seconds after which this process begins no trial; None: never.
        seed: of the sampler.
        heartbeat: seconds between signs of life of a running trial; one that has given none for
            twice as long is begun again by another process.
        searches: by name of the experiment.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # a password may be among them

    experiment: Annotated[str, one_of("sweep.experiment", lambda: EXPERIMENTS)]
    study: Label | None
    storage: Annotated[str, AfterValidator(require_address)]
    n_trials: int | None = Field(ge=1)
    timeout: float | None = Field(gt=0)
    seed: Seed
    heartbeat: int = Field(ge=1)
    searches: Annotated[dict[str, Search], WithoutNulls]

    @model_validator(mode="after")
    def _fits_together(self) -> "SweepParameters":
        _ = self.search
        return self

    @property
    def search(self) -> Search:
        """What is searched."""
        return pick("sweep.searches: experiment", self.experiment, self.searches)

    @property
    def trials(self) -> int:
        """How many are to end."""
        return self.n_trials or self.search.n_trials


def _plain(section: Any) -> dict[str, Any]:
    return section.model_dump() if isinstance(section, Parallel) else dict(section)


@dataclass(frozen=True)
class Sweep:
    """A search, with the configuration that its trials change.

    Attributes:
        settings: the section.
        parameters: every section that the experiment reads, with the search's own settings.
    """

    settings: SweepParameters
    parameters: dict[str, Any]

    @classmethod
    def of(cls, settings: SweepParameters, parameters: Mapping[str, Any]) -> "Sweep":
        """From the configuration.

        Raises:
            ValueError: the experiment cannot be searched, or ``settings`` names what there is not.
        """
        experiment, search = EXPERIMENTS[settings.experiment], settings.search
        asked = experiment.objectives
        if asked is None:
            there = [name for name, each in EXPERIMENTS.items() if each.objectives]
            raise ValueError(
                f"{experiment.name} measures on test images alone, where no settings are chosen: "
                f"a sweep takes {', '.join(there)}"
            )
        for objective in search.objectives:
            check(f"sweep: metric of {experiment.name}", objective.metric, asked.metrics)
        names = (*experiment.settings.model_fields, *SHARED)
        own = {name: parameters[name] for name in names}
        seeds = list(range(search.seeds_per_trial))
        for name in (asked.split, asked.seeds):
            if name in search.space or name in search.settings:
                raise ValueError(f"sweep: {name} is set by the sweep itself")
        threads = Parallel.model_validate(own["parallel"]).threads  # a worker may have fewer
        resolved = {"parallel": {**_plain(own["parallel"]), "threads_per_job": threads}}
        return cls(settings, changed(own | resolved, {**search.settings, asked.seeds: seeds}))

    @property
    def experiment(self) -> Experiment:
        """What is searched."""
        return EXPERIMENTS[self.settings.experiment]

    def configured(self, changes: Changes, split: str) -> dict[str, Any]:
        """The configuration of a trial, measured on the images of a split."""
        assert self.experiment.objectives is not None
        return changed(self.parameters, {**changes, self.experiment.objectives.split: split})

    def request(self, changes: Changes, split: str) -> Request:
        """A trial's cells, computed one after the other by the process that asks for them."""
        parallel = Parallel.model_validate(self.parameters["parallel"])
        alone = Parallel(n_jobs=1, threads_per_job=parallel.threads)
        return Request.of(self.experiment, {**self.configured(changes, split), "parallel": alone})

    def check(self) -> None:
        """Refuse a space of which a part cannot be, before any trial.

        Each end of each range and each choice is tried by itself.

        Raises:
            ValueError: an unknown setting, a value that the experiment refuses, or processes that
                there cannot be.
        """
        space = self.settings.search.space
        require_known(space, self.parameters, tuple(self.experiment.settings.model_fields))
        for changes in ({}, *combinations(space)):
            try:
                request = self.request(changes, VALIDATION)
                for cells in request.plan.values():
                    for cell in cells.values():
                        cell.cell.check()
            except (ValueError, FileNotFoundError) as error:
                said = ", ".join(f"{name} = {value}" for name, value in changes.items())
                why = problems(error) if isinstance(error, ValidationError) else error
                raise ValueError(f"sweep: {said or 'the settings of all trials'}: {why}") from error
        Request.of(self.experiment, self.configured({}, VALIDATION))  # asks for all processes

    def start(self) -> dict[str, Any] | None:
        """The settings as they are, by dotted name; None if some lie outside the space."""
        space, values = self.settings.search.space, {}
        for name, dimension in space.items():
            if dimension.is_active(values):
                values[name] = value_at(self.parameters, name)
                if not dimension.has(values[name]):
                    return None
        return values

    @property
    def definition(self) -> dict[str, Any]:
        """All that trials of one study have in common, as JSON values."""
        search = self.settings.search.model_dump(mode="json")
        request = self.request({}, VALIDATION)
        machine = request.machine
        steps = {step: next(iter(cells.values())) for step, cells in request.plan.items() if cells}
        return {
            "experiment": self.experiment.name,
            "space": search["space"],
            "objectives": search["objectives"],
            "seeds_per_trial": search["seeds_per_trial"],
            "settings": request.settings.model_dump(mode="json"),
            "precision": numerics(machine.device, machine.dtype),
            "code": {step: cell.identity["code"] for step, cell in steps.items()},
            "packages": next(iter(steps.values())).identity["packages"],
        }

    @property
    def study(self) -> str:
        """The name of the study."""
        if self.settings.study is not None:
            return self.settings.study
        told = {k: v for k, v in self.definition.items() if k not in ("code", "packages")}
        return f"{self.experiment.name}-{digest(told)[:8]}"
