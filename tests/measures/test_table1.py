import numpy as np
import pandas as pd
import pytest
from scipy import stats

from posinfo.measures.islam2020 import beside_paper
from posinfo.measures.scores import summarise_images
from posinfo.measures.table1 import (
    padding_comparisons,
    table1,
    table1_markdown,
)
from posinfo.stimuli.patterns import make_pattern
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(
    PROJECT / "src/posinfo/measures/published.csv", keep_default_na=False, na_values=[""]
)
ARCHITECTURES = {"trained": "vgg16", "random": "vgg16"}
SETTINGS = {
    "padding": "zero", "blocks": "all", "kernel_size": 3, "layers": 1, "hidden_width": "",
    "readout_padding": 0, "head": "code", "normalisation": "imagenet", "split": "test",
}  # fmt: skip


def image_scores(photographs=("a", "a", "b", "c"), seeds=(0, 1)):
    values = np.random.default_rng(0)
    rows = [
        (backbone, pattern, stimulus, seed, photograph, values.random(), values.random() / 4)
        for backbone in ("trained", "random")
        for pattern in ("horizontal", "horizontal_stripes", "control_3", "control")
        for stimulus, shown in (("photos", photographs), ("black", ("black",)))
        for photograph in shown
        for seed in seeds
    ]
    columns = ["backbone", "pattern", "stimulus", "seed", "photograph", "spc", "mae"]
    return pd.DataFrame(rows, columns=columns)


def make_table(images, **changes):
    masks = {p: make_pattern(p, (24, 24)) for p in images.pattern.unique()}
    named = images.rename(columns={"backbone": "cell"})
    scores = summarise_images(named, masks).rename(columns={"cell": "backbone"})
    weights = scores.backbone.map({"trained": "imagenet", "random": "untrained"})
    stuck = (scores.pattern == "control") & (scores.seed == 0)
    scores = scores.assign(weights=weights, stuck=stuck, **{**SETTINGS, **changes})
    return scores, beside_paper(table1(scores, images), PUBLISHED, ARCHITECTURES, signed=False)


def cell(table, pattern, backbone="trained", stimulus="photos"):
    return table[
        (table.pattern == pattern) & (table.backbone == backbone) & (table.stimulus == stimulus)
    ].squeeze()


def test_cells_are_means_and_deviations_over_seeds():
    scores, table = make_table(image_scores())
    rows = cell(scores, "horizontal")
    assert cell(table, "horizontal").spc == pytest.approx(rows.spc.mean())
    assert cell(table, "horizontal").spc_sd == pytest.approx(rows.spc.std(ddof=1))
    assert cell(table, "horizontal").n_seeds == 2
    assert cell(table, "horizontal").n_photographs == 3
    assert len(table) == 2 * 4 * 2


@pytest.mark.parametrize(
    ("column", "control"), [("selectivity", "control"), ("selectivity_3", "control_3")]
)
def test_selectivity_is_relative_to_the_control_of_the_same_stimulus(column, control):
    _, table = make_table(image_scores())
    for stimulus in ("photos", "black"):
        difference = (
            cell(table, "horizontal", stimulus=stimulus).spc
            - cell(table, control, stimulus=stimulus).spc
        )
        assert cell(table, "horizontal", stimulus=stimulus)[column] == pytest.approx(difference)


def test_a_control_that_is_not_measured_has_no_selectivity():
    _, table = make_table(image_scores())
    assert table.selectivity_6.isna().all()
    header = table1_markdown(table).splitlines()[0]
    assert "selectivity_3" in header and "selectivity_6" not in header


def test_trained_networks_meet_their_published_row():
    _, table = make_table(image_scores())
    assert cell(table, "horizontal").published_spc == 0.742
    assert np.isnan(cell(table, "horizontal", backbone="random").published_spc)
    assert np.isnan(cell(table, "control").published_spc)


def test_published_numbers_are_of_test_images_alone():
    _, table = make_table(image_scores(), split="validation")
    assert set(table.split) == {"validation"}
    assert table.filter(like="published").isna().all(axis=None) and set(table.differs) == {""}
    text = table1_markdown(table)
    assert "\n\nMeasured on validation images, which have no published numbers." in text
    assert "0.742" not in text
    assert "Measured on" not in table1_markdown(make_table(image_scores())[1])


def test_interval_is_over_photographs_and_ignores_copies_of_one():
    images = image_scores(photographs=("a", "a", "b", "c", "c", "c"))
    row = cell(make_table(images)[1], "horizontal")
    photos = images.query("backbone == 'trained' and pattern == 'horizontal'")
    means = photos[photos.stimulus == "photos"].groupby("photograph").spc.mean().to_numpy()
    half = stats.t.ppf(0.975, 2) * means.std(ddof=1) / 3**0.5
    assert (row.spc_low, row.spc_high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert (row.n_photographs, row.n) == (3, 6)
    again = cell(make_table(pd.concat([images] * 5))[1], "horizontal")
    assert (again.spc_low, again.spc_high) == pytest.approx((row.spc_low, row.spc_high))


def test_constant_maps_count_as_zero_in_an_interval():
    images = image_scores(photographs=("a", "b", "c"))
    images.loc[images.photograph == "a", "spc"] = np.nan
    zeros = images.fillna({"spc": 0})
    for name in ("spc_low", "spc_high"):
        ours, expected = (cell(make_table(i)[1], "horizontal")[name] for i in (images, zeros))
        assert ours == expected


ARCHITECTURES_COMPARED = {"image": "image", "vgg": "vgg16", "bare": "vgg16", "random": "vgg16"}


def compared(effects, photographs=6):
    """Backbones that differ by an effect and, far less than photographs do, by chance."""
    values = np.random.default_rng(3)
    of_photographs = values.normal(0.5, 0.3, photographs)
    rows = [
        (backbone, "horizontal", "photos", seed, str(i), spc + effect + values.normal(0, 0.01), 0.1)
        for backbone, effect in effects.items()
        for i, spc in enumerate(of_photographs)
        for seed in range(3)
    ]
    columns = ["backbone", "pattern", "stimulus", "seed", "photograph", "spc", "mae"]
    return padding_comparisons(pd.DataFrame(rows, columns=columns), ARCHITECTURES_COMPARED)


def test_comparisons_are_paired_over_photographs_with_the_first_of_an_architecture():
    table = compared({"image": 0, "vgg": 0.1, "bare": 0, "random": 0.1})
    assert table[["cell", "against"]].to_numpy().tolist() == [["vgg", "bare"], ["vgg", "random"]]
    effect, none = table.to_dict("records")
    assert effect["measure"] == "horizontal"
    assert effect["difference"] == pytest.approx(0.1, abs=0.01)
    assert 0.08 < effect["low"] < effect["difference"] < effect["high"] < 0.12
    assert (effect["separable"], none["separable"]) == (True, False)
    assert none["low"] < 0 < none["high"]
    assert effect["n_photographs"] == 6


def test_images_without_content_are_no_photographs_that_are_compared():
    images = image_scores()
    photos = images[images.stimulus == "photos"]
    of_all, of_photos = (padding_comparisons(i, ARCHITECTURES) for i in (images, photos))
    assert set(of_all.n_photographs) == {3}
    pd.testing.assert_frame_equal(of_all, of_photos)


def test_a_difference_below_zero_excludes_it_too_and_a_single_photograph_nothing():
    effects = {"image": 0, "vgg": 0, "bare": 0.1, "random": 0.1}
    assert compared(effects).separable.all()
    assert compared(effects, photographs=1).empty


def test_backbones_of_different_architectures_are_not_compared():
    assert padding_comparisons(image_scores(), {"trained": "vgg16", "random": "resnet18"}).empty


def test_single_photograph_has_no_interval_and_single_seed_no_deviation():
    _, table = make_table(image_scores(photographs=("a",), seeds=(0,)))
    row = cell(table, "horizontal")
    assert np.isnan([row.spc_low, row.spc_high, row.spc_sd]).all()
    assert "| nan" not in table1_markdown(table)
    assert "95 % over 1 photographs" in table1_markdown(table)
    _, table = make_table(image_scores(seeds=(0,)))
    assert cell(table, "horizontal").spc_low < cell(table, "horizontal").spc_high


def test_markdown_shows_ours_beside_theirs():
    _, table = make_table(image_scores())
    lines = table1_markdown(table).splitlines()
    assert [line.startswith("|") for line in lines[: 3 + 4 * 2]] == [True] * (2 + 4 * 2) + [False]
    flat = cell(table, "control")
    assert f"| {flat.spc:.3f} ± {flat.spc_sd:.3f} (1 of 2 stuck) |" in table1_markdown(table)
    assert any(line.startswith("Stuck: readouts at the constant map") for line in lines)
    ours = cell(table, "horizontal_stripes")
    line = next(x for x in lines if "horizontal_stripes" in x and "trained" in x)
    assert f"{ours.spc:.3f} ± {ours.spc_sd:.3f}" in line
    assert "0.405" in line and "0.278" in line
    assert "- stripes: their target spans [-1, 1], so their MAE is halved" in lines
