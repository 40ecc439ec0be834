"""What whole classifiers lose without some of their channels: tables, a text and a figure."""

import io
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from posinfo.experiment import Report, Result
from posinfo.experiments.channel_attack.classifiers import ATTACKS
from posinfo.measures.channel_attack_figures import curves_figure, tops_of_first
from posinfo.measures.channel_attack_table import DRAWN, attack_effects, effects_over_seeds
from posinfo.measures.channel_attack_text import compared_text
from posinfo.measures.classifier_attack import agreement

SCORES = [
    "network", "protocol", "ranking", "n_channels", "band", "draw", "replacement", "n", "agreement",
    "top1",
]  # fmt: skip
TABLE = [
    "network", "protocol", "ranking", "n_channels", "band", "replacement", "agreement", "random",
    "excess", "excess_low", "excess_high", "interval", "percentiles", "percentiles_matched", "p",
    "p_matched", *DRAWN,
]  # fmt: skip


def classifier_report(attacked: Mapping[str, Result]) -> Report:
    """Of each classifier: scores of every set of channels, and what rankings do beyond chance.

    Args:
        attacked: results of ``classifiers.attack`` by label.
    """
    scores = [_scores(result).assign(network=label) for label, result in attacked.items()]
    effects = [
        attack_effects(attacks_of(result), result.tensors["counts"], ["full"], agreement).assign(
            network=label, seed=0
        )
        for label, result in attacked.items()
    ]
    table = effects_over_seeds(pd.concat(effects)) if effects else pd.DataFrame(columns=TABLE)
    table = table.rename(columns={"miou": "agreement"}).reindex(columns=TABLE)
    return Report(
        tables={
            "classifiers": pd.concat(scores or [pd.DataFrame()]).reindex(columns=SCORES),
            "classifier_table": table,
        },
        texts={"classifier_table": _text(table.rename(columns={"agreement": "miou"}))},
        figures={"classifiers": _figure(attacked)},
    )


def attacks_of(result: Result) -> pd.DataFrame:
    """The table of a classifier's result."""
    table = pd.read_csv(io.BytesIO(result.files[ATTACKS]), keep_default_na=False)
    return table.assign(top1=pd.to_numeric(table.top1, errors="coerce"))


def classifier_curves(result: Result) -> Figure:
    """Agreement by the number of silenced channels of one classifier."""
    return _figure({"": result})


def _scores(result: Result) -> pd.DataFrame:
    shares = agreement(result.tensors["counts"].sum(1)[:, 0].double())
    return attacks_of(result).assign(agreement=shares.numpy())


def _figure(attacked: Mapping[str, Result]) -> Figure:
    shown = [
        tops_of_first(_scores(result).rename(columns={"agreement": "miou"})).assign(
            network=label, seed=0
        )
        for label, result in attacked.items()
    ]
    empty = pd.DataFrame(columns=["network"])
    return curves_figure(pd.concat(shown) if shown else empty, "change of agreement")


def _text(table: pd.DataFrame) -> str:
    if not len(table):
        return "No classifier was attacked."
    rows = table.loc[table.draws > 0]
    tables = [
        compared_text(of_protocol, f"same class, {protocol}")
        for protocol, of_protocol in rows.groupby("protocol", sort=False)
    ]
    return "\n\n".join(each.to_markdown(index=False, disable_numparse=True) for each in tables)
