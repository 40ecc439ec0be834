"""What a careless colleague may write."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Defect:
    """One edit of one module, and the tests that should fail with it.

    Attributes:
        what: is wrong then.
        old: text that stands in the module once.
        new: text in its place.
        file: the module, from src/posinfo.
        tests: arguments of pytest; files are named from tests.
        reason: why no test can fail, where none can.
    """

    what: str
    old: str
    new: str
    file: str = ""
    tests: str = ""
    reason: str = ""


def within(file: str, tests: str, *defects: Defect) -> list[Defect]:
    """Defects of one module; those that name no tests of their own are given these."""
    return [replace(each, file=file, tests=each.tests or tests) for each in defects]
