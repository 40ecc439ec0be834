import numpy as np
import pandas as pd
import pytest

from posinfo.measures.islam2020 import beside_paper, differences_markdown
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(
    PROJECT / "src/posinfo/measures/published.csv",
    keep_default_na=False,
    na_values=[""],
    dtype={"note": str},
)
ARCHITECTURES = {"vgg16": "vgg16", "random": "vgg16", "posenet": "image"}
IMAGE = {"backbone": "posenet", "weights": "none", "padding": "none"}


def beside(signed=False, **changes):
    cell = {
        "table": "1", "backbone": "vgg16", "weights": "imagenet", "padding": "zero",
        "pattern": "horizontal", "stimulus": "photos", "blocks": "all", "kernel_size": 3,
        "layers": 1, "hidden_width": "", "readout_padding": 0, "head": "code",
        "normalisation": "imagenet", "split": "test", "spc": 0.6, "mae": 0.15,
    } | changes  # fmt: skip
    table = pd.DataFrame([{name: value for name, value in cell.items() if value is not None}])
    joined = beside_paper(table, PUBLISHED, ARCHITECTURES, signed=signed)
    pd.testing.assert_frame_equal(joined[list(table)], table)
    return joined.squeeze()


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({"table": "2a", "layers": 3, "hidden_width": "same"}, 0.830),
        ({"table": "2b", "kernel_size": 7}, 0.828),
        ({"table": "3", "blocks": "f2"}, 0.344),
        ({"table": "4", "padding": "none"}, 0.381),
        ({"table": "4", "readout_padding": 2, **IMAGE}, 0.397),
        ({"table": "1", "stimulus": "white"}, 0.873),
    ],
)
def test_every_table_finds_its_published_number(changes, published):
    row = beside(**changes)
    assert row.published_spc == published
    assert row.published_table == f"islam2020 Table {changes['table']}"
    alone = beside(**{**changes, "table": None})
    assert alone.published_spc == published


def test_without_a_table_the_first_that_prints_a_number_stands_beside_it():
    cell = {"pattern": "horizontal_stripes", **IMAGE}
    assert beside(table="2b", **cell).published_mae == 0.723
    row = beside(table=None, **cell)
    assert (row.published_mae, row.published_table) == (0.712, "islam2020 Table 1")
    assert beside(table=None, padding="none").published_table == "islam2020 Table 4"


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "random", "weights": "untrained"}, {"weights": "as-built"}, {"head": "ridge"},
        {"padding": "circular"}, {"kernel_size": 5}, {"layers": 4}, {"readout_padding": 1},
        {"blocks": "f1+f2"}, {"pattern": "control"},
        {"split": "validation"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("table", ["1", None])
def test_what_the_paper_has_not_done_stands_alone(changes, table):
    row = beside(table=table, **changes)
    assert np.isnan([row.published_spc, row.published_mae, row.published_mae_rescaled]).all()
    assert row.differs == ""


def test_stripes_are_compared_on_one_scale():
    unit, signed = (beside(signed, pattern="horizontal_stripes") for signed in (False, True))
    assert (unit.published_mae, unit.published_mae_rescaled) == (0.556, pytest.approx(0.278))
    assert (signed.published_mae, signed.published_mae_rescaled) == (0.556, 0.556)
    assert "their MAE is halved" in unit.differs
    assert "their MAE is halved" not in signed.differs


def test_differences_are_named():
    row = beside(table="2a", weights="hed-bsds500", layers=2, hidden_width=64)
    assert "weights hed-bsds500, theirs imagenet" in row.differs
    assert "64 hidden channels, theirs as many as the features" in row.differs
    assert "not those of the released code" in beside(head="paper").differs
    pasted = beside(table="2b", pattern="horizontal_stripes", **IMAGE)
    assert "printed .712 in Tables 1 2a and 4" in pasted.differs


def test_differences_are_listed_once():
    rows = [beside(), beside(pattern="gaussian"), beside(padding="circular")]
    assert differences_markdown(pd.DataFrame(rows)) == (
        "\n\nWhere the paper's numbers cannot be compared as they stand:\n\n"
        "- G: their floor is .186, that of the released mask .197: the masks differ\n"
        "- photographs and length of training are the paper's in --env=paper alone\n"
    )
    assert differences_markdown(pd.DataFrame(rows[2:])) == ""
