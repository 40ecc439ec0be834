"""One look-up for every table of choices (patterns, backbones, paddings, metrics, ...)."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from pydantic import AfterValidator

T = TypeVar("T")


def check(kind: str, name: str, allowed: Iterable[str]) -> str:
    """The name itself, when it is one of the allowed ones.

    Args:
        kind: what is being chosen, as the user wrote it (``pattern``).
        name: the user's choice.
        allowed: every possible choice.

    Raises:
        ValueError: the name is not allowed; the message lists what is, and the nearest one.
    """
    names = list(allowed)
    if name in names:
        return name
    near = get_close_matches(str(name), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{kind} must be one of {', '.join(names)}; got {name!r}{hint}")


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
