"""Which images an experiment measures what it has trained on."""

from typing import Literal

MeasuredSplit = Literal["test", "validation"]
"""``test``, or ``validation``, to choose settings by: test images are to judge what was chosen."""
