import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from posinfo.measures.islam2020 import beside_paper
from posinfo.measures.scores import summarise_images
from posinfo.measures.table1 import photograph_interval, table1, table1_markdown
from posinfo.stimuli.patterns import make_pattern
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(
    PROJECT / "docs/papers/published.csv", keep_default_na=False, na_values=[""]
)
ARCHITECTURES = {"trained": "vgg16", "random": "vgg16"}
SETTINGS = {
    "padding": "zero", "blocks": "all", "kernel_size": 3, "layers": 1, "hidden_width": "",
    "readout_padding": 0, "head": "code", "normalisation": "imagenet",
}  # fmt: skip


def image_scores(photographs=("a", "a", "b", "c"), seeds=(0, 1)):
    values = np.random.default_rng(0)
    rows = [
        (backbone, pattern, stimulus, seed, photograph, values.random(), values.random() / 4)
        for backbone in ("trained", "random")
        for pattern in ("horizontal", "horizontal_stripes", "control")
        for stimulus, shown in (("photos", photographs), ("black", ("black",)))
        for photograph in shown
        for seed in seeds
    ]
    columns = ["backbone", "pattern", "stimulus", "seed", "photograph", "spc", "mae"]
    return pd.DataFrame(rows, columns=columns)


def make_table(images):
    masks = {p: make_pattern(p, (24, 24)) for p in images.pattern.unique()}
    named = images.rename(columns={"backbone": "cell"})
    scores = summarise_images(named, masks).rename(columns={"cell": "backbone"})
    weights = scores.backbone.map({"trained": "imagenet", "random": "untrained"})
    scores = scores.assign(weights=weights, **SETTINGS)
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
    assert len(table) == 2 * 3 * 2


def test_selectivity_is_relative_to_the_control_of_the_same_stimulus():
    _, table = make_table(image_scores())
    for stimulus in ("photos", "black"):
        difference = (
            cell(table, "horizontal", stimulus=stimulus).spc
            - cell(table, "control", stimulus=stimulus).spc
        )
        assert cell(table, "horizontal", stimulus=stimulus).selectivity == pytest.approx(difference)


def test_trained_networks_meet_their_published_row():
    _, table = make_table(image_scores())
    assert cell(table, "horizontal").published_spc == 0.742
    assert np.isnan(cell(table, "horizontal", backbone="random").published_spc)
    assert np.isnan(cell(table, "control").published_spc)


def test_interval_holds_the_mean_and_ignores_copies_of_a_photograph():
    images = image_scores()
    one = images[(images.backbone == "trained") & (images.pattern == "horizontal")]
    photos = one[one.stimulus == "photos"]
    low, high = photograph_interval(photos)
    assert low < photos.groupby("photograph").spc.mean().mean() < high
    assert photograph_interval(pd.concat([photos] * 5)) == (low, high)
    assert photograph_interval(photos) == (low, high)


def test_interval_equals_a_direct_bootstrap():
    images = image_scores(photographs=("a", "b", "c", "d", "e"), seeds=(0, 1, 2))
    photos = images[(images.backbone == "trained") & (images.pattern == "control")]
    photos = photos[photos.stimulus == "photos"]
    values = photos.pivot_table(index="photograph", columns="seed", values="spc").to_numpy()
    draw = np.random.default_rng(1)
    means = [values[draw.integers(0, 5, 5)][:, draw.integers(0, 3, 3)].mean() for _ in range(20000)]
    assert photograph_interval(photos) == pytest.approx(
        np.quantile(means, [0.025, 0.975]), abs=0.02
    )


def test_interval_equals_that_of_one_draw_after_the_other():
    images = image_scores(photographs=("a", "b", "b", "c", "d"), seeds=(0, 1, 2))
    photos = images.query("backbone == 'random' and pattern == 'control' and stimulus == 'photos'")
    values = photos.pivot_table(index="photograph", columns="seed", values="spc").to_numpy()
    slow = bootstrap(
        (np.arange(4), np.arange(3)),
        lambda rows, columns: values[np.ix_(rows, columns)].mean(),
        vectorized=False,
        n_resamples=2000,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert photograph_interval(photos, seed=7) == pytest.approx(
        (slow.low, slow.high), rel=0, abs=1e-12
    )


def test_single_photograph_has_no_interval_and_single_seed_no_deviation():
    _, table = make_table(image_scores(photographs=("a",), seeds=(0,)))
    row = cell(table, "horizontal")
    assert np.isnan([row.spc_low, row.spc_high, row.spc_sd]).all()
    assert "| nan" not in table1_markdown(table)
    _, table = make_table(image_scores(seeds=(0,)))
    assert cell(table, "horizontal").spc_low < cell(table, "horizontal").spc_high


def test_markdown_shows_ours_beside_theirs():
    _, table = make_table(image_scores())
    lines = table1_markdown(table).splitlines()
    assert [line.startswith("|") for line in lines[: 3 + 3 * 2]] == [True] * (2 + 3 * 2) + [False]
    ours = cell(table, "horizontal_stripes")
    line = next(x for x in lines if "horizontal_stripes" in x and "trained" in x)
    assert f"{ours.spc:.3f} ± {ours.spc_sd:.3f}" in line
    assert "0.405" in line and "0.278" in line
    assert "- stripes: their target spans [-1, 1], so their MAE is halved" in lines
