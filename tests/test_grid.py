import re
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from posinfo.choices import Label, Once, no_repeats
from posinfo.grid import Grid, merged, one_value


class Training(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int
    lr: float = 0.1
    betas: tuple[float, float] | None = None
    ridge: dict[str, float] = {}


class Row(BaseModel):
    model_config = ConfigDict(frozen=True)

    network: str
    tables: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    canvas: Any = "black"
    weights: str = "untrained"
    training: Training
    seed: int = 0


SHARED = {"training": {"epochs": 3}}
GRID = Grid(
    where="section.cells",
    model=Row,
    first=lambda cell: cell.network,
    groups=lambda cell: [f"table{table}" for table in cell.tables],
    prefixes={"network": None, "tables": None, "blocks": "", "seed": "s", "lr": "lr"},
)


def label(**item):
    (name,) = GRID.cells([{"network": "net", **item}], SHARED, [])
    return name


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, "net"),
        ({"seed": 3}, "net-s3"),
        ({"tables": ["1"]}, "net"),
        ({"blocks": ["f1", "f5"]}, "net-f1-f5"),
        ({"blocks": []}, "net"),
        ({"canvas": [255, 0, 0]}, "net-canvas-255+0+0"),
        ({"canvas": "white"}, "net-canvas-white"),
        ({"weights": "mine:net(width=3)"}, None),
        ({"weights": "mine:net(3)"}, "net-weights-mine.net.3"),
        ({"weights": "timm/net.tag"}, "net-weights-timm.net.tag"),
        ({"training": {"lr": 0.01}}, "net-lr0.01"),
        ({"training": {"lr": 1e-5, "epochs": 2}}, "net-lr1e-05-epochs-2"),
        ({"training": {"betas": [0.5, 0.999]}}, "net-betas-0.5+0.999"),
        ({"training": {"ridge": {"lr": 2.0, "memory": 6}}}, "net-lr2-memory-6"),
        ({"seed": 2, "canvas": "white", "blocks": ["f1"]}, "net-f1-canvas-white-s2"),
    ],
)
def test_label_says_what_an_item_changes_in_the_order_of_the_model(item, expected):
    if expected is not None:
        assert label(**item) == expected
        return
    with pytest.raises(ValueError, match="String should match pattern"):
        label(**item)


def test_label_begins_with_the_first_part_of_the_whole_cell():
    grid = Grid("a", Row, lambda cell: f"{cell.network}-{cell.training.epochs}", prefixes={})
    assert list(grid.cells([{"weights": "none"}], {"network": "net", **SHARED}, [])) == [
        "net-3-weights-none"
    ]


@pytest.mark.parametrize("text", ["vgg16", "vgg16-f1", "a.b_c+d-1", "0"])
def test_labels_that_name_files(text):
    assert TypeAdapter(Label).validate_python(text) == text


@pytest.mark.parametrize("text", ["", ".hidden", "a/b", "a b", "-a", "a\n", "../a"])
def test_labels_that_do_not(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Label).validate_python(text)


def test_shared_settings_are_merged_into_cells():
    shared = {"network": "a", "training": {"epochs": 3, "lr": 0.5}}
    cells = GRID.cells([{}, {"training": {"lr": 0.25}}, {"network": "b"}], shared, [])
    assert {name: (cell.network, cell.training) for name, cell in cells.items()} == {
        "a": ("a", Training(epochs=3, lr=0.5)),
        "a-lr0.25": ("a", Training(epochs=3, lr=0.25)),
        "b": ("b", Training(epochs=3, lr=0.5)),
    }
    assert shared == {"network": "a", "training": {"epochs": 3, "lr": 0.5}}


def test_mappings_are_merged_at_any_depth():
    shared = {"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": None, "g": [1, 2]}
    changes = {"a": {"b": {"c": 9}}, "f": {"h": 1}, "g": [3], "i": 5}
    assert merged(shared, changes) == {
        "a": {"b": {"c": 9, "d": 2}, "e": 3}, "f": {"h": 1}, "g": [3], "i": 5,
    }  # fmt: skip
    assert shared["a"]["b"] == {"c": 1, "d": 2}


def test_value_in_place_of_settings_is_refused():
    with pytest.raises(ValueError) as raised:
        GRID.cells([{"network": "a", "training": 3}], SHARED, [])
    assert str(raised.value) == (
        "section.cells: {'network': 'a', 'training': 3}: training must be a mapping of settings; "
        "got 3"
    )


@pytest.mark.parametrize("where", ["item", "shared"])
def test_unknown_setting_is_refused(where):
    unknown = {"netwerk": "b"}
    shared = {**SHARED, **(unknown if where == "shared" else {})}
    with pytest.raises(ValueError) as raised:
        GRID.cells([{"network": "a", **(unknown if where == "item" else {})}], shared, [])
    assert str(raised.value) == (
        "section.cells: setting must be one of network, tables, blocks, canvas, weights, training, "
        "seed; got 'netwerk' (did you mean 'network'?)"
    )


def test_unknown_nested_setting_is_refused_and_its_item_named():
    item = {"network": "a", "training": {"epoch": 3}}
    with pytest.raises(ValueError) as raised:
        GRID.cells([item], SHARED, [])
    assert str(raised.value) == (
        f"section.cells: {item}: training.epoch: Extra inputs are not permitted; got 3"
    )


def test_equal_cells_are_refused():
    items = [{"network": "a"}, {"network": "a", "seed": 0}]
    with pytest.raises(ValueError, match="^section.cells: a-s0 is the same as a$"):
        GRID.cells(items, SHARED, [])
    with pytest.raises(ValueError, match="^section.cells: a-lr0.1 is the same as a$"):
        GRID.cells([{"network": "a"}, {"network": "a", "training": {"lr": 0.1}}], SHARED, [])


def test_equal_labels_are_refused():
    items = [{"network": "a", "tables": ["1"]}, {"network": "a", "tables": ["2"]}]
    with pytest.raises(ValueError, match="^section.cells: a stands there twice$"):
        GRID.cells(items, SHARED, [])


ITEMS = [
    {"network": "a", "tables": ["1", "2"]},
    {"network": "b", "tables": ["2"]},
    {"network": "c", "tables": ["3"]},
]


@pytest.mark.parametrize(
    ("only", "kept"),
    [
        ([], ["a", "b", "c"]),
        (["b"], ["b"]),
        (["c", "a"], ["a", "c"]),
        (["table2"], ["a", "b"]),
        (["table1", "c"], ["a", "c"]),
        (["table2", "a"], ["a", "b"]),
    ],
)
def test_only_keeps_labels_and_groups_in_order(only, kept):
    cells = GRID.cells(ITEMS, SHARED, only)
    assert list(cells) == kept
    assert all(cell.network == name for name, cell in cells.items())


def test_unknown_name_in_only_is_refused():
    with pytest.raises(ValueError) as raised:
        GRID.cells(ITEMS, SHARED, ["a", "table4"])
    assert str(raised.value) == (
        "section.only must be one of table1, table2, table3, a, b, c; got 'table4' "
        "(did you mean 'table3'?)"
    )


def test_one_value_of_a_setting():
    assert one_value([255, 0, 0]) == one_value((255, 0, 0)) == "255+0+0"
    assert one_value("black") == "black"
    assert one_value(None) is None


def test_repeated_values_are_named():
    assert no_repeats((1, 2)) == (1, 2)
    with pytest.raises(ValueError, match="^each value may stand once; repeated: 1, b$"):
        no_repeats((1, "b", 1, "b", 2))


def test_field_of_values_that_may_stand_once():
    adapter = TypeAdapter(Annotated[tuple[int, ...], Once])
    assert adapter.validate_python([2, 1]) == (2, 1)
    with pytest.raises(ValidationError, match=re.escape("may stand once; repeated: 1")):
        adapter.validate_python([1, 1])
