"""Whether silencing ranked channels hurts more than silencing random ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import combine_pvalues, percentileofscore
from torch import Tensor

from posinfo.measures.channel_rankings import MATCHED, NONE, RANDOM
from posinfo.measures.intervals import jackknife_interval, mean_interval
from posinfo.measures.published import beside_published, published_rows
from posinfo.measures.segmentation import mean_iou

COLUMNS = [
    "miou", "intact", "random", "random_sd", "excess", "excess_low", "excess_high", "percentile",
    "percentile_matched", "p", "p_matched", "draws", "draws_matched",
]  # fmt: skip
DRAWN = ["draws", "draws_matched"]
PLACE = ["protocol", "ranking", "n_channels", "band", "replacement", "region"]


def attack_effects(
    attacks: pd.DataFrame,
    counts: Int[Tensor, "a g r *k"],
    regions: list[str],
    score: Callable[[Tensor], Tensor] = mean_iou,
) -> pd.DataFrame:
    """What each ranking does beyond random channels, for one network.

    Args:
        attacks: a row per attack, see ``planned_attacks``, and its ``protocol``.
        counts: in the same order, by group of images and region, what ``score`` makes a score of:
            pixels by right and predicted class.
        regions: names of the regions.
        score: of counts (..., r, *k), (..., r) in [0, 1].

    Returns:
        A row per protocol, ranking, band, replacement and region: ``PLACE`` and

        - ``miou``, ``intact``: the score with and without the attack;
        - ``random``, ``random_sd``: mean and sd over random draws of as many channels;
        - ``excess``: ``random - miou``, how much more the ranking hurts; ``excess_low`` and
          ``excess_high``: its 95 % interval over images;
        - ``percentile``: of ``miou`` among the draws, 0: it hurts more than each of them;
        - ``p``: probability that a draw hurts at least as much;
        - ``percentile_matched``, ``p_matched``: the same of ``overall`` among draws of channels
          that are as large as its first ones; NaN for all else, which these do not match;
        - ``draws``, ``draws_matched``: how many there are.

        What is compared with random draws is NaN where there are none of as many channels.
    """
    counts = counts.double()
    whole = score(counts.sum(1)).numpy()
    without = score(counts.sum(1, keepdim=True) - counts).numpy()  # one group left out
    lines = attacks.assign(index=range(len(attacks)))
    first = lines[lines.ranking == NONE]
    intact = dict(zip(first.protocol, first["index"], strict=True))
    rows = []
    for _, of_place in lines.groupby(["protocol", "n_channels", "replacement"], sort=False):
        undisturbed = intact[of_place.protocol.iloc[0]]
        there = counts[undisturbed].flatten(1).sum(1).numpy() > 0  # groups that have images
        draws = [list(of_place["index"][of_place.ranking == kind]) for kind in (RANDOM, MATCHED)]
        ranked = of_place.loc[~of_place.ranking.isin([NONE, RANDOM, MATCHED])]
        for line in ranked.to_dict(orient="records"):
            for number, region in enumerate(regions):
                mious = whole[:, number]
                row = {str(name): line[name] for name in PLACE[:-1]} | {"region": region}
                row |= {"miou": mious[line["index"]], "intact": mious[undisturbed]}
                like = draws[1] if line["ranking"] == "overall" and line["top"] else []
                row |= {"draws": len(draws[0]), "draws_matched": len(like)}
                sizes = mious, without[:, there, number]
                row |= _beyond_chance(line["index"], draws[0], like, *sizes)
                rows.append(row)
    return pd.DataFrame(rows, columns=[*PLACE, *COLUMNS])


def effects_over_seeds(effects: pd.DataFrame) -> pd.DataFrame:
    """What each ranking does beyond random channels, over networks that differ in their seeds.

    Args:
        effects: of ``attack_effects``, with columns ``network`` and ``seed``.

    Returns:
        A row per network and place: means over seeds of ``miou, intact, random, excess``;
        ``excess_low`` and ``excess_high``, its 95 % interval, and ``interval``, the units that it
        is over: ``seeds``, or ``images`` where there is one seed; ``percentiles`` and
        ``percentiles_matched`` of the seeds, in order, as text; ``p`` and ``p_matched``, those of
        the seeds combined by Fisher's method; ``draws``; ``draws_matched``; ``n_seeds``.
    """
    lines = []
    for _, rows in effects.groupby(["network", *PLACE], sort=False):
        line: dict[str, Any] = {name: rows[name].iloc[0] for name in ["network", *PLACE, *DRAWN]}
        line |= {name: rows[name].mean() for name in ("miou", "intact", "random", "excess")}
        several = len(rows) > 1
        of_one = rows.excess_low.iloc[0], rows.excess_high.iloc[0]
        low, high = mean_interval(rows.excess.to_numpy()) if several else of_one
        over = "seeds" if several else "images"
        line |= {"excess_low": low, "excess_high": high, "interval": over}
        for name in ("percentile", "percentile_matched"):
            named = name.replace("percentile", "percentiles")
            line[named] = ", ".join(f"{value:.0f}" for value in rows[name].dropna())
        for name in ("p", "p_matched"):
            known = bool(rows[name].notna().all())
            line[name] = combine_pvalues(rows[name])[1] if known else np.nan
        lines.append(line | {"n_seeds": len(rows)})
    return pd.DataFrame(lines)


def beside_experiment3(
    table: pd.DataFrame, published: pd.DataFrame, attacked: Mapping[str, tuple[str, str]]
) -> pd.DataFrame:
    """The table with the paper's mean IoU where the same was measured, and without random channels.

    Args:
        table: of ``effects_over_seeds``.
        published: see ``published_rows``.
        attacked: arch and data set of each network; what the paper did not attack has no number.

    Returns:
        The table and columns ``published_miou``, ``published_random`` and ``source``.
    """
    theirs = published_rows(published, "islam2021", ["Experiment 3"])
    keys = ["arch", "dataset", "ranking", "region", "band", "replacement", "protocol"]
    ours = table.assign(
        arch=[attacked[network][0] for network in table.network],
        dataset=[attacked[network][1] for network in table.network],
    )
    # zeros, ranked by the images that are measured
    theirs = theirs.assign(replacement="zero", protocol="released")
    joined = beside_published(
        ours, theirs, keys, {"mean_iou": "published_miou", "source": "source"}
    )
    drawn = theirs.loc[theirs.ranking == RANDOM]
    keys.remove("ranking")
    joined = beside_published(joined, drawn, keys, {"mean_iou": "published_random"})
    return joined.drop(columns=["arch", "dataset"])


def region_contrasts(effects: pd.DataFrame) -> pd.DataFrame:
    """Whether channels that prefer one side matter more there: left minus right, left minus right.

    The contrast is the mean IoU of the left region minus that of the right one, without the
    channels that ``left`` ranks first, minus the same without those that ``right`` ranks first. The
    paper's claim makes it negative.

    Args:
        effects: see ``effects_over_seeds``; with regions ``left`` and ``right``.

    Returns:
        A row per network, protocol, number of channels and replacement: ``contrast``, the mean
        over seeds; ``low`` and ``high``, its 95 % interval over seeds; ``contrasts``, those of the
        seeds, as text; ``n_seeds``. Empty where one of the rankings or regions is missing.
    """
    sides = ["left", "right"]
    of_sides = effects.loc[effects.ranking.isin(sides) & effects.region.isin(sides)]
    place = ["network", "protocol", "n_channels", "replacement"]
    mious = of_sides.pivot_table("miou", [*place, "seed"], ["ranking", "region"], sort=False)
    lines = []
    if set(mious.columns) == {(ranking, region) for ranking in sides for region in sides}:
        leaning = {ranking: mious[ranking, "left"] - mious[ranking, "right"] for ranking in sides}
        contrasts = (leaning["left"] - leaning["right"]).rename("contrast").dropna().reset_index()
        for _, rows in contrasts.groupby(place, sort=False):
            low, high = mean_interval(rows.contrast.to_numpy())
            line = {name: rows[name].iloc[0] for name in place}
            line |= {"contrast": rows.contrast.mean(), "low": low, "high": high}
            each = ", ".join(f"{value:+.3f}" for value in rows.contrast)
            lines.append(line | {"contrasts": each, "n_seeds": len(rows)})
    columns = [*place, "contrast", "low", "high", "contrasts", "n_seeds"]
    return pd.DataFrame(lines, columns=columns)


def _beyond_chance(
    index: int,
    plain: Sequence[int],
    matched: Sequence[int],
    whole: Float[np.ndarray, " a"],
    without: Float[np.ndarray, "a g"],
) -> dict[str, float]:
    """An attack against the draws of as many channels; nothing where there are none."""
    miou, values = float(whole[index]), {}
    if plain:
        draws = whole[plain]
        excess = float(draws.mean()) - miou
        low, high = jackknife_interval(excess, without[plain].mean(0) - without[index])
        values |= {
            "random": float(draws.mean()),
            "random_sd": float(draws.std(ddof=1)) if len(draws) > 1 else np.nan,
            "excess": excess,
            "excess_low": low,
            "excess_high": high,
            "percentile": float(percentileofscore(draws, miou, "mean")),
            "p": _p(miou, draws),
        }
    if matched:
        of_like_size = whole[matched]
        values["percentile_matched"] = float(percentileofscore(of_like_size, miou, "mean"))
        values["p_matched"] = _p(miou, of_like_size)
    return values


def _p(miou: float, draws: Float[np.ndarray, " d"]) -> float:
    if np.isnan(miou) or np.isnan(draws).any():  # no pixel was counted
        return np.nan
    return float((1 + (draws <= miou).sum()) / (1 + len(draws)))
