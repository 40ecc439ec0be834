"""Progress bars for the callbacks of the libraries below."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from posinfo.progress import OnProgress


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[OnProgress]:
    """A bar in the terminal while the block runs, and none where output goes to a file.

    Args:
        what: is being done, shown before the bar.
        total: images or steps.
    """
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
        task = bar.add_task(what, total=total)
        yield lambda advance: bar.advance(task, advance)
