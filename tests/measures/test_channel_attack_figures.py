import numpy as np
import pandas as pd
import pytest

from posinfo.measures.channel_attack_figures import (
    bands_figure,
    channel_maps_figure,
    curves_figure,
    predictions_figure,
)


@pytest.fixture(scope="module")
def scores():
    rows = []
    for network, seed, intact in (("a", 0, 0.6), ("a", 1, 0.8), ("b", 0, 0.5)):
        rows.append((network, seed, "none", 0, "0-0", 0, intact))
        for number in (4, 8):
            band = f"0-{number}"
            rows.append((network, seed, "overall", number, band, 0, intact - number / 100))
            for draw in range(5):
                # the worst draw of one seed is the best of the other: their mean is .012 or .024
                order = 5 - draw if seed else draw + 1
                random = intact - number / 1000 * order
                rows.append((network, seed, "random", number, band, draw, random))
                rows.append((network, seed, "random_matched", number, band, draw, 0.0))
    columns = ["network", "seed", "ranking", "n_channels", "band", "draw", "miou"]
    return pd.DataFrame(rows, columns=columns)


def test_curves_are_changes_from_the_intact_network_of_each_seed(scores):
    figure = curves_figure(scores)
    panels = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in panels] == ["a", "b"]
    (line,) = panels[0].get_lines()
    np.testing.assert_allclose(line.get_xydata(), [[0, 0], [4, -0.04], [8, -0.08]], atol=1e-9)
    heights = panels[0].collections[0].get_paths()[0].vertices[:, 1]
    assert sorted(set(heights.round(6))) == [-0.024, -0.012, 0], "of means over seeds"
    alone = panels[1].collections[0].get_paths()[0].vertices[:, 1]
    assert alone.min() == pytest.approx(-0.04, abs=0.002)


def test_bands_are_means_over_seeds(scores):
    figure = bands_figure(scores[scores.ranking == "overall"])
    first = figure.axes[0]
    assert [bar.get_height() for bar in first.patches] == pytest.approx([0.66, 0.62])
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["0-4", "0-8"]


def test_there_may_be_no_bands(scores):
    assert not [axis for axis in bands_figure(scores[:0]).figure.axes if axis.get_visible()]


def test_maps_stand_in_rows():
    maps = {"one: overall": [np.eye(3), np.ones((3, 4))], "two: probe": [np.zeros((3, 3))]}
    figure = channel_maps_figure(maps)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == 3
    np.testing.assert_array_equal(shown[0].images[0].get_array(), np.eye(3))
    assert shown[0].get_title(loc="left") == "one: overall"


def test_predictions_stand_below_their_scenes():
    images = np.random.default_rng(0).integers(256, size=(2, 3, 4, 6), dtype=np.uint8)
    labels = np.arange(48, dtype=np.uint8).reshape(2, 4, 6) % 8
    figure = predictions_figure(images, labels, {"intact": labels[::-1]}, 8)
    axes = np.array(figure.axes).reshape(3, 2)
    np.testing.assert_array_equal(axes[0, 1].images[0].get_array(), images[1].transpose(1, 2, 0))
    np.testing.assert_array_equal(axes[1, 0].images[0].get_array(), labels[0])
    np.testing.assert_array_equal(axes[2, 0].images[0].get_array(), labels[1])
    assert axes[2, 0].images[0].get_clim() == (0, 7), "one colour per class, whatever is there"


def test_other_data_sets_have_other_colours():
    labels = np.array([[[0, 18, 255]]], dtype=np.uint8)
    figure = predictions_figure(np.zeros((1, 3, 1, 3), np.uint8), labels, {}, 19)
    shown = figure.axes[1].images[0]
    assert shown.get_cmap().name == "tab20" and shown.get_clim() == (0, 19)
    assert shown.get_array().mask.tolist() == [[False, False, True]]
