import numpy as np
import pandas as pd

from posinfo.measures.trade_off_figure import trade_off_figure


def test_a_point_per_row_and_seed_and_a_panel_per_range():
    scores = pd.DataFrame(
        {
            "cell": ["a", "b_c-x", "a", "a"], "dataset": ["x"] * 4, "max_shift": [8, 8, 8, 4],
            "shift_padding": ["zero"] * 4, "top1": [0.7, 0.8, 0.6, 0.5],
            "consistency_exact": [0.9, 0.5, 0.8, 0.4],
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
        "x, 0 to 4 px, zero",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b c"]
