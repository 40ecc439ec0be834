import numpy as np
import pandas as pd

from posinfo.measures import border_figures as figures


def test_each_network_has_a_panel_with_its_curves_and_distances():
    scores = pd.DataFrame(
        {
            "row": ["a"] * 4 + ["b"] * 2, "seed": [0, 0, 1, 1, 0, 0],
            "border": [16, 0, 0, 16, 0, 16], "accuracy": [0.5, 1, 0.9, 0.6, 0.7, 0.8],
        }
    )  # fmt: skip
    knees = pd.DataFrame(
        {"row": ["a", "b"], "knee": [8, np.inf], "field": [33, 40], "error_reach": [20, np.inf]}
    )
    first, second = figures.border_curves_figure(scores, knees).axes
    curves = [
        line for line in first.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    assert [list(line.get_ydata()) for line in curves] == [[1, 0.5], [0.9, 0.6]]
    labels = [text.get_text() for text in first.get_legend().get_texts()]
    assert labels == ["knee", "field", "error reach"]
    assert [t.get_text() for t in second.get_legend().get_texts()] == ["field"]


def test_profiles_are_means_over_seeds():
    rings = pd.DataFrame(
        {
            "task": "location", "grid": 3, "padding": "zero", "canvas": "black",
            "seed": [0, 0, 1, 1], "ring": [1, 2, 1, 2], "accuracy": [1, 0.5, 0.8, 0.1],
        }
    )  # fmt: skip
    (axis,) = figures.ring_profiles_figure(rings).axes
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [0.9, 0.3])


def test_seeds_are_points_by_padding_and_by_number_of_images():
    scores = pd.DataFrame(
        {"padding": ["zero", "full"], "similar": [1.0, 0.9], "dissimilar": [0.1, 0.9]}
    )
    (axis,) = figures.red_green_figure(scores).axes
    similar, dissimilar = (each.get_offsets()[:, 1].tolist() for each in axis.collections)
    assert (similar, dissimilar) == ([1.0, 0.9], [0.1, 0.9])
    scores = pd.DataFrame(
        {"method": "fconv", "n_train": [10, 10, 100], "seed": [0, 1, 0], "top1": [0.2, 0.4, 0.9]}
    )
    (axis,) = figures.data_efficiency_figure(scores).axes
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[10, 0.3], [100, 0.9]])
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["10", "100"]


def test_parts_that_were_not_asked_for_leave_empty_figures():
    none = pd.DataFrame(columns=["row", "task", "grid", "padding", "canvas", "method", "n_train"])
    for figure in (
        figures.border_curves_figure(none, none),
        figures.ring_profiles_figure(none),
        figures.red_green_figure(none.assign(similar=0.0, dissimilar=0.0)),
        figures.data_efficiency_figure(none),
    ):
        assert len(figure.axes) == 1
        figure.draw_without_rendering()
