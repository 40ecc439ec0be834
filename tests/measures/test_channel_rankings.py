import pytest
import torch

from posinfo.measures.channel_rankings import (
    RANKINGS,
    matched_channels,
    random_channels,
    ranked_channels,
)
from posinfo.measures.channel_statistics import ChannelStatistics

CHANNELS, IMAGES = 40, 6


@pytest.fixture(scope="module")
def statistics():
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.rand(*shape, generator=generator)

    return ChannelStatistics(
        z=drawn(IMAGES, CHANNELS), z_mirrored=drawn(IMAGES, CHANNELS),
        kernel_flip=drawn(CHANNELS), magnitude=drawn(CHANNELS), rms=drawn(CHANNELS),
        mean_map=drawn(CHANNELS, 2, 4), probe=drawn(CHANNELS), probe_x=drawn(CHANNELS),
        probe_y=drawn(CHANNELS),
    )  # fmt: skip


def sorted_by_hand(scores):
    return sorted(range(CHANNELS), key=lambda channel: -float(scores[channel]))


def test_rankings_are_those_of_a_loop(statistics):
    by_image = [
        [float(z) - float(m) for z, m in zip(row, mirrored, strict=True)]
        for row, mirrored in zip(statistics.z, statistics.z_mirrored, strict=True)
    ]
    columns = list(zip(*by_image, strict=True))
    overall = [sum(map(abs, column)) / IMAGES for column in columns]
    signed = [sum(column) / IMAGES for column in columns]
    spread = statistics.z.numpy().std(0, ddof=1)
    expected = {
        "overall": overall,
        "left": signed,
        "right": [-value for value in signed],
        "probe": statistics.probe,
        "kernel_flip": statistics.kernel_flip,
        "magnitude": statistics.magnitude,
        "rms": statistics.rms,
        "overall_standardised": [a / s for a, s in zip(overall, spread, strict=True)],
    }
    assert expected.keys() == RANKINGS.keys()
    for name, scores in expected.items():
        assert ranked_channels(statistics, name).tolist() == sorted_by_hand(scores), name


def test_images_with_their_mirrors_have_no_signed_difference(statistics):
    """The signed ranking of a set that holds each image both ways is a ranking of zeros."""
    both_ways = ChannelStatistics(
        **{
            **statistics.tensors(),
            "z": torch.cat([statistics.z, statistics.z_mirrored]),
            "z_mirrored": torch.cat([statistics.z_mirrored, statistics.z]),
        }
    )
    assert RANKINGS["left"](both_ways).abs().max() < 1e-12
    assert torch.equal(RANKINGS["overall"](both_ways), RANKINGS["overall"](statistics))


def test_silent_channels_come_last():
    silent = torch.zeros(3, 2)
    silent[:, 1] = torch.tensor([1.0, 2.0, 4.0])
    ones = torch.ones(2)
    statistics = ChannelStatistics(
        silent, silent.flip(0), ones, ones, ones, torch.ones(2, 1, 1), ones, ones, ones
    )
    assert ranked_channels(statistics, "overall_standardised").tolist() == [1, 0]


def test_draws_are_of_different_channels():
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(CHANNELS)
    for _ in range(2000):
        drawn = random_channels(CHANNELS, 10, generator)
        assert len(drawn.unique()) == 10
        counts[drawn] += 1
    assert counts.min() > 420 and counts.max() < 580, "each in a quarter of 2,000 draws"


def test_matched_draws_have_the_sizes_of_what_they_match(statistics):
    generator = torch.Generator().manual_seed(0)
    like = statistics.rms.argsort()[-12:][::2]  # in the three upper tenths of 40
    drawn = matched_channels(like, statistics.rms, generator)
    assert len(drawn.unique()) == len(like)
    ranks = statistics.rms.argsort().argsort()
    assert sorted((ranks[drawn] // 4).tolist()) == sorted((ranks[like] // 4).tolist())
    others = {tuple(matched_channels(like, statistics.rms, generator).tolist()) for _ in range(20)}
    assert len(others) > 10


def test_unknown_rankings_are_refused(statistics):
    with pytest.raises(ValueError, match="did you mean 'overall'"):
        ranked_channels(statistics, "overal")
