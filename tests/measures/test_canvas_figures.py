import numpy as np

from posinfo.measures.canvas_figures import (
    accuracy_maps_figure,
    confusions_figure,
    learning_curves_figure,
)


def visible(figure):
    return [axis for axis in figure.axes if axis.get_visible() and axis.get_label() != "<colorbar>"]


def test_a_line_per_cell_and_seed_and_a_name_per_cell():
    curve = (np.array([2.0, 1.0, 0.5]), np.array([0.2, 0.5, 0.9]))
    figure = learning_curves_figure({"gapnet": [curve, curve], "permutenet": [curve]})
    loss, score = figure.axes
    assert [len(axis.lines) for axis in (loss, score)] == [3, 3]
    np.testing.assert_allclose(loss.lines[0].get_xydata(), [[1, 2.0], [2, 1.0], [3, 0.5]])
    np.testing.assert_allclose(score.lines[2].get_ydata(), curve[1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gapnet", "permutenet"]


def test_accuracy_at_each_location_is_drawn_and_written():
    values = np.array([[0.0, 0.25], [0.5, 1.0]])
    figure = accuracy_maps_figure(dict.fromkeys("abcde", values))
    axes = visible(figure)
    assert len(axes) == 5
    np.testing.assert_allclose(axes[0].images[0].get_array(), values)
    assert [text.get_text() for text in axes[0].texts] == ["0.00", "0.25", "0.50", "1.00"]


def test_large_grids_have_no_numbers():
    (axis,) = visible(accuracy_maps_figure({"a": np.zeros((9, 9))}))
    assert not axis.texts


def test_confusions_have_what_is_right_in_rows():
    shares = np.array([[0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    (axis,) = visible(confusions_figure({"gapnet-none-location-3x3": shares}))
    np.testing.assert_allclose(axis.images[0].get_array(), shares)
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("right", "answer")
    assert axis.get_title() == "gapnet none\nlocation 3x3"
