"""Conditions on numbers of an audit under which it fails: ``consistency<0.95``."""

import operator
import re
from collections.abc import Callable, Mapping
from math import isnan, nan
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from posinfo.choices import Once, check
from posinfo.experiments.audit.numbers import MEASURES, Number

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
_GATE = re.compile(r"\s*([\w.+-]+?)\s*(<=|<|>=|>)\s*([-+\d.eE]+)\s*")


class Gate(NamedTuple):
    """A condition under which an audit fails.

    Attributes:
        name: of a number.
        relation: a key of ``OPERATORS``.
        limit: what the number is compared with.
    """

    name: str
    relation: str
    limit: float

    def fails(self, numbers: Mapping[str, Number]) -> bool:
        """Whether the condition holds, or nobody knows: the number is NaN or was not measured."""
        value = numbers[self.name].value if self.name in numbers else nan
        return isnan(value) or OPERATORS[self.relation](value, self.limit)


def parse_gate(text: str) -> Gate:
    """A condition from its text.

    Raises:
        ValueError: no condition, or one on a number that no audit has.
    """
    found = _GATE.fullmatch(text)
    try:
        limit = float(found[3]) if found else None
    except ValueError:
        limit = None
    if found is None or limit is None:
        raise ValueError(
            f"fail_if must be a number's name, one of {', '.join(OPERATORS)}, and a limit, as "
            f"consistency<0.95; got {text!r}"
        )
    name = found[1]
    if name not in MEASURES:  # of a layer, a padding, a margin: consistency.circular
        check("fail_if", name.partition(".")[0], {known.partition(".")[0] for known in MEASURES})
    return Gate(name, found[2], limit)


def _checked(text: str) -> str:
    parse_gate(text)
    return text


Gates = Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], Once]
"""Of the configuration: texts of conditions."""
