"""The progress bar of a step: how many cells are done, and how far the one in work is."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class StepBar:
    """What the runner and the work it does report to: so many cells of a step."""

    def __init__(self, bar: Progress, step: str, cells: int) -> None:
        self._bar = bar
        self._cells = bar.add_task(step, total=cells)
        self._cell = bar.add_task("", total=None, visible=False)
        self._label = ""

    def start(self, label: str) -> None:
        """A cell is begun in this process."""
        self._label = label
        self._bar.remove_task(self._cell)  # its total could not be reset to None
        self._cell = self._bar.add_task(label, total=None)

    def total(self, amount: int) -> None:
        """So many images or steps make the cell."""
        self._bar.update(self._cell, total=amount)

    def advance(self, amount: int) -> None:
        """So many of them were done since the last call."""
        self._bar.advance(self._cell, amount)

    def epoch(self, epoch: int, loss: float, score: float) -> None:
        """An epoch of a training is over."""
        text = f"{self._label} epoch {epoch}: loss {loss:.3g}, validation {score:.3f}"
        self._bar.update(self._cell, description=text)

    def ended(self, cells: int) -> None:
        """So many cells are done, or have failed."""
        self._bar.update(self._cells, completed=cells)


@contextmanager
def step_bar(step: str, cells: int) -> Iterator[StepBar]:
    """A bar in the terminal while the block runs, and none where output goes to a file."""
    console = get_console()  # the one of Kedro's log, which then prints above the bar
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        yield StepBar(bar, step, cells)
