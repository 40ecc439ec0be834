"""The settings that a sweep searches, by dotted name: ranges, choices, conditions."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from posinfo.choices import Label, Section, check
from posinfo.grid import merged

Scalar = bool | int | float | str | None
Changes = Mapping[str, Any]
"""Values by dotted name of a parameter: ``augshift.training.lr``."""


class Dimension(Section):
    """One setting of the search.

    Attributes:
        when: the setting is searched where others of the space have these values; elsewhere it
            stays as it is.
    """

    when: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)

    def is_active(self, chosen: Changes) -> bool:
        """Whether it is searched, given the names or values of the settings before it."""
        return all(
            name in chosen
            and chosen[name] in (allowed if isinstance(allowed, tuple) else (allowed,))
            for name, allowed in self.when.items()
        )


class Range(Dimension):
    """Numbers from ``low`` to ``high``, both included; in steps, or evenly by their logarithm."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        _require_range(self.low, self.high, self.log, self.step)
        return self

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values at the ends."""
        return self.low, self.high

    def has(self, value: object) -> bool:
        """Whether a value lies in the range."""
        kind = int if isinstance(self, IntRange) else (int, float)
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and _on_grid(self, value)


class FloatRange(Range):
    """A range of floats."""

    type: Literal["float"]
    low: float
    high: float
    step: float | None = Field(default=None, gt=0)


class IntRange(Range):
    """A range of whole numbers."""

    type: Literal["int"]
    low: int
    high: int
    step: int | None = Field(default=None, ge=1)


class Choice(Dimension):
    """One of some values, or one of some named groups of settings below the dotted name."""

    type: Literal["categorical"]
    choices: tuple[Scalar, ...] | dict[Label, dict[str, Any]]

    @model_validator(mode="after")
    def _has_some(self) -> "Choice":
        if not self.choices:
            raise ValueError("choices needs one or more")
        return self

    @property
    def names(self) -> tuple[Scalar, ...]:
        """What can be chosen."""
        return tuple(self.choices)

    @property
    def examples(self) -> tuple[Any, ...]:
        """Every value."""
        return tuple(self.value_of(name) for name in self.names)

    def value_of(self, name: Scalar) -> Any:
        """The value of a choice: itself, or the settings of the group."""
        return self.choices[str(name)] if isinstance(self.choices, dict) else name

    def has(self, value: object) -> bool:
        """Whether a value is one of the choices; of named groups, none is."""
        return not isinstance(self.choices, dict) and value in self.choices


Space = dict[str, Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]]


def in_order(space: Space) -> Space:
    """The same space, each setting behind those that its conditions name, where these exist."""
    ordered: Space = {}

    def add(name: str, waiting: tuple[str, ...]) -> None:
        for condition in space[name].when:
            if condition in space and condition not in waiting:
                add(condition, (*waiting, condition))
        ordered.setdefault(name, space[name])

    for name in space:
        add(name, (name,))
    return ordered


def require_known(space: Space, parameters: Mapping[str, Any], sections: tuple[str, ...]) -> None:
    """Refuse a space that names what there is not, or conditions that cannot be met.

    Args:
        space: by dotted name.
        parameters: the configuration.
        sections: the parts of it that may be searched.

    Raises:
        ValueError: says which name, and what there is.
    """
    known = sorted(names_below({name: parameters[name] for name in sections}))
    before: list[str] = []
    for name, dimension in space.items():
        check("sweep: space: setting", name, known)
        for condition, allowed in dimension.when.items():
            check(f"sweep: space: {name}: when: setting that stands above it", condition, before)
            parent = space[condition]
            for value in allowed if isinstance(allowed, tuple) else (allowed,):
                possible = (
                    value in parent.names if isinstance(parent, Choice) else parent.has(value)
                )
                if not possible:
                    raise ValueError(
                        f"sweep: space: {name}: when: {condition} is never {value!r} in this space"
                    )
        before.append(name)


def names_below(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of settings and of groups of them, at any depth."""
    for name, value in settings.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from names_below(value, f"{prefix}{name}.")


def value_at(parameters: Mapping[str, Any], name: str) -> Any:
    """The value that a dotted name has."""
    value: Any = parameters
    for part in name.split("."):
        value = value[part]
    return value


def changed(parameters: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """The configuration with other values; mappings change single settings, at any depth.

    Raises:
        ValueError: a name that there is not.
    """
    result = dict(parameters)
    for name, value in changes.items():
        check("sweep: setting", name, sorted(names_below(parameters)))
        nested: Any = value
        for part in reversed(name.split(".")):
            nested = {part: nested}
        result = merged(result, nested)
    return result


def combinations(space: Space) -> Iterator[dict[str, Any]]:
    """For each setting and each end of its range or choice, the changes that make it so.

    What its conditions ask of others is among them.
    """
    for name, dimension in space.items():
        needed = _conditions(space, name)
        for example in dimension.examples:
            yield {**needed, name: example}


def _conditions(space: Space, name: str) -> dict[str, Any]:
    needed: dict[str, Any] = {}
    for condition, allowed in space[name].when.items():
        value = allowed[0] if isinstance(allowed, tuple) else allowed
        parent = space[condition]
        chosen = parent.value_of(value) if isinstance(parent, Choice) else value
        needed |= {**_conditions(space, condition), condition: chosen}
    return needed


def _require_range(
    low: int | float, high: int | float, log: bool, step: int | float | None
) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if log and low <= 0:
        raise ValueError(f"log needs a low above 0; got {low}")
    if log and step is not None:
        raise ValueError("log has no step")


def _on_grid(dimension: Range, value: int | float) -> bool:
    if dimension.step is None:
        return True
    steps = (value - dimension.low) / dimension.step
    return abs(steps - round(steps)) < 1e-9
