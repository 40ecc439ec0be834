import pandas as pd
import pytest
from pydantic import Field, ValidationError

from posinfo.experiment import STAGES, Cell, Experiment, Report, Result, Step


class NetworkCell(Cell):
    width: int
    comment: str = Field(default="", exclude=True)


def test_cell_is_found_again_by_its_own_fields_alone():
    cell = NetworkCell(
        width=3,
        comment="x",
        inputs={"images": "images/all"},
        modules=("mine",),
        parameters={"a": 1},
    )
    assert cell.model_dump(mode="json") == {"width": 3}


def test_cell_with_more_inputs_is_otherwise_the_same():
    needed = {"images": "images/all", "labels": "images/labels"}
    cell = NetworkCell(width=3, comment="x", inputs=needed)
    more = cell.needing(network="train/a", images="images/test")
    assert type(more) is NetworkCell and (more.width, more.comment) == (3, "x")
    assert more.inputs == {
        "images": "images/test", "labels": "images/labels", "network": "train/a",
    }  # fmt: skip
    assert cell.inputs == needed


def test_cell_refuses_settings_that_it_lacks():
    with pytest.raises(ValidationError, match="setting must be one of"):
        NetworkCell(width=3, depth=2)


def test_cell_cannot_be_changed():
    cell = NetworkCell(width=3)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        cell.width = 4
    assert cell.check() is None


def test_result_is_empty_unless_said_otherwise():
    result = Result()
    assert (result.tensors, result.arrays, result.history, result.facts, result.files) == (
        {}, {}, {}, {}, {},
    )  # fmt: skip
    assert result.rows is None
    rows = pd.DataFrame({"a": [1]})
    assert Result(rows=rows).table is rows


def experiment(**changes):
    steps = tuple(Step(stage, stage, lambda s: {}, lambda *_: Result()) for stage in STAGES)
    return Experiment("e", Cell, steps, lambda *_: Report({}, {}, {}), (), (), (), **changes)


def test_report_is_made_of_the_last_step_unless_others_are_named():
    assert experiment().report_steps == ("evaluation",)
    chosen = ("data_preparation", "modeling")
    assert experiment(reported=chosen).report_steps == chosen
