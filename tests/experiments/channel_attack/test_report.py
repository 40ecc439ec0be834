import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.channel_attack.report import curves_of


def test_picture_of_a_network_shows_no_band_among_the_tops():
    """The band 4-8 has as many channels as the top 0-4, and far less to lose."""
    rows = [("none", 0, "0-0", 100), ("overall", 4, "0-4", 50), ("overall", 4, "4-8", 100)]
    columns = ["ranking", "n_channels", "band", "right"]
    attacks = pd.DataFrame(rows, columns=columns)
    confusions = [[[[[n, 100 - n], [100 - n, n]]]] for n in attacks.right]
    attacks = attacks.assign(protocol="held_out", draw=0, replacement="zero")
    attacks["top"] = attacks.band != "4-8"
    files = {"attacks.csv": attacks.drop(columns="right").to_csv(index=False).encode()}
    result = Result(tensors={"confusions": torch.tensor(confusions)}, files=files)
    (line,) = curves_of(result).axes[0].get_lines()
    assert line.get_xydata().tolist() == [[0, 0], [4, pytest.approx(1 / 3 - 1)]]
