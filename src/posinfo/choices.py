"""What settings are made of: sections, seeds, and names from a table of choices."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

T = TypeVar("T")

Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]  # what NumPy, too, can be seeded with


class Section(BaseModel):
    """A part of the configuration, which nothing changes.

    Keys that it does not have are refused with the nearest one that it has, and so are infinities
    and NaN, for which results could not be found again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_only_known_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            check_all("setting", map(str, values), cls.model_fields)
        return values


def problems(error: ValidationError) -> str:
    """What is wrong with settings: for each, its name, dotted as in YAML, and why; by ``; ``.

    Values are left out where the model hides them (``hide_input_in_errors``).
    """
    shown = "input_value=" in str(error)
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), _reason(each, shown))))
        for each in error.errors(include_url=False)
    )


def _reason(problem: Any, shown: bool) -> str:
    if problem["type"] == "value_error":  # of a validator of ours, which says what it got
        return problem["msg"].removeprefix("Value error, ")
    return problem["msg"] + (f"; got {problem['input']!r:.80}" if shown else "")


def check(kind: str, name: str, allowed: Iterable[str]) -> str:
    """The name itself, when it is one of the allowed ones.

    Args:
        kind: what is being chosen, as the user wrote it (``pattern``).
        name: the user's choice.
        allowed: every possible choice.

    Raises:
        ValueError: the name is not allowed; the message lists what is, and the nearest one.
    """
    check_all(kind, [name], allowed)
    return name


def check_all(kind: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse names that are not among the allowed ones, all in one message; see ``check``."""
    choices = list(allowed)
    unknown = [name for name in names if name not in choices]
    if unknown:
        got = ", ".join(f"{name!r}{_hint(str(name), choices)}" for name in unknown)
        raise ValueError(f"{kind} must be one of {', '.join(choices)}; got {got}")


def _hint(name: str, choices: list[str]) -> str:
    near = get_close_matches(name, choices, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def pick(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of a table of choices, or a ``ValueError`` that lists what there is."""
    return table[check(kind, name, table)]


def one_of(kind: str, names: Callable[[], Iterable[str]] | Iterable[str]) -> AfterValidator:
    """The validator of a field whose value is one of a table's names.

    Example:
        .. code-block:: python

            padding: Annotated[str, one_of("padding", PADDINGS)]
            method: Annotated[str, one_of("method", lambda: METHODS)]  # METHODS stands further down

    Args:
        kind: what is being chosen, as the user wrote it.
        names: every possible choice, or a function that returns them.
    """
    return AfterValidator(lambda name: check(kind, name, names() if callable(names) else names))


def no_repeats(values: tuple) -> tuple:
    """The values themselves.

    Raises:
        ValueError: one of them stands there twice.
    """
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"each value may stand once; repeated: {', '.join(repeated)}")
    return values


Once = AfterValidator(no_repeats)
"""The validator of a field whose values may stand once each."""


def _without_nulls(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: value for name, value in values.items() if value is not None}
    return values


WithoutNulls = BeforeValidator(_without_nulls)
"""The validator of a mapping from which an environment can drop what another has, by a null."""

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.+-]*$", max_length=100)]
"""Of a cell, which names files: 100 letters, digits or ``. _ + -`` at most."""
