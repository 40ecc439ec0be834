"""Channel attack: every score, the channels, what rankings do beyond chance, five figures."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from posinfo.experiment import Report, Result, Results
from posinfo.experiments.channel_attack.attack import attacks_of
from posinfo.experiments.channel_attack.channels import statistics_of
from posinfo.experiments.channel_attack.classifier_report import classifier_report
from posinfo.experiments.channel_attack.planned_attacks import AttackConfig, bands_of
from posinfo.experiments.channel_attack.scenes import pixels_of
from posinfo.experiments.channel_attack.settings import ChannelAttackSettings
from posinfo.experiments.trained_network import BySeed, by_seed
from posinfo.measures.channel_attack_figures import (
    bands_figure,
    channel_maps_figure,
    curves_figure,
    predictions_figure,
    tops_of_first,
)
from posinfo.measures.channel_attack_table import (
    attack_effects,
    beside_experiment3,
    effects_over_seeds,
    region_contrasts,
)
from posinfo.measures.channel_attack_text import (
    border_text,
    compared_text,
    contrasts_text,
    intact_text,
)
from posinfo.measures.channel_rankings import MATCHED, NONE, RANDOM, ranked_channels
from posinfo.measures.segmentation import class_iou, mean_iou

MAPS = 8  # channels whose maps are drawn
DRAWN_RANKINGS = ("overall", "probe")
SCORES = [
    "network", "protocol", "ranking", "n_channels", "band", "region", "draw", "seed",
    "replacement", "miou",
]  # fmt: skip


def report(settings: ChannelAttackSettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores, channels, effects over seeds, and five figures."""
    seeds = {label: cell.seeds for label, cell in settings.cells.items()}
    attacked = by_seed(results["attack"], seeds)
    channels = by_seed(results["channels"], seeds)
    regions = {label: list(cell.attack.regions) for label, cell in settings.cells.items()}
    scores = pd.concat(_each(attacked, seeds, lambda label, r: _scores(r, regions[label])))
    of_each = _each(
        attacked,
        seeds,
        lambda label, r: attack_effects(attacks_of(r), r.tensors["confusions"], regions[label]),
    )
    effects = pd.concat(of_each)
    about = {name: (cell.arch, settings.source(cell)) for name, cell in settings.cells.items()}
    tables = {
        "scores": scores.reindex(columns=SCORES).reset_index(drop=True),
        "table": beside_experiment3(effects_over_seeds(effects), published, about),
        "contrasts": region_contrasts(effects),
        **_of_networks(settings, attacked, channels, seeds),
    }
    classifiers = classifier_report(results["classify"])
    shown, first = _shown(scores, settings), next(iter(settings.cells))
    scenes = results["scenes"][settings.source(settings.cells[first])]
    return Report(
        tables={**tables, **classifiers.tables},
        texts={"table": _text(tables), **classifiers.texts},
        figures={
            "curves": curves_figure(shown.loc[shown.top]),
            "bands": bands_figure(_bands(shown, settings, channels)),
            "channels": channel_maps_figure(_maps(channels)),
            "predictions": _predictions(scenes, attacked[first][0], len(settings.class_names)),
            **classifiers.figures,
        },
    )


def _of_networks(
    settings: ChannelAttackSettings,
    attacked: BySeed,
    channels: BySeed,
    seeds: Mapping[str, Iterable[int]],
) -> dict[str, pd.DataFrame]:
    """Tables with rows of each network and seed."""
    probes = pd.concat(_each(channels, seeds, _probes))
    ranking = pd.concat(_each(channels, seeds, lambda _, result: result.table))
    border = _each(attacked, seeds, lambda name, r: _border(r, settings.cells[name].attack))
    classes = _each(attacked, seeds, lambda _, r: _class_iou(r, settings.class_names))
    networks = pd.concat(_each(attacked, seeds, _intact))
    return {
        "channel_ranking": ranking.reset_index(drop=True),
        "networks": networks.merge(probes, on=["network", "seed"]),
        "class_iou": pd.concat(classes),
        "border": pd.concat(border),
    }


def curves_of(result: Result) -> Figure:
    """Mean IoU by the number of silenced channels of one network, in its first region."""
    return curves_figure(tops_of_first(_scores(result, ["first"])).assign(network="", seed=0))


def _each(
    results: BySeed,
    seeds: Mapping[str, Iterable[int]],
    table_of: Callable[[str, Result], pd.DataFrame],
) -> list[pd.DataFrame]:
    """A table of each result, with its network and seed."""
    return [
        table_of(label, result).assign(network=label, seed=seed)
        for label, of_label in results.items()
        for result, seed in zip(of_label, seeds[label], strict=True)
    ]


def _scores(result: Result, regions: list[str]) -> pd.DataFrame:
    """A row per attack and region."""
    attacks, mious = attacks_of(result), mean_iou(result.tensors["confusions"].sum(1))
    columns = zip(regions, mious.T.numpy(), strict=False)
    return pd.concat([attacks.assign(region=name, miou=values) for name, values in columns])


def _class_iou(result: Result, classes: tuple[str, ...]) -> pd.DataFrame:
    """Intersection over union of each class in the first region, without the random draws."""
    attacks = attacks_of(result)
    planned = ~attacks.ranking.isin([RANDOM, MATCHED])
    counts = result.tensors["confusions"][torch.tensor(planned.to_numpy())]
    ious = pd.DataFrame(class_iou(counts[:, :, 0].sum(1)).numpy(), columns=list(classes))
    about = attacks.loc[planned].drop(columns="draw").reset_index(drop=True)
    joined = about.join(ious)
    return joined.melt(list(about.columns), var_name="class", value_name="iou")


def _border(result: Result, config: AttackConfig) -> pd.DataFrame:
    """Mean IoU of the intact network by distance from the border, in pixels."""
    edges = [0, *config.rings]
    mious = mean_iou(result.tensors["rings"]).numpy()
    return pd.DataFrame({"from_px": edges, "to_px": [*edges[1:], np.nan], "miou": mious})


def _shown(scores: pd.DataFrame, settings: ChannelAttackSettings) -> pd.DataFrame:
    """Of the first protocol, region and replacement of each network, and the intact networks."""
    parts = []
    for label, cell in settings.cells.items():
        protocol, region = next(iter(cell.attack.protocols)), next(iter(cell.attack.regions))
        parts.append(
            scores.loc[
                (scores.network == label)
                & (scores.protocol == protocol)
                & (scores.region == region)
                & ((scores.replacement == cell.attack.replacements[0]) | (scores.ranking == NONE))
            ]
        )
    return pd.concat(parts)


def _bands(shown: pd.DataFrame, settings: ChannelAttackSettings, channels: BySeed) -> pd.DataFrame:
    """The bands of ``overall`` of each network."""
    wanted = {
        (label, f"{first}-{last}")
        for label, cell in settings.cells.items()
        for first, last in bands_of(len(channels[label][0].table), cell.attack.bands)
        if cell.attack.bands
    }
    overall = shown.loc[shown.ranking == "overall"]
    return overall.loc[[pair in wanted for pair in zip(overall.network, overall.band, strict=True)]]


def _maps(channels: BySeed) -> dict[str, list[np.ndarray]]:
    """Of the first seed of each network, the mean maps of the first channels of two orders."""
    maps = {}
    for label, seeds in channels.items():
        statistics = statistics_of(seeds[0])
        for name in DRAWN_RANKINGS:
            first = ranked_channels(statistics, name)[:MAPS]
            maps[f"{label}: {name}"] = list(statistics.mean_map[first].numpy())
    return maps


def _predictions(scenes: Result, attacked: Result, classes: int) -> Figure:
    before, after = attacked.tensors["predictions"].numpy()
    images, labels = (np.asarray(part[: len(before)]) for part in pixels_of(scenes, "test"))
    return predictions_figure(images, labels, {"intact": before, "attacked": after}, classes)


def _text(tables: Mapping[str, pd.DataFrame]) -> str:
    """The intact networks, what each ranking does beyond chance, and the sides."""
    texts = [intact_text(tables["networks"]), border_text(tables["border"])]
    table, contrasts = tables["table"], tables["contrasts"]
    of_region = table.loc[table.region == table.region.iloc[0]]
    for protocol, rows in of_region.groupby("protocol", sort=False):
        compared = rows.loc[rows.draws > 0]
        if len(compared):
            texts.append(compared_text(compared, f"mean IoU, {protocol}"))
    if len(contrasts):
        texts.append(contrasts_text(contrasts))
    return "\n\n".join(each.to_markdown(index=False, disable_numparse=True) for each in texts)


def _intact(label: str, result: Result) -> pd.DataFrame:
    """The mean IoU of a network in each protocol and region, in one row."""
    return result.table.drop(columns="seed")


def _probes(label: str, result: Result) -> pd.DataFrame:
    """The medians of a network's probes over its channels, in one row."""
    return result.table[["probe_x", "probe_y"]].median().to_frame().T
