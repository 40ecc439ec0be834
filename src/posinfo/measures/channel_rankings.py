"""Orders in which channels are silenced, and random draws that they are compared with."""

from collections.abc import Callable
from typing import Annotated

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from posinfo.choices import one_of, pick
from posinfo.measures.channel_statistics import ChannelStatistics

NONE, RANDOM, MATCHED = "none", "random", "random_matched"
"""What stands in place of a ranking: no channel, random ones, and random ones of like size."""

LISTED = ("overall", "left", "right", "probe")  # rankings in the table of channels
STRATA = 10  # of channels by their size, for draws that match a ranking

RankingName = Annotated[str, one_of("ranking", lambda: RANKINGS)]


def ranked_channels(statistics: ChannelStatistics, ranking: str) -> Int64[Tensor, " c"]:
    """All channels, those first that a ranking names first.

    Args:
        statistics: of the channels.
        ranking: a key of ``RANKINGS``.

    Raises:
        ValueError: an unknown ranking.
    """
    score = pick("ranking", ranking, RANKINGS)(statistics)
    return score.argsort(descending=True, stable=True)


def channel_rows(statistics: ChannelStatistics) -> pd.DataFrame:
    """A row per channel.

    Returns:
        ``channel, mean_abs_difference, mean_signed_difference, rms, probe_x, probe_y`` and
        ``rank_RANKING``, 0 for the first, for each of ``LISTED``.
    """
    difference = _difference(statistics)
    values = {
        "mean_abs_difference": difference.abs().mean(0),
        "mean_signed_difference": difference.mean(0),
        **{name: getattr(statistics, name) for name in ("rms", "probe_x", "probe_y")},
        # the place of each channel in an order is the order of the order
        **{f"rank_{name}": ranked_channels(statistics, name).argsort() for name in LISTED},
    }
    rows = pd.DataFrame({name: column.numpy() for name, column in values.items()})
    return rows.rename_axis("channel").reset_index()


def random_channels(
    count: int, chosen: int, generator: torch.Generator
) -> Int64[Tensor, " chosen"]:
    """Different channels, each set of them as probable as any other.

    Args:
        count: of all channels.
        chosen: how many.
        generator: draws them.
    """
    return torch.randperm(count, generator=generator)[:chosen]


def matched_channels(
    like: Int64[Tensor, " chosen"], rms: Float[Tensor, " c"], generator: torch.Generator
) -> Int64[Tensor, " chosen"]:
    """Random channels that are as large as others are.

    Channels are sorted by size into ``STRATA`` equal groups; from each group as many are drawn as
    it has of those that are to be matched.

    Args:
        like: channels that are to be matched.
        rms: size of all channels.
        generator: draws them.
    """
    drawn = []
    for stratum in rms.argsort(stable=True).tensor_split(STRATA):
        wanted = int(torch.isin(like, stratum).sum())
        drawn.append(stratum[random_channels(len(stratum), wanted, generator)])
    return torch.cat(drawn)


def _difference(statistics: ChannelStatistics) -> Float[Tensor, "n c"]:
    return statistics.z.double() - statistics.z_mirrored.double()


def _overall(statistics: ChannelStatistics) -> Float[Tensor, " c"]:
    """Mean over images of ``|z - z_mirrored|``."""
    return _difference(statistics).abs().mean(0)


def _standardised(statistics: ChannelStatistics) -> Float[Tensor, " c"]:
    """``overall`` as a share of a channel's standard deviation over images."""
    return (_overall(statistics) / statistics.z.double().std(0)).nan_to_num(0.0, posinf=0.0)


# the score of each channel, the highest first
RANKINGS: dict[str, Callable[[ChannelStatistics], Tensor]] = {
    "overall": _overall,
    "left": lambda statistics: _difference(statistics).mean(0),
    "right": lambda statistics: -_difference(statistics).mean(0),
    "probe": lambda statistics: statistics.probe,
    # our reading of the paper's; at sizes at which no stride is uneven, the same as overall
    "kernel_flip": lambda statistics: statistics.kernel_flip,
    "magnitude": lambda statistics: statistics.magnitude,
    "rms": lambda statistics: statistics.rms,
    "overall_standardised": _standardised,
}
