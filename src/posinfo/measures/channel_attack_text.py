"""Tables of the channel attack as they are read: a line each, numbers as text."""

import numpy as np
import pandas as pd

from posinfo.measures.reporting import number, with_interval, with_sd

PUBLISHED = {"published_miou": "paper", "published_random": "paper, random"}


def intact_text(networks: pd.DataFrame) -> pd.DataFrame:
    """Means and sd over seeds, a line per network.

    Args:
        networks: a row per network and seed: ``network, miou_PROTOCOL_REGION, probe_x, probe_y``.
    """
    lines = []
    for network, rows in networks.groupby("network", sort=False):
        line = {"network": str(network), "seeds": str(len(rows))}
        for name in networks.columns[networks.columns.str.startswith("miou_")]:
            values = rows[name].to_numpy()
            sd = values.std(ddof=1) if len(values) > 1 else np.nan
            line[name.removeprefix("miou_")] = with_sd(values.mean(), sd)
        for axis in ("x", "y"):
            line[f"probe {axis}"] = number(float(rows[f"probe_{axis}"].to_numpy().mean()))
        lines.append(line)
    return pd.DataFrame(lines)


def border_text(border: pd.DataFrame) -> pd.DataFrame:
    """Mean IoU by distance from the border, means and sd over seeds, a line per network.

    Args:
        border: a row per network, seed and ring: ``network, from_px, to_px, miou``.
    """
    lines = []
    for network, rows in border.groupby("network", sort=False):
        line = {"network": str(network)}
        for first, ring in rows.groupby("from_px"):
            last = ring.to_px.iloc[0]
            upto = "on" if np.isnan(last) else f"to {last:.0f}"
            line[f"{first} px {upto}"] = with_sd(ring.miou.mean(), ring.miou.std())
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def contrasts_text(contrasts: pd.DataFrame) -> pd.DataFrame:
    """What ``region_contrasts`` finds, a line per network and number of channels."""
    return pd.DataFrame(
        {
            **{name: contrasts[name] for name in ("network", "protocol")},
            "channels": contrasts.n_channels,
            "becomes": contrasts.replacement,
            "left ranking - right ranking, of left - right": with_interval(
                contrasts.contrast, contrasts.low, contrasts.high
            ),
            "of each seed": contrasts.contrasts,
        }
    )


def compared_text(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """What each ranking does beyond random channels, a line per network and ranking.

    Args:
        rows: of ``effects_over_seeds``.
        score: heading of the column of the score.
    """
    return pd.DataFrame(
        {
            "network": rows.network, "ranking": rows.ranking, "ranks": rows.band,
            "becomes": rows.replacement, score: rows.miou.map(number),
            "random": rows.random.map(number),
            "hurts more by": with_interval(rows.excess, rows.excess_low, rows.excess_high),
            "percentile of each seed": rows.percentiles,
            "among matched": rows.percentiles_matched, "p": rows.p.map(number),
            "p, matched": rows.p_matched.map(number),
            **{
                heading: rows[name].map(number)
                for name, heading in PUBLISHED.items()
                if name in rows and bool(rows[name].notna().any())
            },
        }
    )  # fmt: skip
