import numpy as np
import pandas as pd

from posinfo.measures.trade_off_figure import trade_off_figure


def test_a_point_per_cell_and_seed_and_a_panel_per_range():
    scores = pd.DataFrame(
        {
            "cell": ["a", "b_c", "a", "b_c-y", "d-y"], "dataset": ["x"] * 3 + ["y"] * 2,
            "max_shift": [8] * 3 + [4] * 2, "shift_padding": ["zero"] * 5,
            "top1": [0.7, 0.8, 0.6, 0.5, 0.4], "consistency_exact": [0.9, 0.5, 0.8, 0.4, 0.3],
        }
    )  # fmt: skip
    figure = trade_off_figure(scores)
    first, second = figure.axes
    np.testing.assert_allclose(first.collections[0].get_offsets(), [[0.7, 0.9], [0.6, 0.8]])
    np.testing.assert_allclose(first.collections[1].get_offsets(), [[0.8, 0.5]])
    np.testing.assert_allclose(second.collections[0].get_offsets(), [[0.5, 0.4]])
    assert (first.get_xlabel(), first.get_ylabel()) == ("top-1", "exact consistency")
    assert [axis.get_title() for axis in figure.axes] == [
        "x, 0 to 8 px, zero",
        "y, 0 to 4 px, zero",
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b c", "d"]
    colours = {
        text.get_text(): tuple(handle.get_facecolor()[0])
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    drawn = [
        tuple(points.get_facecolor()[0]) for axis in figure.axes for points in axis.collections
    ]
    assert drawn == [colours["a"], colours["b c"], colours["b c"], colours["d"]]
    assert len(set(colours.values())) == 3
