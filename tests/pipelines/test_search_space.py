import pytest
from pydantic import TypeAdapter, ValidationError

from posinfo.pipelines.search_space import (
    Space,
    changed,
    combinations,
    names_below,
    require_known,
    value_at,
)

PARAMETERS = {
    "net": {"lr": 0.1, "optimiser": {"name": "sgd", "momentum": 0.9}, "width": 8, "rows": [1, 2]},
    "photos": {"crops": 4},
    "device": "cpu",
}
LR = {"type": "float", "low": 0.01, "high": 1.0, "log": True}


def space_of(**dimensions):
    named = {name.replace("__", "."): value for name, value in dimensions.items()}
    return TypeAdapter(Space).validate_python(named)


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"type": "float", "low": 1, "high": 0}, "low 1.0 is above high 0.0"),
        ({"type": "int", "low": 2, "high": 1}, "low 2 is above high 1"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "log needs a low above 0; got 0.0"),
        ({"type": "int", "low": 1, "high": 9, "log": True, "step": 2}, "log has no step"),
        ({"type": "categorical", "choices": []}, "choices needs one or more"),
        ({"type": "loguniform", "low": 1, "high": 2}, "does not match any of the expected tags"),
        ({"type": "float", "low": 0, "high": 1, "steps": 2}, r"got 'steps' \(did you mean 'step'"),
        ({"type": "int", "low": 0.5, "high": 1}, "valid integer"),
        ({"type": "float", "low": 0, "high": float("inf")}, "finite number"),
    ],
)
def test_impossible_dimensions_are_refused(dimension, message):
    with pytest.raises(ValidationError, match=message):
        space_of(net__lr=dimension)


def test_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"got 'net.lrr' \(did you mean 'net.lr'\?\)"):
        require_known(space_of(net__lrr=LR), PARAMETERS, ("net",))


def test_sections_that_are_not_the_experiments_are_not_searched():
    with pytest.raises(ValueError, match="setting must be one of net.*got 'photos.crops'"):
        crops = {"type": "int", "low": 1, "high": 2}
        require_known(space_of(photos__crops=crops), PARAMETERS, ("net",))


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"net.lr": 0.5}, "when: setting that stands above it must be one of ; got 'net.lr'"),
        ({"net.optimiser": "adam"}, "net.optimiser is never 'adam' in this space"),
        ({"net.optimiser": ["sgd", "adam"]}, "net.optimiser is never 'adam' in this space"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(when, message):
    width = {"type": "int", "low": 1, "high": 9, "when": when}
    kinds = {"type": "categorical", "choices": {"sgd": {"momentum": 0.5}, "none": {"momentum": 0}}}
    space = space_of(net__optimiser=kinds, net__width=width)
    if "net.lr" in when:
        space = space_of(net__width=width, net__lr=LR)
    with pytest.raises(ValueError, match=message):
        require_known(space, PARAMETERS, ("net",))


def test_changes_go_into_copies_at_any_depth():
    found = changed(
        PARAMETERS, {"net.optimiser": {"momentum": 0.5}, "net.rows": [3], "photos.crops": 1}
    )
    assert found["net"]["optimiser"] == {"name": "sgd", "momentum": 0.5}
    assert (found["net"]["rows"], found["photos"], found["net"]["lr"]) == ([3], {"crops": 1}, 0.1)
    assert PARAMETERS["net"]["optimiser"] == {"name": "sgd", "momentum": 0.9}
    assert PARAMETERS["net"]["rows"] == [1, 2]


def test_change_of_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"got 'net.with' \(did you mean 'net.width'\?\)"):
        changed(PARAMETERS, {"net.with": 1})


def test_names_are_those_of_settings_and_groups():
    found = list(names_below({"net": PARAMETERS["net"]}))
    assert found == [
        "net", "net.lr", "net.optimiser", "net.optimiser.name", "net.optimiser.momentum",
        "net.width", "net.rows",
    ]  # fmt: skip
    assert value_at(PARAMETERS, "net.optimiser.momentum") == 0.9


def test_combinations_are_ends_and_choices_with_what_they_need():
    space = space_of(
        net__optimiser={"type": "categorical", "choices": {"a": {"momentum": 0}, "b": {}}},
        net__width={"type": "int", "low": 1, "high": 9, "when": {"net.optimiser": ["b", "a"]}},
    )
    assert list(combinations(space)) == [
        {"net.optimiser": {"momentum": 0}},
        {"net.optimiser": {}},
        {"net.optimiser": {}, "net.width": 1},
        {"net.optimiser": {}, "net.width": 9},
    ]


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        (LR, [0.01, 1, 0.5], [0.009, 1.1, "0.5", True, None]),
        ({"type": "float", "low": 0, "high": 1, "step": 0.1}, [0.3, 0.7, 1.0], [0.35]),
        ({"type": "int", "low": 1, "high": 9, "step": 4}, [1, 5, 9], [2, 5.0, True]),
        ({"type": "categorical", "choices": ["a", None, 1]}, ["a", None, 1], ["b"]),
        ({"type": "categorical", "choices": {"a": {"momentum": 0}}}, [], ["a", {"momentum": 0}]),
    ],
)
def test_values_are_told_from_those_outside(dimension, inside, outside):
    (found,) = space_of(net__lr=dimension).values()
    assert [found.has(value) for value in inside] == [True] * len(inside)
    assert [found.has(value) for value in outside] == [False] * len(outside)


def test_dimension_is_active_where_all_conditions_are_met():
    width = {"type": "int", "low": 1, "high": 9, "when": {"a": [1, 2], "b": "x"}}
    dimension = space_of(a=LR, b=LR, net__width=width)["net.width"]
    assert dimension.is_active({"a": 2, "b": "x"})
    assert not dimension.is_active({"a": 3, "b": "x"})
    assert not dimension.is_active({"a": 2})  # b itself is not searched in this trial
