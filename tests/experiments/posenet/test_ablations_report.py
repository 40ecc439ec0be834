import pytest
import torch
from matplotlib.figure import Figure

from posinfo.experiments.posenet import ablations_report as module
from posinfo.experiments.posenet.ablations_report import report
from posinfo.experiments.posenet.settings import AblationSettings
from tests.experiments.conftest import base, changed
from tests.experiments.posenet.test_report import PUBLISHED

PATTERNS = ["horizontal", "gaussian"]
CELLS = [
    {"tables": ["1", "2a", "4"], "backbone": "posenet"},
    {"tables": ["2b"], "backbone": "posenet", "readout": {"kernel_size": 1}},
    {"tables": ["1"], "backbone": "vgg16_untrained", "backbone_seeds": [0, 1]},
    {"tables": ["3"], "backbone": "vgg16", "blocks": ["f1", "f5"]},
    {"tables": ["4"], "backbone": "posenet", "readout": {"padding": 1}},
    {"tables": ["4"], "backbone": "vgg16_circular"},
]
SETTINGS = AblationSettings.model_validate(
    changed(
        base("photos", "posenet", "posenet_ablations"),
        posenet_ablations__cells=CELLS, posenet_ablations__patterns=PATTERNS,
        posenet_ablations__seeds=[4, 5],
    )
)  # fmt: skip


@pytest.fixture
def results(small):
    return {"evaluate": dict.fromkeys(SETTINGS.cells, small().evaluate())}


def test_scores_have_a_row_per_table_and_what_each_cell_changes(results):
    scores = report(SETTINGS, results, PUBLISHED).tables["scores"]
    assert list(scores.columns) == [
        "table", "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae",
        "floor", "skill", "n", "n_constant", "blocks", "kernel_size", "layers", "hidden_width",
        "readout_padding", "head", "normalisation", "backbone_seed", "cell",
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


def test_seeds_of_untrained_weights_are_a_column_and_no_cell(results):
    scores = report(SETTINGS, results, PUBLISHED).tables["scores"]
    untrained = scores[scores.backbone == "vgg16_untrained"]
    assert set(untrained.cell) == {"vgg16_untrained"}
    assert untrained.backbone_seed.value_counts().to_dict() == {0: 12, 1: 12}


def test_tables_stand_beside_the_published_numbers(results):
    made = report(SETTINGS, results, PUBLISHED)
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

        monkeypatch.setattr(module, name, draw)

    for name in FIGURES:
        capture(name)
    return shown


def test_figures_show_the_cells_of_their_tables(drawn, results):
    report(SETTINGS, results, PUBLISHED)
    truth, columns = drawn["layers_and_kernels_figure"]
    assert list(truth) == PATTERNS
    assert list(columns) == ["posenet\n", "posenet\nk1"]
    _, mask, panels = drawn["padding_figure"]
    assert [panel.title for panel in panels] == [
        "posenet\npadding 0", "posenet\npadding 1", "vgg16_circular\ncircular",
    ]  # fmt: skip
    evaluated = results["evaluate"]["posenet"].tensors
    assert torch.equal(mask, evaluated["truth.gaussian"])
    assert torch.equal(panels[0].prediction, evaluated["map.gaussian"])
    assert drawn["error_maps_figure"] == ({},)  # none of these cells reads all its patterns


def test_error_maps_are_means_over_patterns(drawn, small):
    heads = tuple((name, 4) for name in ("horizontal", "vertical", "gaussian"))
    patterns = [name for name, _ in heads]
    sections = changed(
        base("photos", "posenet", "posenet_ablations"),
        posenet_ablations__cells=[{"tables": ["1"], "backbone": "vgg16"}],
        posenet_ablations__patterns=patterns, posenet_ablations__seeds=[4],
    )  # fmt: skip
    evaluated = small(heads).evaluate()
    results = {"evaluate": {"vgg16": evaluated}}
    report(AblationSettings.model_validate(sections), results, PUBLISHED)
    (errors,) = drawn["error_maps_figure"]
    mean = sum(evaluated.tensors[f"error.{pattern}"] for pattern in patterns) / 3
    assert list(errors) == ["vgg16"]
    torch.testing.assert_close(errors["vgg16"], mean)
