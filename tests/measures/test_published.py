import csv
import io
import re

import numpy as np
import pandas as pd
import pytest

from posinfo.measures.published import beside_published, published_rows
from tests.conftest import PROJECT

FILE = PROJECT / "src/posinfo/measures/published.csv"
LINES = list(csv.DictReader(FILE.open(encoding="utf-8")))
TABLES = {
    paper: list(dict.fromkeys(line["table"] for line in LINES if line["paper"] == paper))
    for paper in ("islam2020", "islam2021", "kayhan2020")
}


def read(text=None):
    source = FILE if text is None else io.StringIO(text)
    return pd.read_csv(source, keep_default_na=False, na_values=[""])


def with_lines(*lines):
    return read(FILE.read_text(encoding="utf-8") + "\n".join(lines) + "\n")


def pairs(line):
    """The keys of a line, read by another way than that of the module."""
    return dict(re.findall(r"(\w+)=([^;]+)", f"{line['row']}; {line['column']}"))


@pytest.mark.parametrize("paper", TABLES)
def test_every_number_can_be_read_back(paper):
    rows = published_rows(read(), paper, TABLES[paper])
    lines = [line for line in LINES if line["paper"] == paper]
    metrics = list({line["metric"] for line in lines})
    assert len(lines) > 20 and rows[metrics].notna().sum().sum() == len(lines)
    for line in lines:
        found = (rows.table == line["table"]) & (rows.source == line["source"])
        for key, value in pairs(line).items():
            numeric = pd.api.types.is_numeric_dtype(rows[key])
            found &= rows[key] == (float(value) if numeric else value)
        (row,) = rows[found].to_dict("records")
        assert row[line["metric"]] == float(line["value"])
        assert line["note"] in row["note"]


def test_a_table_has_a_column_per_key_and_per_metric():
    rows = published_rows(read(), "islam2021", ["Experiment 1"])
    assert list(rows) == [
        "table", "model", "arch", "padding", "network", "permutation", "task", "grid", "source",
        "note", "accuracy",
    ]  # fmt: skip
    assert rows.grid.tolist() == [3, 7, 3, 7, 3, 7, 3, 3, 7]
    contested = rows.query("network == 'permutenet' and task == 'image' and grid == 3")
    assert dict(zip(contested.source, contested.accuracy, strict=True)) == {
        "slides": 0.821, "poster": 0.736,
    }  # fmt: skip


def test_metrics_of_one_place_stand_side_by_side_with_their_note():
    rows = published_rows(read(), "islam2020", ["Table 2b"])
    (row,) = rows[rows.note != ""].to_dict("records")
    assert (row["spc"], row["mae"], row["mae_scale"]) == (-0.001, 0.723, 0.5)
    assert row["note"] == "printed .712 in Tables 1 2a and 4"


def test_a_new_paper_with_keys_of_its_own_changes_nothing_for_the_others():
    more = with_lines(
        "new2030,Table 1,model=ViT; patch=sixteen; kernel_size=any,pattern=horizontal,r2,0.5,x,",
        "new2030,Experiment 1,network=gapnet,grid=many; task=location,accuracy,0.5,x,y",
    )
    for paper, tables in TABLES.items():
        before, after = (published_rows(frame, paper, tables) for frame in (read(), more))
        pd.testing.assert_frame_equal(before, after)
    (row,) = published_rows(more, "new2030", ["Table 1"]).to_dict("records")
    assert row == {
        "table": "Table 1", "model": "ViT", "patch": "sixteen", "kernel_size": "any",
        "pattern": "horizontal", "source": "x", "note": "", "r2": 0.5,
    }  # fmt: skip


def test_what_a_place_lacks_is_missing():
    text = "paper,table,row,column,metric,value,source,note\na,T,x=1; y=2,,m,0.5,s,\n"
    rows = published_rows(read(text + "a,T,x=b,,k,0.25,s,\n"), "a", ["T"])
    assert rows.x.tolist() == ["1", "b"]
    np.testing.assert_equal(
        rows[["y", "m", "k"]].to_numpy(), [[2, 0.5, np.nan], [np.nan] * 2 + [0.25]]
    )


@pytest.mark.parametrize(
    ("paper", "table", "message"),
    [
        (
            "islam2019", "Table 1",
            "paper must be one of islam2020, islam2021, kayhan2020; got 'islam2019' "
            "(did you mean 'islam2021'?)",
        ),
        (
            "islam2021", "Table 1",
            "table of islam2021 must be one of Experiment 1, Experiment 2, Experiment 3; "
            "got 'Table 1'",
        ),
    ],
)  # fmt: skip
def test_an_unknown_paper_or_table_is_refused(paper, table, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        published_rows(read(), paper, [table])


@pytest.mark.parametrize(
    "row", ["model=AugShift; method=augshift", "method=augshift; model=AugShift"]
)
def test_a_number_that_stands_there_twice_is_refused(row):
    line = f"islam2021,Experiment 2,{row},dataset=cifar10,accuracy,0.5,slides and poster,"
    message = f"twice there: islam2021, Experiment 2, {row}, dataset=cifar10, accuracy (slides"
    with pytest.raises(ValueError, match=re.escape(message)):
        published_rows(with_lines(line), "islam2021", ["Experiment 2"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("AugShift", "must be key=value pairs joined by '; '; got 'AugShift' and 'dataset=x'"),
        ("method=", "must be key=value pairs joined by '; '; got 'method=' and 'dataset=x'"),
        ("dataset=y", "got dataset in 'dataset=y' and 'dataset=x'"),
        ("source=y", "none of accuracy, consistency, note, source, table; got source in"),
        ("accuracy=1", "got accuracy in 'accuracy=1' and 'dataset=x'"),
    ],
)
def test_a_place_that_is_not_written_in_pairs_is_refused(row, message):
    line = f"islam2021,Experiment 2,{row},dataset=x,accuracy,0.5,x,"
    with pytest.raises(ValueError, match=re.escape(message)):
        published_rows(with_lines(line), "islam2021", ["Experiment 2"])


def test_published_numbers_stand_beside_the_cells_of_the_same_keys():
    ours = pd.DataFrame({"cell": list("abcd"), "k": [2, 1, 1, 3], "x": ["p", "p", "p", "q"]})
    theirs = pd.DataFrame({"k": [1, 2], "x": ["p", "p"], "m": [10, 20], "source": ["s", "t"]})
    alone = ours.cell == "c"
    beside = beside_published(ours, theirs, ["k", "x"], {"m": "published", "source": "from"}, alone)
    pd.testing.assert_frame_equal(beside[["cell", "k", "x"]], ours)
    np.testing.assert_equal(beside.published.to_numpy(), [20, 10, np.nan, np.nan])
    assert beside["from"].tolist()[:2] == ["t", "s"] and beside["from"][2:].isna().all()


def test_two_published_numbers_for_one_cell_are_refused():
    ours = pd.DataFrame({"k": [1]})
    theirs = pd.DataFrame({"k": [1, 1], "m": [0.1, 0.2]})
    with pytest.raises(pd.errors.MergeError, match="not a many-to-one merge"):
        beside_published(ours, theirs, ["k"], {"m": "published"})


def test_table_6_prints_the_vgg_of_table_1_again():
    keys = ["pattern", "stimulus", "spc", "mae"]
    rows = published_rows(read(), "islam2020", ["Table 1", "Table 6"])
    first, again = (rows[rows.table == name] for name in ("Table 1", "Table 6"))
    again = again[again.training == "classification"][keys]
    first = first[(first.arch == "vgg16") & first.pattern.isin(again.pattern)][keys]
    assert len(again) == 12
    pd.testing.assert_frame_equal(
        first.sort_values(keys).reset_index(drop=True),
        again.sort_values(keys).reset_index(drop=True),
    )


def test_table_5_and_figure_6():
    trained = published_rows(read(), "islam2020", ["Table 5"])
    saliency = trained[trained.task == "saliency"]
    names = saliency.padding + " " + saliency.dataset
    assert dict(zip(names, saliency.f_measure, strict=True)) == {
        "none ecssd": 0.36, "none pascal-s": 0.32, "none dut-omron": 0.25,
        "zero ecssd": 0.78, "zero pascal-s": 0.66, "zero dut-omron": 0.63,
    }  # fmt: skip
    assert trained[trained.task == "segmentation"].mean_iou.tolist() == [0.123, 0.231]
    figure = published_rows(read(), "islam2020", ["Figure 6"])
    assert figure.spc.tolist() == [0.286, 0.227, 0.473, 0.928, 0.405]
