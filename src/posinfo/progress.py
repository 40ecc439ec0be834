"""How long work reports its progress: it calls back, and the caller owns the bar."""

from collections.abc import Callable

OnProgress = Callable[[int], object]
"""Called with the number of images or steps done since the last call."""


def silent(advance: int) -> None:
    """The callback of a caller who does not listen."""
