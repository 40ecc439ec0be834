import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from posinfo.experiment import Result
from posinfo.experiments.posenet import report as module
from posinfo.experiments.posenet.report import (
    all_rows,
    map_of,
    maps_of,
    report_ablations,
    report_table1,
)
from posinfo.experiments.posenet.settings import AblationSettings, PosenetSettings
from posinfo.measures.figures import predicted_maps_figure
from tests.conftest import PROJECT
from tests.experiments.conftest import base, changed

PATTERNS = ["horizontal", "gaussian"]
PUBLISHED = pd.read_csv(
    PROJECT / "src/posinfo/measures/published.csv", keep_default_na=False, na_values=[""]
)
SETTINGS = PosenetSettings.model_validate(
    changed(
        base("photos", "posenet"),
        posenet__patterns=PATTERNS, posenet__seeds=[4, 5], posenet__only=["posenet", "vgg16"],
    )
)  # fmt: skip


@pytest.fixture
def results(small):
    photographs = {
        name: Result(
            arrays={"pixels": np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), np.uint8)}
        )
        for name in ("train", "test")
    }
    evaluated = small().evaluate()
    return {"images": photographs, "evaluate": {"posenet": evaluated, "vgg16": evaluated}}


def test_scores_are_the_rows_of_all_backbones(results):
    made = report_table1(SETTINGS, results, PUBLISHED)
    scores = made.tables["scores"]
    assert list(scores.columns) == [
        "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae", "floor",
        "skill", "split", "n", "n_constant", "stuck",
    ]  # fmt: skip
    assert set(scores.split) == {"test"}
    assert scores.groupby("backbone", sort=False)[["weights", "padding"]].first().to_dict(
        "index"
    ) == {
        "posenet": {"weights": "none", "padding": "none"},
        "vgg16": {"weights": "hed-bsds500", "padding": "zero"},
    }
    rows = results["evaluate"]["vgg16"].table
    pd.testing.assert_frame_equal(
        scores[scores.backbone == "vgg16"][list(rows.columns)].reset_index(drop=True), rows
    )
    assert made.tables["table1"].backbone.unique().tolist() == ["posenet", "vgg16"]
    assert made.tables["comparisons"].empty  # one backbone of an architecture each
    assert set(made.figures) == {"masks", "photos", "predicted_maps"}
    assert "horizontal" in made.texts["table1"]


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, [0.742, 0.149, "islam2020 Table 1"]),
        ({"kernel_size": 7}, [0.828, 0.120, "islam2020 Table 2b"]),
        ({"kernel_size": 5}, None),
        ({"padding": 1}, None),
        ({"head": "ridge"}, None),
    ],
)
def test_table_1_finds_the_number_of_the_same_readout(results, changes, published):
    sections = {f"posenet__readout__{name}": value for name, value in changes.items()}
    settings = PosenetSettings.model_validate(changed(SETTINGS.model_dump(), **sections))
    table = report_table1(settings, results, PUBLISHED).tables["table1"]
    row = table.query("backbone == 'vgg16' and pattern == 'horizontal' and stimulus == 'photos'")
    theirs = row[["published_spc", "published_mae", "published_table"]].squeeze()
    if published is None:
        assert theirs.isna().all() and (row.differs == "").all()
    else:
        assert theirs.tolist() == published
        assert "weights hed-bsds500, theirs imagenet" in row.differs.item()


@pytest.mark.parametrize(("stripes", "scale"), [("unit", 0.5), ("signed", 1)])
def test_published_error_of_stripes_is_on_our_scale(small, results, stripes, scale):
    sections = changed(SETTINGS.model_dump(), posenet__stripes=stripes)
    sections["posenet"]["patterns"] = ["horizontal_stripes"]
    evaluated = small((("horizontal_stripes", 4),)).evaluate()
    results = {**results, "evaluate": {"posenet": evaluated, "vgg16": evaluated}}
    settings = PosenetSettings.model_validate(sections)
    table = report_table1(settings, results, PUBLISHED).tables["table1"]
    known = table[table.published_mae.notna()]
    assert len(known) > 0
    np.testing.assert_allclose(known.published_mae_rescaled, known.published_mae * scale)


def test_figure_pairs_truth_and_prediction_whatever_the_order_in_a_file(monkeypatch, results):
    """A safetensors file returns its tensors in another order than they were given."""
    shown = {}

    def capture(image, masks, predictions):
        shown.update(image=image, masks=masks, predictions=predictions)
        return predicted_maps_figure(image, masks, predictions)

    monkeypatch.setattr(module, "predicted_maps_figure", capture)
    evaluated = results["evaluate"]["vgg16"]
    own = {
        f"{kind}.{p}": torch.full((24, 24), i / 4)
        for i, p in enumerate(PATTERNS)
        for kind in ("truth", "map")
    }
    reordered = dict(reversed((evaluated.tensors | own).items()))
    other = Result(tensors=reordered, rows=evaluated.rows, facts=evaluated.facts)
    cells = {"posenet": other, "vgg16": other}
    report_table1(SETTINGS, {**results, "evaluate": cells}, PUBLISHED)
    assert list(shown["masks"]) == PATTERNS
    for pattern, mask in shown["masks"].items():
        for predicted in shown["predictions"].values():
            torch.testing.assert_close(mask, predicted[pattern])
    np.testing.assert_array_equal(shown["image"], evaluated.tensors["image"].numpy())


def test_contact_sheet_has_the_first_photographs_of_both_sets(monkeypatch, results):
    sheets = []
    monkeypatch.setattr(module, "images_figure", sheets.append)
    report_table1(SETTINGS, results, PUBLISHED)
    (sheet,) = sheets
    assert list(sheet) == ["train", "test"]
    np.testing.assert_array_equal(sheet["test"], results["images"]["test"].arrays["pixels"][:8])


VALIDATION = PosenetSettings.model_validate(
    changed(SETTINGS.model_dump(), posenet__split="validation")
)


def test_what_is_measured_on_held_out_photographs_says_so(small, results):
    """Two crops of one photograph: their number, no interval, and nothing of the paper's."""
    evaluated = small(held_out=0.3).evaluate()
    images = {**results["images"], "train": small(held_out=0.3).train["images"]}
    cells = {"posenet": evaluated, "vgg16": evaluated}
    made = report_table1(VALIDATION, {"images": images, "evaluate": cells}, PUBLISHED)
    scores, table = made.tables["scores"], made.tables["table1"]
    assert set(scores.split) == set(table.split) == {"validation"}
    photos = table[table.stimulus == "photos"]
    assert set(photos.n) == {2} and set(photos.n_photographs) == {1}
    assert table.filter(like="published").isna().all(axis=None)
    assert "Measured on validation images" in made.texts["table1"]
    on_test = report_table1(SETTINGS, results, PUBLISHED)
    assert on_test.tables["table1"].published_spc.notna().any()
    assert "Measured on" not in on_test.texts["table1"]


def test_contact_sheet_has_what_is_trained_on_and_what_is_held_out(monkeypatch, small, results):
    sheets = []
    monkeypatch.setattr(module, "images_figure", sheets.append)
    train = small().train["images"]
    images = {"train": train, "test": results["images"]["test"]}
    report_table1(VALIDATION, {**results, "images": images}, PUBLISHED)
    (sheet,) = sheets
    assert list(sheet) == ["train", "validation"]
    pixels = train.arrays["pixels"]
    np.testing.assert_array_equal(sheet["train"], pixels[[0, 1, 3, 4]])
    np.testing.assert_array_equal(sheet["validation"], pixels[[2, 5]])


def test_rows_keep_their_cell_and_maps_their_pattern(results):
    rows = all_rows(results["evaluate"])
    assert rows.columns[0] == "cell" and rows.cell.value_counts().to_dict() == {
        "posenet": 12, "vgg16": 12,
    }  # fmt: skip
    evaluated = results["evaluate"]["vgg16"]
    assert list(maps_of(evaluated, "error", ("gaussian", "vertical"))) == ["gaussian"]
    figure = map_of(evaluated)
    assert [a.get_ylabel() for a in figure.axes if a.get_ylabel()] == ["ground truth", "predicted"]


CELLS = [
    {"tables": ["1", "2a", "4"], "backbone": "posenet"},
    {"tables": ["2b"], "backbone": "posenet", "readout": {"kernel_size": 1}},
    {"tables": ["1"], "backbone": "vgg16_untrained", "backbone_seeds": [0, 1]},
    {"tables": ["3"], "backbone": "vgg16", "blocks": ["f1", "f5"]},
    {"tables": ["4"], "backbone": "posenet", "readout": {"padding": 1}},
    {"tables": ["4"], "backbone": "vgg16_circular"},
]
ABLATIONS = AblationSettings.model_validate(
    changed(
        base("photos", "posenet", "posenet_ablations"),
        posenet_ablations__cells=CELLS, posenet_ablations__patterns=PATTERNS,
        posenet_ablations__seeds=[4, 5],
    )
)  # fmt: skip


@pytest.fixture
def ablated(small):
    return {"evaluate": dict.fromkeys(ABLATIONS.cells, small().evaluate())}


def test_scores_have_a_row_per_table_and_what_each_cell_changes(ablated):
    scores = report_ablations(ABLATIONS, ablated, PUBLISHED).tables["scores"]
    assert list(scores.columns) == [
        "table", "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae",
        "floor", "skill", "split", "n", "n_constant", "stuck", "blocks", "kernel_size", "layers",
        "hidden_width", "readout_padding", "head", "normalisation", "backbone_seed", "cell",
    ]  # fmt: skip
    assert len(scores) == 9 * 12
    assert scores[scores.cell == "posenet"].table.unique().tolist() == ["1", "2a", "4"]
    changes = {
        ("posenet-k1", "kernel_size"): 1, ("posenet-p1", "readout_padding"): 1,
        ("vgg16-f1-f5", "blocks"): "f1+f5", ("vgg16_circular", "padding"): "circular",
        ("posenet", "blocks"): "all", ("posenet", "hidden_width"): "",
    }  # fmt: skip
    for (cell, column), value in changes.items():
        assert set(scores[scores.cell == cell][column]) == {value}


def test_ablations_on_held_out_photographs_say_so(ablated):
    sections = changed(ABLATIONS.model_dump(), posenet__split="validation")
    settings = AblationSettings.model_validate(sections)
    made = report_ablations(settings, ablated, PUBLISHED)
    scores, table = made.tables["scores"], made.tables["tables"]
    assert set(scores.split) == set(table.split) == {"validation"}
    assert table.filter(like="published").isna().all(axis=None)
    on_test = report_ablations(ABLATIONS, ablated, PUBLISHED).tables["tables"]
    assert on_test.published_spc.notna().any()


def test_seeds_of_untrained_weights_are_a_column_and_no_cell(ablated):
    scores = report_ablations(ABLATIONS, ablated, PUBLISHED).tables["scores"]
    untrained = scores[scores.backbone == "vgg16_untrained"]
    assert set(untrained.cell) == {"vgg16_untrained"}
    assert untrained.backbone_seed.value_counts().to_dict() == {0: 12, 1: 12}


def test_tables_stand_beside_the_published_numbers(ablated):
    made = report_ablations(ABLATIONS, ablated, PUBLISHED)
    for table in ("1", "2a", "2b", "3", "4"):
        assert f"Table {table}\n" in made.texts["tables"]
    rows = made.tables["tables"]
    assert rows.published_spc.notna().any()
    seeds = rows[(rows.table == "1") & (rows.backbone == "vgg16_untrained")]
    assert (seeds.groupby(["pattern", "stimulus"]).size() == 1).all()  # one row of both seeds


FIGURES = ("layers_and_kernels_figure", "padding_figure", "error_maps_figure")


@pytest.fixture
def drawn(monkeypatch):
    """What each figure was drawn of, by its function."""
    shown = {}

    def capture(name):
        def draw(*arguments):
            shown[name] = arguments
            return Figure()

        monkeypatch.setattr(module.ablation_figures, name, draw)

    for name in FIGURES:
        capture(name)
    return shown


def test_figures_show_the_cells_of_their_tables(drawn, ablated):
    report_ablations(ABLATIONS, ablated, PUBLISHED)
    truth, columns = drawn["layers_and_kernels_figure"]
    assert list(truth) == PATTERNS
    assert list(columns) == ["posenet\n", "posenet\nk1"]
    _, mask, panels = drawn["padding_figure"]
    assert [panel.title for panel in panels] == [
        "posenet\npadding 0", "posenet\npadding 1", "vgg16_circular\ncircular",
    ]  # fmt: skip
    evaluated = ablated["evaluate"]["posenet"].tensors
    assert torch.equal(mask, evaluated["truth.gaussian"])
    assert torch.equal(panels[0].prediction, evaluated["map.gaussian"])
    assert drawn["error_maps_figure"] == ({},)  # none of these cells reads all its patterns


def test_error_maps_are_means_over_patterns_of_the_first_network(drawn, small):
    heads = tuple((name, 4) for name in ("horizontal", "vertical", "gaussian"))
    patterns = [name for name, _ in heads]
    sections = changed(
        base("photos", "posenet", "posenet_ablations"),
        posenet_ablations__cells=[
            {"tables": ["1", "4"], "backbone": "vgg16_untrained", "backbone_seeds": [0, 1]}
        ],
        posenet_ablations__patterns=patterns, posenet_ablations__seeds=[4],
    )  # fmt: skip
    evaluated = small(heads).evaluate()
    labels = ("vgg16_untrained", "vgg16_untrained-seed1")
    results = {"evaluate": dict.fromkeys(labels, evaluated)}
    report_ablations(AblationSettings.model_validate(sections), results, PUBLISHED)
    (errors,) = drawn["error_maps_figure"]
    mean = sum(evaluated.tensors[f"error.{pattern}"] for pattern in patterns) / 3
    assert list(errors) == ["vgg16_untrained"]  # figures show one network of several seeds
    torch.testing.assert_close(errors["vgg16_untrained"], mean)
    assert len(drawn["padding_figure"][2]) == 1
