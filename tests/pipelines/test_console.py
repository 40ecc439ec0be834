import errno
import logging
import shutil
import sys
from io import StringIO
from pathlib import Path

import pytest
from kedro.io import DatasetError
from kedro.pipeline import Node, Pipeline
from kedro.validation.parameter_validator import ParameterValidator
from pydantic import ConfigDict, ValidationError
from rich.logging import RichHandler

from posinfo.choices import Section, Seed, check
from posinfo.experiment import Result
from posinfo.networks.models.architectures import build_network
from posinfo.networks.surgery.padding_edges import conv_edges
from posinfo.pipelines.console import message_of, said_by, set_up, show_error


class Readout(Section):
    lr: float
    head: str


class Settings(Section):
    seed: Seed
    readout: Readout


def caught(function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def refused(**values):
    """What Kedro raises for these parameters of a node that takes ``Settings``."""
    node = Node(lambda section: None, "params:section", None, name="node")
    node.func.__annotations__ = {"section": Settings}
    validator = ParameterValidator({"all": Pipeline([node])})
    return caught(validator.validate_raw_params, {"section": values})


@pytest.fixture
def plain_process(monkeypatch):
    """Logging, PATH and the hook of this process, to be set up anew and left as they were."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("PATH", "/nothing")
    yield root
    root.handlers[:] = handlers
    for handler in handlers:
        handler.filters.clear()


def test_an_error_of_ours_is_its_message():
    error = caught(check, "padding", "zeros", ["zero"])
    assert message_of(error) == "padding must be one of zero; got 'zeros' (did you mean 'zero'?)"
    assert said_by(error) == message_of(error)


def test_an_error_of_others_keeps_its_kind():
    error = caught(int, "x")
    assert message_of(error) == ""
    assert said_by(error).startswith("ValueError: invalid literal for int() with base 10: 'x'")
    assert message_of(caught(lambda: Result(tensors=1)[2])) == ""
    bug = caught(conv_edges, (3, 3, 3), "same", 1)  # of zip, in a line of ours
    assert message_of(bug) == ""
    assert said_by(bug).startswith("ValueError: zip() argument 2 is shorter")


def test_a_failure_of_the_catalog_is_what_caused_it():
    def fails():
        try:
            check("padding", "zeros", ["zero"])
        except ValueError as error:
            raise DatasetError("Failed while saving data to dataset kedro.Dataset(...)") from error

    assert message_of(caught(fails)).startswith("padding must be one of zero; got 'zeros'")


def test_a_full_disk_is_named_with_what_could_not_be_saved():
    def save():
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            saving = DatasetError(f"Failed while saving data to dataset Files(...).\n{error}")
            saving.__cause__ = error
            raise DatasetError(f"sweep.plots: {saving}") from saving

    assert message_of(caught(save)) == "sweep.plots: [Errno 28] No space left on device"


def test_the_line_of_a_users_network_is_named(tmp_path, monkeypatch):
    (tmp_path / "their_network.py").write_text("def build():\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = "ZeroDivisionError: division by zero (their_network.py:2)"
    assert said_by(caught(build_network, "their_network:build")) == said

    def checked():
        try:
            build_network("their_network:build")
        except ZeroDivisionError as error:
            raise ValueError("cannot be built") from error

    assert said_by(caught(checked)) == "ValueError: cannot be built (their_network.py:2)"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"seed": True, "readout": {"lr": "inf", "head": "code"}},
            "section.seed: Input should be a valid integer; got True; "
            "section.readout.lr: Input should be a finite number; got 'inf'",
        ),
        (
            {"seed": 0, "readout": {"lr": 1, "haed": "code"}},
            "section.readout: setting must be one of lr, head; got 'haed' (did you mean 'head'?)",
        ),
        (
            {"seed": 0, "readout": {"lr": "x [type=y]", "head": 3}},
            "section.readout.lr: Input should be a valid number, unable to parse string as a "
            "number; got 'x [type=y]'; section.readout.head: Input should be a valid string; got 3",
        ),
        ({"seed": 0}, "section.readout: Field required; got {'seed': 0}"),
    ],
)
def test_refused_parameters_are_named_as_in_yaml(values, message):
    assert message_of(refused(**values)) == message
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate(values)
    assert message_of(raised.value) == message.replace("section.", "")


def test_output_that_is_no_terminal_is_not_wrapped(plain_process, monkeypatch):
    output = StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    plain_process.handlers[:] = [RichHandler(level="INFO")]
    logging.getLogger("posinfo").setLevel("DEBUG")
    set_up()
    logging.getLogger("posinfo.anything").info("long " * 100)
    logging.getLogger("posinfo.anything").debug("of no interest")
    logging.getLogger("kedro_mlflow.hooks").setLevel("INFO")
    logging.getLogger("kedro_mlflow.hooks").info("of no interest")
    logging.getLogger("kedro.validation.parameter_validator").error("said twice")
    logging.getLogger("py.warnings").warning("Add type hints to the `predict` method")
    logging.getLogger("py.warnings").warning("useful")
    lines = output.getvalue().splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        f"INFO    {'long ' * 100}", "WARNING useful"
    ]  # fmt: skip


def test_an_uncaught_error_is_a_line_and_the_log_file_has_the_rest(plain_process, tmp_path):
    terminal, file = StringIO(), tmp_path / "a.log"
    shown, kept = logging.StreamHandler(terminal), logging.FileHandler(file)
    shown.setLevel("INFO")
    plain_process.handlers[:] = [shown, kept]
    logging.getLogger("posinfo").setLevel("DEBUG")
    set_up()
    assert sys.excepthook is show_error
    error = caught(check, "padding", "zeros", ["zero"])
    sys.excepthook(type(error), error, error.__traceback__)
    assert terminal.getvalue() == f"{error}\n"
    assert "Traceback" in file.read_text() and "choices.py" in file.read_text()
    kept.close()
    error = caught(int, "x")
    sys.excepthook(type(error), error, error.__traceback__)
    assert "Traceback" in terminal.getvalue()


def test_programs_of_the_environment_are_found(plain_process):
    set_up()
    assert shutil.which("mlflow") == str(Path(sys.executable).with_name("mlflow"))


class Hidden(Section):
    model_config = ConfigDict(hide_input_in_errors=True)

    seed: Seed
    address: str
    readout: Readout


@pytest.mark.parametrize("kind", [Settings, Hidden])
def test_values_that_are_hidden_are_not_shown(kind):
    values = {"seed": "hunter2", "readout": {"lr": "hunter2", "head": "code"}}
    if kind is Hidden:
        values["address"] = 2
    node = Node(lambda section: None, "params:section", None, name="node")
    node.func.__annotations__ = {"section": kind}
    validator = ParameterValidator({"all": Pipeline([node])})
    by_kedro = message_of(caught(validator.validate_raw_params, {"section": values}))
    own = message_of(caught(kind.model_validate, values))
    assert by_kedro == own.replace("seed", "section.seed").replace("; r", "; section.r").replace(
        "; address", "; section.address"
    )
    if kind is Hidden:
        assert own == (
            "seed: Input should be a valid integer; address: Input should be a valid string; "
            "readout.lr: Input should be a valid number, unable to parse string as a number"
        )
    else:
        assert own.count("; got 'hunter2'") == 2
