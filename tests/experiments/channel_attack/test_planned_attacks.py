import pytest
import torch

from posinfo.experiments.channel_attack.planned_attacks import (
    AttackConfig,
    bands_of,
    planned_attacks,
)
from posinfo.measures.channel_rankings import ranked_channels
from posinfo.measures.channel_statistics import ChannelStatistics

CHANNELS = 20


@pytest.fixture(scope="module")
def statistics():
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.rand(*shape, generator=generator)

    c = CHANNELS
    return ChannelStatistics(
        z=drawn(4, c), z_mirrored=drawn(4, c), kernel_flip=drawn(c), magnitude=drawn(c),
        rms=drawn(c), mean_map=drawn(c, 2, 2), probe=drawn(c), probe_x=drawn(c), probe_y=drawn(c),
    )  # fmt: skip


def config(**changes):
    usual = {
        "rankings": ["probe", "overall"], "fractions": [0.1, 0.5], "bands": 2,
        "replacements": ["zero", "mean"], "protocols": {"held_out": {"split": "test", "draws": 3}},
        "regions": {"full": [0, 0, 1, 1]}, "rings": [], "groups": 2, "seed": 0,
    }  # fmt: skip
    return AttackConfig.model_validate({**usual, **changes})


def test_the_first_attack_silences_nothing(statistics):
    table, attacks = planned_attacks(statistics, config(), draws=0, matched=0)
    assert table.ranking[0] == "none" and table.n_channels[0] == 0
    assert len(attacks[0].channels) == 0


def test_rankings_are_silenced_from_their_first_channel_on(statistics):
    table, attacks = planned_attacks(statistics, config(), draws=0, matched=0)
    assert len(table) == len(attacks) == 1 + 2 * (2 * 2 + 1), "the band 0-10 is a top already"
    for row, each in zip(table.itertuples(), attacks, strict=True):
        if row.ranking != "none":
            first, last = map(int, row.band.split("-"))
            expected = ranked_channels(statistics, row.ranking)[first:last]
            assert torch.equal(each.channels, expected)
            assert row.n_channels == len(expected)
            assert each.to_mean == (row.replacement == "mean")
    assert set(table.band[table.ranking == "overall"]) == {"0-2", "0-10", "10-20"}


def test_draws_are_repeated_for_every_number(statistics):
    table, attacks = planned_attacks(statistics, config(), draws=3, matched=3)
    drawn = table[table.ranking.isin(["random", "random_matched"])]
    assert drawn.top.all(), "a band is as long as a top"
    assert len(drawn) == 3 * 2 * 2
    assert set(drawn.draw) == {0, 1, 2} and set(drawn.replacement) == {"zero"}
    sets = {tuple(sorted(attacks[index].channels.tolist())) for index in drawn.index}
    assert len(sets) > 8
    again, repeated = planned_attacks(statistics, config(), draws=3, matched=3)
    assert again.equals(table)
    assert all(torch.equal(a.channels, b.channels) for a, b in zip(attacks, repeated, strict=True))
    _, other = planned_attacks(statistics, config(seed=1), draws=3, matched=3)
    assert any(
        not torch.equal(attacks[index].channels, other[index].channels) for index in drawn.index
    )


def test_kinds_of_draws_have_numbers_of_their_own(statistics):
    table, _ = planned_attacks(statistics, config(), draws=3, matched=1)
    counts = table.ranking.value_counts()
    assert (counts["random"], counts["random_matched"]) == (3 * 2, 1 * 2)


def test_fractions_that_mean_the_same_number_are_one(statistics):
    table, _ = planned_attacks(
        statistics, config(fractions=[0.1, 0.11], bands=0), draws=1, matched=1
    )
    assert table.value_counts(["ranking", "band", "replacement"]).max() == 1


def test_bands_are_no_tops_and_have_draws_of_their_own(statistics):
    table, _ = planned_attacks(statistics, config(bands=4), draws=2, matched=1)
    bands = table[~table.top]
    ranked, drawn = bands[bands.ranking == "overall"], bands[bands.ranking == "random"]
    assert set(ranked.band) == {"0-5", "5-10", "10-15", "15-20"}
    assert drawn.n_channels.tolist() == [5, 5]
    assert set(table[table.ranking == "random_matched"].n_channels) == {2, 10}
    assert set(table[table.top].band) == {"0-0", "0-2", "0-10"}


def test_bands_hold_every_channel_once():
    assert bands_of(128, 5) == [(0, 26), (26, 51), (51, 77), (77, 102), (102, 128)]
    assert bands_of(10, 1) == [(0, 10)]


def test_there_may_be_no_bands(statistics):
    table, _ = planned_attacks(statistics, config(bands=0, rankings=["probe"]), draws=0, matched=0)
    assert set(table.ranking) == {"none", "probe"}
