import pandas as pd

from posinfo.experiments.audit.report import compared


def scores(network, measure, where, values):
    photographs = [f"photo{number}" for number in range(len(values))]
    return pd.DataFrame(
        {
            "network": network, "measure": measure, "where": where,
            "photograph": photographs, "value": values,
        }
    )  # fmt: skip


def test_networks_of_one_kind_are_compared_over_their_photographs():
    frames = [
        scores("a", "consistency", "crops", [0.5, 0.6, 0.7]),
        scores("b", "consistency", "crops", [0.6, 0.8, 0.7]),
        scores("maps", "shift_error", "crops", [0.1, 0.2, 0.3]),
        scores("a", "repadding", "reflect", [0.0, 1.0, 1.0]),
        scores("b", "repadding", "reflect", [1.0, 1.0, 1.0]),
        scores("maps", "repadding", "reflect", [0.3, 0.3, 0.3]),
        scores("a", "border_channels", "f", [0.5]).assign(photograph=""),
        scores("b", "border_channels", "f", [0.1]).assign(photograph=""),
    ]
    found = compared(pd.concat(frames, ignore_index=True)).set_index("measure")
    assert set(found.index) == {"consistency", "repadding.reflect"}
    assert set(found.cell) == {"b"} and set(found.against) == {"a"}
    assert found.loc["consistency"].difference.round(6) == 0.1
    assert set(found.n_photographs) == {3}


def test_a_single_network_is_compared_with_none():
    assert compared(scores("a", "consistency", "crops", [0.5, 0.6])).empty
