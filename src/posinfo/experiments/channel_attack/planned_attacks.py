"""Which sets of channels an attack silences."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

import pandas as pd
import torch
from pydantic import Field, field_validator

from posinfo.choices import Label, Once, Section, WithoutNulls, one_of
from posinfo.measures.channel_attack import Attack, Box
from posinfo.measures.channel_rankings import (
    MATCHED,
    NONE,
    RANDOM,
    RankingName,
    matched_channels,
    random_channels,
    ranked_channels,
)
from posinfo.measures.channel_statistics import ChannelStatistics

ZERO, MEAN = "zero", "mean"
MEASURED = ("test", "ranking", "unseen")  # splits that attacks are measured on
Fraction = Annotated[float, Field(gt=0, le=1)]
Replacement = Literal["zero", "mean"]


class ProtocolConfig(Section):
    """The images that attacks are measured on.

    Attributes:
        split: one of ``MEASURED``; ``ranking``: those that channels were ranked by, as in the
            released code.
        draws: of random channels, for each number of channels.
        matched: draws of channels that are as large as the top of ``overall``, for each number.
    """

    split: Annotated[str, one_of("split", lambda: MEASURED)]
    draws: int = Field(ge=0)
    matched: int = Field(default=0, ge=0)


class AttackConfig(Section):
    """Which channels are silenced, and where the damage is measured.

    Attributes:
        rankings: orders whose first channels are silenced, keys of ``RANKINGS``.
        fractions: shares of the channels that are silenced.
        bands: the order ``overall`` is cut into so many bands of equal length, each of which is
            silenced by itself; 0: none.
        replacements: what silenced channels become: ``zero``, or their ``mean`` over the images
            that channels are ranked by. Random ones become the first of these.
        protocols: by name, the images; null: none of this name.
        regions: by name, parts of an image: left, top, right, bottom in shares of width and height.
        rings: distances from the border, in pixels, at which rings end in which intact networks are
            scored; ascending.
        groups: images are dealt to so many groups, from which the interval over images comes.
        seed: of the random draws.
    """

    rankings: Annotated[tuple[RankingName, ...], Field(min_length=1), Once]
    fractions: Annotated[tuple[Fraction, ...], Field(min_length=1), Once]
    bands: int = Field(ge=0)
    replacements: Annotated[tuple[Replacement, ...], Field(min_length=1), Once]
    protocols: Annotated[dict[Label, ProtocolConfig], Field(min_length=1), WithoutNulls]
    regions: dict[Label, Box] = Field(min_length=1)
    rings: tuple[Annotated[int, Field(ge=1)], ...]
    groups: int = Field(ge=2)
    seed: int = Field(ge=0)

    @field_validator("rings")
    @classmethod
    def _ascending(cls, rings: tuple[int, ...]) -> tuple[int, ...]:
        if list(rings) != sorted(set(rings)):
            raise ValueError(f"must ascend; got {list(rings)}")
        return rings


def planned_attacks(
    statistics: ChannelStatistics, config: AttackConfig, draws: int, matched: int
) -> tuple[pd.DataFrame, list[Attack]]:
    """All attacks, the first of which silences nothing.

    Args:
        statistics: of the channels.
        config: what is asked for.
        draws: of random channels.
        matched: draws of channels that are as large as those that ``overall`` names first.

    Returns:
        A row per attack, ``ranking, n_channels, band, top, draw, replacement``, and the attacks in
        the same order. ``band`` says which ranks are silenced: ``0-13`` are the first thirteen;
        ``top``, whether they are one of ``fractions``. Random channels are as many as those, and as
        each band has.
    """
    rows, attacks = [], []
    for row, each in _planned(statistics, config, draws, matched):
        rows.append(row)
        attacks.append(each)
    return pd.DataFrame(rows), attacks


def numbers_of(channels: int, config: AttackConfig) -> list[int]:
    """How many channels are silenced, at least one, for each fraction; none twice."""
    return list(dict.fromkeys(max(1, round(share * channels)) for share in config.fractions))


def bands_of(channels: int, bands: int) -> list[tuple[int, int]]:
    """The first rank of each band, and the first one behind it.

    Args:
        channels: how many are ranked.
        bands: of equal length but for rounding.
    """
    return list(pairwise(round(channels * edge / max(bands, 1)) for edge in range(bands + 1)))


def _planned(
    statistics: ChannelStatistics, config: AttackConfig, draws: int, matched: int
) -> Iterator[tuple[dict[str, Any], Attack]]:
    count = len(statistics.rms)
    numbers = numbers_of(count, config)
    orders = {name: ranked_channels(statistics, name) for name in ("overall", *config.rankings)}
    ranges = [(name, 0, number) for name in config.rankings for number in numbers]
    ranges += [("overall", *band) for band in bands_of(count, config.bands)]
    yield _row(NONE, 0, 0, top=True), Attack(orders["overall"][:0])
    for replacement in config.replacements:
        for name, first, last in dict.fromkeys(ranges):  # a band may be the top of its order
            row = _row(name, first, last, first == 0 and last in numbers, replacement)
            yield row, Attack(orders[name][first:last], replacement == MEAN)
    generator = torch.Generator().manual_seed(config.seed)
    kept, to_mean = config.replacements[0], config.replacements[0] == MEAN
    widths = dict.fromkeys(last - first for first, last in bands_of(count, config.bands))
    for draw in range(draws):
        for number in dict.fromkeys([*numbers, *widths]):
            drawn = random_channels(count, number, generator)
            row = _row(RANDOM, 0, number, number in numbers, kept, draw)
            yield row, Attack(drawn, to_mean)
    for draw in range(matched):
        for number in numbers:
            like = orders["overall"][:number]
            drawn = matched_channels(like, statistics.rms, generator)
            yield _row(MATCHED, 0, number, True, kept, draw), Attack(drawn, to_mean)


def _row(
    ranking: str, first: int, last: int, top: bool, replacement: str = ZERO, draw: int = 0
) -> dict[str, Any]:
    about = {"top": top, "draw": draw, "replacement": replacement}
    return {"ranking": ranking, "n_channels": last - first, "band": f"{first}-{last}", **about}
