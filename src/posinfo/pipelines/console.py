"""What the terminal shows of a run: messages, not tracebacks, which go to the log file."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from logging import LogRecord
from pathlib import Path
from types import TracebackType

from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError
from pydantic import ValidationError
from rich.logging import RichHandler

from posinfo.choices import problems

PACKAGE = Path(__file__).parents[1]
OTHERS = (PACKAGE, Path(sys.prefix), Path(logging.__file__).parents[1])  # no code of a user's
UNHELPFUL = (
    "Add type hints to the `predict`",  # a class of kedro-mlflow's
    "Option '--pipeline' is deprecated",
    "No Kedro project found",  # kedro-viz, of a packaged project
    "Could not find a Kedro project",
)

log = logging.getLogger(__name__)


def set_up() -> None:
    """Prepare the terminal of this process; called once, before a command does anything.

    - Errors that posinfo raises are shown as their message; the log file has the traceback.
    - Where the output is no terminal, lines are neither wrapped nor coloured.
    - Warnings of Kedro and MLflow about what a user cannot change are left out.
    - The programs of this environment are found: `kedro mlflow ui` calls `mlflow` by its name.
    """
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, RichHandler) and not sys.stdout.isatty():
            root.removeHandler(handler)
            plain = logging.StreamHandler(sys.stdout)
            plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%X"))
            plain.setLevel(handler.level)
            root.addHandler(plain)
    for handler in root.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(_concerns_the_user)
    sys.excepthook = show_error


def show_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log an error that nothing has caught: Python's ``sys.excepthook``."""
    if message := message_of(error):
        log.error(message)
        log.debug("traceback of this error", exc_info=(kind, error, trace))
    else:
        log.error("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))


def message_of(error: BaseException) -> str:
    """What posinfo says with an error that it has raised itself; empty, if it has not."""
    if isinstance(error, ParameterValidationError):
        return _refused_parameters(str(error))
    if isinstance(error, ValidationError):
        return problems(error)
    cause = next((each for each in _causes(error) if not isinstance(each, DatasetError)), None)
    if isinstance(error, DatasetError) and cause is not None:
        named = str(error).partition(":")[0]  # in the catalog
        return message_of(cause) or (f"{named}: {cause}" if isinstance(cause, OSError) else "")
    frames = traceback.extract_tb(error.__traceback__)
    ours = bool(frames) and Path(frames[-1].filename).is_relative_to(PACKAGE)
    raised = ours and (frames[-1].line or "").startswith("raise ")  # not by what is called there
    return str(error) if raised else ""


def said_by(error: BaseException) -> str:
    """What an error of a cell says, and of which kind it is, unless posinfo has raised it itself.

    The line is named in which code of a user's own, as the ``forward`` of her network, raised it.
    """
    said = message_of(error) or f"{type(error).__name__}: {error}"
    return said + _users_line(error)


def _users_line(error: BaseException) -> str:
    """Of the last code that is nobody's package and that posinfo has called."""
    for each in _causes(error):
        called, found = False, ""
        for frame in traceback.extract_tb(each.__traceback__):
            file = Path(frame.filename)
            called |= file.is_relative_to(PACKAGE)
            if called and file.is_file() and not any(map(file.is_relative_to, OTHERS)):
                found = f" ({os.path.relpath(file)}:{frame.lineno})"
        if found:
            return found
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _concerns_the_user(record: LogRecord) -> bool:
    text = f"{record.msg} {record.args}"
    # MLflow's warnings go past the filters of Python's `warnings`
    if record.levelno == logging.WARNING and any(t in text for t in UNHELPFUL):
        return False
    if record.name.startswith("kedro.validation"):  # logs what it raises
        return False
    # it sets its own level, whatever conf/logging.yml says
    return record.levelno >= logging.WARNING or not record.name.startswith("kedro_mlflow")


def _refused_parameters(text: str) -> str:
    """Kedro's report on parameters, without the names of classes and the links of pydantic."""
    lines = []
    for block in re.split(r"^- Parameter ", text, flags=re.M)[1:]:
        section, _, rest = block.partition(": ")
        _, count, reports = rest.partition("validation error")
        reasons = re.sub(r"^ +For further information visit .*\n?", "", reports, flags=re.M)
        reasons = re.sub(r" \[type=\w+\]$", "", reasons, flags=re.M)  # whose value is not shown
        given = r" \[type=\w+, input_value=(.*?), input_type=\w+\]$"
        reasons = re.sub(f"^( +Value error, .*){given}", r"\1", reasons, flags=re.M)
        reasons = re.sub(given, r"; got \1", reasons, flags=re.M)
        found = re.findall(r"^(\S+)\n +(?:Value error, )?(.*)$", reasons, flags=re.M)
        names = [(f"{section.strip(chr(39))}.{name}", why) for name, why in found]
        lines += [f"{name}: {why}" for name, why in names] if count and names else [block.strip()]
    return "; ".join(lines)
