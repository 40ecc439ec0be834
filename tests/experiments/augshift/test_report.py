import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.augshift import report as module
from posinfo.experiments.augshift.report import map_of, report
from posinfo.experiments.augshift.settings import AugShiftSettings
from tests.experiments.conftest import base, changed
from tests.experiments.posenet.test_report import PUBLISHED

SETTINGS = AugShiftSettings.model_validate(
    changed(
        base("augshift"),
        augshift__shifts=[{"max_shift": 2, "padding": "zero"}, {"max_shift": 1, "padding": "crop"}],
        augshift__methods=[
            {"method": "baseline"}, {"method": "augshift", "latent_weight": 0.5},
            {"method": "fconv", "dataset": "digits", "seeds": [7], "training": {"epochs": 3}},
        ],
        augshift__seeds=[5, 2],
    )
)  # fmt: skip
NETWORKS = [
    ("baseline", 5), ("baseline", 2), ("augshift-0.5", 5), ("augshift-0.5", 2),
    ("fconv-epochs3-digits", 7),
]  # fmt: skip


@pytest.fixture
def results():
    evaluated = {}
    for label, seed in reversed(NETWORKS):
        rows = [
            {
                "range": name, "top1": seed / 10, "consistency_sampled": 0.5,
                "consistency_exact": exact, "consistency_right": exact + seed / 100, "n_right": 4,
                "diagonal_accuracy": 0.4, "worst_case_accuracy": 0.3, "seed": seed, "floor": 0.1,
                "n": 12,
            }
            for name, exact in (("zero-2", 0.6), ("crop-1", 0.7))
        ]  # fmt: skip
        agreement = {"zero-2": torch.full((3, 3), seed / 10), "crop-1": torch.full((2, 2), 0.9)}
        evaluated[f"{label}-seed{seed}"] = Result(
            tensors={f"agreement.{name}": values for name, values in agreement.items()},
            rows=pd.DataFrame(rows),
            history={"train_loss": [2.0, 1.0], "validation_accuracy": [0.1, seed / 10]},
        )
    return {"evaluate": evaluated}


def test_scores_have_a_row_per_cell_seed_and_range(results):
    scores = report(SETTINGS, results, PUBLISHED).tables["scores"]
    assert list(scores.columns) == [
        "dataset", "method", "seed", "top1", "consistency_sampled", "consistency_exact",
        "consistency_right", "diagonal_accuracy", "worst_case_accuracy", "max_shift",
        "shift_padding", "split", "n", "n_right", "floor", "width", "latent_weight", "loss",
        "epochs", "batch_size", "lr", "cell",
    ]  # fmt: skip
    found = scores[["cell", "seed", "max_shift", "shift_padding"]].itertuples(
        index=False, name=None
    )
    assert list(found) == [
        (label, seed, *shift) for label, seed in NETWORKS for shift in ((2, "zero"), (1, "crop"))
    ]
    assert scores.top1.tolist() == [seed / 10 for _, seed in NETWORKS for _ in range(2)]
    assert scores.latent_weight.tolist() == [0] * 4 + [0.5] * 4 + [0] * 2
    assert scores.dataset.tolist() == ["textures"] * 8 + ["digits"] * 2
    epochs = SETTINGS.augshift.training.epochs
    assert scores.epochs.tolist() == [epochs] * 8 + [3] * 2 and set(scores.split) == {"test"}


def test_what_is_measured_on_validation_images_says_so(results):
    sections = SETTINGS.model_dump()
    sections["augshift"]["dataset"] |= {"folder": ".", "download": False, "name": "cifar10"}
    for split, published in (("test", True), ("validation", False)):
        settings = AugShiftSettings.model_validate(changed(sections, augshift__split=split))
        made = report(settings, results, PUBLISHED)
        assert set(made.tables["scores"].split) == {split}
        assert made.tables["table"].published_top1.notna().any() == published


@pytest.mark.filterwarnings("ignore:Precision loss")
def test_rows_of_one_data_set_are_compared_seed_by_seed(results):
    table = report(SETTINGS, results, PUBLISHED).tables["comparisons"]
    assert len(table) == 2 * 3
    assert set(zip(table.cell, table.against, strict=True)) == {("augshift-0.5", "baseline")}
    assert table.measure.unique().tolist() == ["top1", "consistency_exact", "consistency_right"]
    assert set(table.n_seeds) == {2} and set(table.difference) == {0}


def test_agreement_is_the_mean_over_seeds(monkeypatch, results):
    shown, draw = {}, module.agreement_figure

    def capture(maps, ranges):
        shown.update(maps)
        return draw(maps, ranges)

    monkeypatch.setattr(module, "agreement_figure", capture)
    made = report(SETTINGS, results, PUBLISHED)
    assert list(made.figures) == ["learning_curves", "trade_off", "agreement"]
    assert list(shown) == [
        f"{label}\n{shift}"
        for label in ("baseline", "augshift-0.5", "fconv-epochs3-digits")
        for shift in ("zero-2", "crop-1")
    ]
    assert shown["baseline\nzero-2"][0, 0] == pytest.approx(0.35)
    assert shown["fconv-epochs3-digits\nzero-2"][0, 0] == pytest.approx(0.7)


def test_table_says_its_cells_and_the_papers_numbers(results):
    made = report(SETTINGS, results, PUBLISHED)
    assert made.tables["table"].cell.unique().tolist() == [
        "baseline",
        "augshift-0.5",
        "fconv-epochs3-digits",
    ]
    assert "augshift" in made.texts["table"]
    assert "augshift-0.5 - baseline" in made.texts["comparisons"]


def test_picture_of_one_network_has_a_panel_per_range(results):
    figure = map_of(results["evaluate"]["baseline-seed5"])
    panels = [axis for axis in figure.axes if axis.get_images()]
    assert [axis.get_title().strip() for axis in panels] == ["zero-2", "crop-1"]
