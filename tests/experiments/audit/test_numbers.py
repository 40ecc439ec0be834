from math import inf, isnan

import pandas as pd
import pytest

from posinfo.experiment import Result
from posinfo.experiments.audit.numbers import MEASURES, of_structure, summarise
from posinfo.measures.intervals import mean_interval
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach

EVEN = PaddedLayer("a", "conv2d", "zero", (8, 8), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1, 1, 1))
UNEVEN = EVEN._replace(used=(1, 0, 1, 0))


def structure(**reaches):
    facts = {
        "padded": [list(EVEN), list(UNEVEN)],
        "period": 4,
        "reaches": {name: list(reach) for name, reach in reaches.items()},
    }
    return Result(facts=facts)


def test_crops_of_one_photograph_are_one_value():
    rows = pd.DataFrame(
        {
            "measure": "consistency", "where": "crops",
            "photograph": ["a", "a", "b", "c"], "value": [0.2, 0.4, 0.6, 0.9],
        }
    )  # fmt: skip
    (number,) = summarise(rows).values()
    values = pd.Series([0.3, 0.6, 0.9]).to_numpy()
    assert number.value == pytest.approx(0.6)
    assert (number.low, number.high) == pytest.approx(mean_interval(values))
    assert number.n == 3


def test_a_number_of_all_photographs_has_no_interval():
    rows = pd.DataFrame(
        {"measure": ["border_channels"], "where": ["f"], "photograph": [""], "value": [0.5]}
    )
    (number,) = summarise(rows).values()
    assert (number.value, number.n) == (0.5, 0)
    assert isnan(number.low)


def test_numbers_of_the_network_alone():
    found = of_structure(structure(f=Reach(4, 8, 4, 15), output=Reach(None, None, None, None)))
    assert {name: each.value for name, each in found.items()} == {
        "padded_layers": 2, "uneven_layers": 1, "stride": 4, "reach": 8, "receptive_field": 15,
    }  # fmt: skip
    endless = of_structure(structure(output=Reach(1, None, None, None)))
    assert endless["reach"].value == endless["receptive_field"].value == inf
    assert set(of_structure(structure())) == {"padded_layers", "uneven_layers"}
    assert set(found) <= set(MEASURES)
