import numpy as np
import pandas as pd
import pytest

from posinfo.measures.reporting import number, over_seeds, split_note, with_sd


def test_cells_are_means_and_deviations_over_seeds():
    scores = pd.DataFrame(
        {
            "cell": ["a", "a", "b"], "spc": [0.5, 0.7, 0.1], "mae": [0.2, 0.1, 0.3],
            "floor": 0.25, "skill": [0.2, 0.6, -0.2], "n": 4, "n_constant": [0, 1, 2],
            "stuck": [False, True, False],
        }
    )  # fmt: skip
    a, b = over_seeds(scores, ["cell"]).to_dict("records")
    assert a["spc"] == pytest.approx(0.6)
    assert a["spc_sd"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert (a["n_seeds"], a["n"], a["n_constant"], a["n_stuck"]) == (2, 4, 1, 1)
    assert a["skill"] == pytest.approx(0.4)
    assert np.isnan(b["mae_sd"])
    assert b["n_stuck"] == 0


def test_images_that_are_no_test_images_are_named():
    notes = [
        split_note(pd.DataFrame({"split": split})) for split in (["test"] * 2, ["validation"] * 2)
    ]
    expected = "\n\nMeasured on validation images, which have no published numbers."
    assert notes == ["", expected]


def test_numbers_have_three_decimals_or_nothing():
    assert (number(0.12345), number(np.nan)) == ("0.123", "")
    assert (with_sd(0.5, 0.01), with_sd(0.5, np.nan)) == ("0.500 ± 0.010", "0.500")
