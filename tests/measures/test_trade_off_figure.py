import numpy as np
import pandas as pd

from posinfo.measures.trade_off_figure import trade_off_figure


def test_a_point_per_method_and_seed_and_a_name_per_method():
    scores = pd.DataFrame(
        {"method": ["a", "b_c", "a"], "top1": [0.7, 0.8, 0.6], "consistency_exact": [0.9, 0.5, 0.8]}
    )
    figure = trade_off_figure(scores)
    (axis,) = figure.axes
    first, second = axis.collections
    np.testing.assert_allclose(first.get_offsets(), [[0.7, 0.9], [0.6, 0.8]])
    np.testing.assert_allclose(second.get_offsets(), [[0.8, 0.5]])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("top-1", "exact consistency")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b c"]
