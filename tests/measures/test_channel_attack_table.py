import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from posinfo.measures.channel_attack_table import (
    attack_effects,
    beside_experiment3,
    effects_over_seeds,
    region_contrasts,
)
from posinfo.measures.intervals import mean_interval
from tests.conftest import PROJECT

# two classes in equal shares: the mean IoU of a network that is right in a share s is s / (2 - s)
RIGHT = {"none": 0.9, "overall": 0.5, "left": 0.8}
DRAWS = (0.6, 0.7, 0.8)
MATCHED = (0.4, 0.6, 0.7)
PIXELS, GROUPS = 1000, 4


def iou(share):
    return share / (2 - share)


def confusion(share):
    right = round(share * PIXELS)
    return [[right, PIXELS - right], [PIXELS - right, right]]


def attacks(protocol="held_out"):
    """The attacks of one protocol, and the share of right pixels under each."""
    rows = [("none", 0, "0-0", 0, "zero", RIGHT["none"])]
    rows += [(name, 4, "0-4", 0, "zero", RIGHT[name]) for name in ("overall", "left")]
    rows += [("overall", 4, "0-4", 0, "mean", 0.7), ("overall", 4, "4-8", 0, "zero", 0.85)]
    rows += [("overall", 3, "8-11", 0, "zero", 0.85)]
    for draw in range(3):
        rows.append(("random", 4, "0-4", draw, "zero", DRAWS[draw]))
        rows.append(("random_matched", 4, "0-4", draw, "zero", MATCHED[draw]))
    columns = ["ranking", "n_channels", "band", "draw", "replacement", "share"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(protocol=protocol, top=table.band.str.startswith("0-"))


@pytest.fixture(scope="module")
def effects():
    both = pd.concat([attacks(), attacks("released").iloc[:3]], ignore_index=True)
    counts = torch.tensor([confusion(share) for share in both.share])
    # the second region is always right
    regions = torch.stack([counts, torch.eye(2).long().mul(PIXELS).expand_as(counts)], 1)
    grouped = regions[:, None].expand(-1, GROUPS, -1, -1, -1).int()
    return attack_effects(both, grouped, ["full", "left"])


def row(effects, ranking, *, protocol="held_out", band="0-4", replacement="zero", region="full"):
    wanted = {
        "ranking": ranking, "protocol": protocol, "band": band, "replacement": replacement,
        "region": region,
    }  # fmt: skip
    found = effects[
        np.logical_and.reduce([effects[name] == value for name, value in wanted.items()])
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_every_ranked_attack_is_compared_in_every_region(effects):
    assert len(effects) == 2 * (5 + 2)
    assert set(effects.ranking) == {"overall", "left"}


def test_excess_is_what_a_ranking_takes_beyond_random_channels(effects):
    found = row(effects, "overall")
    assert found.miou == pytest.approx(iou(0.5))
    assert found.intact == pytest.approx(iou(0.9))
    draws = np.array([iou(share) for share in DRAWS])
    assert found.random == pytest.approx(draws.mean())
    assert found.random_sd == pytest.approx(draws.std(ddof=1))
    assert found.excess == pytest.approx(draws.mean() - iou(0.5))
    assert found.draws == 3


def test_percentiles_are_among_draws_of_their_kind(effects):
    worse, better = row(effects, "overall"), row(effects, "left")
    assert (worse.percentile, worse.percentile_matched) == (0, pytest.approx(100 / 3))
    # equal to the mildest draw: halfway through it
    assert better.percentile == pytest.approx(100 * 2.5 / 3)
    assert (worse.p, better.p) == (1 / 4, 1)
    assert worse.p_matched == 2 / 4
    assert np.isnan([better.percentile_matched, better.p_matched]).all(), "matched to overall alone"


def test_a_band_is_compared_with_draws_of_as_many_channels_but_not_of_the_top_s_size(effects):
    found = row(effects, "overall", band="4-8")
    assert (found.draws, found.draws_matched) == (3, 0)
    assert found.excess == pytest.approx(np.mean([iou(share) for share in DRAWS]) - iou(0.85))
    assert np.isnan([found.percentile_matched, found.p_matched]).all()


def test_matched_draws_do_not_need_plain_ones():
    table = attacks()
    counts = torch.tensor([confusion(share) for share in table.share])[:, None, None].int()
    kept = (table.ranking != "random").to_numpy()
    alone = attack_effects(
        table[kept], counts[torch.tensor(kept)].expand(-1, 2, -1, -1, -1), ["full"]
    )
    found = row(alone, "overall")
    assert (found.draws, found.draws_matched) == (0, 3)
    assert found.p_matched == 2 / 4 and np.isnan([found.p, found.excess]).all()


def test_nothing_is_compared_with_draws_of_other_numbers_values_or_images(effects):
    for found in (
        row(effects, "overall", band="8-11"),
        row(effects, "overall", replacement="mean"),
        row(effects, "left", protocol="released"),
    ):
        assert found.draws == 0
        assert np.isnan([found.random, found.excess, found.percentile, found.p]).all()


def test_a_region_without_counted_pixels_shows_nothing():
    table = attacks()
    counts = torch.zeros(len(table), GROUPS, 1, 2, 2, dtype=torch.long)
    found = attack_effects(table, counts, ["full"])
    assert found.p.isna().all() and found.percentile.isna().all()


def test_groups_that_agree_leave_no_interval(effects):
    found = row(effects, "overall")
    assert found.excess_low == pytest.approx(found.excess) == pytest.approx(found.excess_high)


def test_interval_over_images_is_the_jackknife(effects):
    table = attacks()
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(1, 50, (len(table), GROUPS, 1, 2, 2), generator=generator)
    found = row(attack_effects(table, counts, ["full"]), "overall")

    def excess(groups):
        def miou(index):
            pooled = counts[index][groups].sum(0)[0].double()
            both = pooled.diagonal()
            return (both / (pooled.sum(0) + pooled.sum(1) - both)).mean().item()

        draws = table.index[table.ranking == "random"]
        return np.mean([miou(index) for index in draws]) - miou(1)

    everything = list(range(GROUPS))
    whole = excess(everything)
    left_out = [excess([g for g in everything if g != out]) for out in everything]
    pseudo = GROUPS * whole - (GROUPS - 1) * np.array(left_out)
    assert found.excess == pytest.approx(whole)
    assert (found.excess_low, found.excess_high) == pytest.approx(mean_interval(pseudo))


def test_groups_without_images_are_none(effects):
    """As photographs of a classifier that another protocol measures."""
    table = attacks()
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(1, 50, (len(table), GROUPS, 1, 2, 2), generator=generator)
    more = torch.cat([counts, torch.zeros_like(counts[:, :2])], 1)
    pd.testing.assert_frame_equal(
        attack_effects(table, more, ["full"]), attack_effects(table, counts, ["full"])
    )


def test_seeds_are_put_together(effects):
    other = effects.assign(excess=effects.excess + 0.1, p=effects.p / 2, percentile=50.0)
    both = pd.concat(
        [effects.assign(network="a", seed=0), other.assign(network="a", seed=1)], ignore_index=True
    )
    found = row(effects_over_seeds(both), "overall")
    first = row(effects, "overall")
    pair = np.array([first.excess, first.excess + 0.1])
    assert found.excess == pytest.approx(pair.mean())
    assert (found.excess_low, found.excess_high) == pytest.approx(mean_interval(pair))
    assert (found.interval, found.n_seeds, found.percentiles) == ("seeds", 2, "0, 50")
    expected = stats.combine_pvalues([first.p, first.p / 2], method="fisher").pvalue
    assert found.p == pytest.approx(expected)


def test_one_seed_has_an_interval_over_images(effects):
    found = row(effects_over_seeds(effects.assign(network="a", seed=0)), "left")
    assert found.interval == "images" and found.n_seeds == 1
    assert found.excess_low == pytest.approx(row(effects, "left").excess_low)


def test_contrast_is_of_the_sides_that_two_rankings_hurt():
    mious = [
        ("left", "left", (0.3, 0.4)), ("left", "right", (0.6, 0.6)),
        ("right", "left", (0.5, 0.5)), ("right", "right", (0.4, 0.4)),
    ]  # fmt: skip
    rows = [
        {
            "network": "a", "protocol": "held_out", "n_channels": 4, "replacement": "zero",
            "seed": seed, "ranking": ranking, "region": region, "miou": of_seeds[seed],
        }
        for seed in (0, 1)
        for ranking, region, of_seeds in mious
    ]  # fmt: skip
    effects = pd.DataFrame(rows)
    found = region_contrasts(effects).iloc[0]
    pair = np.array([-0.4, -0.3])
    assert found.contrast == pytest.approx(pair.mean())
    assert (found.low, found.high) == pytest.approx(mean_interval(pair))
    assert (found.contrasts, found.n_seeds) == ("-0.400, -0.300", 2)
    assert region_contrasts(effects[effects.ranking == "left"]).empty


def test_the_paper_s_numbers_stand_beside_the_same_measurement_alone():
    published = pd.read_csv(
        PROJECT / "src/posinfo/measures/published.csv", keep_default_na=False, na_values=[""]
    )
    rows = [
        ("theirs", "released", "overall", "0-100", "zero", "full"),
        ("theirs", "released", "left", "0-100", "zero", "left"),
        ("theirs", "held_out", "overall", "0-100", "zero", "full"),
        ("theirs", "released", "overall", "0-100", "mean", "full"),
        ("theirs", "released", "overall", "0-13", "zero", "full"),
        ("ours", "released", "overall", "0-100", "zero", "full"),
    ]
    columns = ["network", "protocol", "ranking", "band", "replacement", "region"]
    table = pd.DataFrame(rows, columns=columns)
    attacked = {
        "theirs": ("deeplabv3_resnet50_os16", "cityscapes"), "ours": ("small_deeplab", "symmetric"),
    }  # fmt: skip
    found = beside_experiment3(table, published, attacked)
    assert list(found[columns].itertuples(index=False, name=None)) == rows
    assert found.published_miou[:2].tolist() == [0.719, 0.709]
    assert found.published_miou[2:].isna().all()
    assert found.source[1] == "poster"
