"""Stage 3 of the permutenet experiment: every test image in every cell, tables and figures."""

import logging
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.measures.canvas_figures import (
    accuracy_maps_figure,
    confusions_figure,
    learning_curves_figure,
)
from posinfo.measures.canvas_scores import (
    accuracy,
    accuracy_by_location,
    answers_by_target,
    counts_to_table,
)
from posinfo.measures.permutenet_table import permutenet_markdown, permutenet_table
from posinfo.networks.canvas_training import count_answers
from posinfo.pipelines import tracking
from posinfo.pipelines.permutenet.parameters import CellConfig, PermutenetParameters
from posinfo.pipelines.permutenet.stored import (
    StoredNetworks,
    canvases_of,
    counted_answers,
    history,
    images_key,
    trained_network,
)
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision

Counted = Mapping[str, Callable[[], pd.DataFrame]]

COLUMNS = [  # of scores.csv, before all other settings
    "dataset", "network", "permutation", "padding", "canvas", "task", "grid", "seed", "accuracy",
    "chance", "n", "cell",
]  # fmt: skip

log = logging.getLogger(__name__)


def evaluate(
    permutenet: PermutenetParameters,
    device: Device,
    precision: Precision,
    images: dict[str, Tensor],
    networks: StoredNetworks,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """What each network answers, counted by seed, location and right answer; by cell."""
    on = device.pick()
    data = images_key(images)
    return {
        label: partial(
            _evaluate_one,
            label,
            cell,
            permutenet,
            images,
            data,
            networks,
            on,
            precision.pick(on),
        )
        for label, cell in permutenet.resolve().items()
    }


def summarise(
    permutenet: PermutenetParameters, answers: Counted, published_numbers: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The result table, the paper's table beside the published numbers, and that for reading."""
    rows = []
    for label, cell in permutenet.resolve().items():
        columns = cell.columns()
        for seed, counts in counted_answers(answers, label, permutenet).items():
            result = {
                "seed": seed,
                "accuracy": accuracy(counts),
                "chance": 1 / counts.shape[1],
                "n": int(counts.sum()),
                "cell": label,
            }
            images = {"dataset": permutenet.dataset.name, "classes": permutenet.dataset.class_count}
            rows.append({**images, **columns, **result})
    others = [name for name in rows[0] if name not in COLUMNS]
    scores = pd.DataFrame(rows, columns=[*COLUMNS, *others])
    scores = scores.astype(dict.fromkeys(("width", "permuted_before", "classes"), "Int64"))
    table = permutenet_table(scores, published_numbers)
    text = permutenet_markdown(table)
    tracking.log_table(table, text, "table")
    return scores, table, text


def draw_figures(
    permutenet: PermutenetParameters,
    images: dict[str, Tensor],
    networks: StoredNetworks,
    answers: Counted,
) -> tuple[Figure, Figure, Figure]:
    """Learning curves, accuracy in each cell of the canvas, and what was taken for what."""
    data = images_key(images)
    curves, maps, confusions = {}, {}, {}
    for label, cell in permutenet.resolve().items():
        curves[label] = [
            tuple(curve.numpy() for curve in history(networks, label, cell, seed, data))
            for seed in permutenet.seeds
        ]
        counts = torch.stack(list(counted_answers(answers, label, permutenet).values())).sum(0)
        maps[label] = accuracy_by_location(counts)
        confusions[label] = answers_by_target(counts)
    figures = (
        learning_curves_figure(curves),
        accuracy_maps_figure(maps),
        confusions_figure(confusions),
    )
    names = ("learning_curves.png", "accuracy_maps.png", "confusions.png")
    for figure, name in zip(figures, names, strict=True):
        tracking.log_figure(figure, name)
    return figures


def _evaluate_one(
    label: str,
    cell: CellConfig,
    permutenet: PermutenetParameters,
    images: dict[str, Tensor],
    data: str,
    networks: StoredNetworks,
    device: torch.device,
    precision: torch.dtype,
) -> pd.DataFrame:
    test = canvases_of(images, "test", cell, device, precision)
    shown = len(permutenet.seeds) * len(test.labels) * test.canvases.config.locations
    histories, counts = {}, {}
    with progress_bar(f"answers of {label}", shown) as on_progress:
        for seed in permutenet.seeds:
            trained = trained_network(networks, label, cell, seed, test.answers, data)
            histories[f"train_loss_seed_{seed}"] = trained.losses.tolist()
            histories[f"validation_accuracy_seed_{seed}"] = trained.scores.tolist()
            network = trained.network.to(device)
            counts[seed] = count_answers(network, test, device, precision, on_progress)
    how = {"device": str(device), "precision": str(precision), "seeds": permutenet.seeds}
    settings = {"dataset": permutenet.dataset.model_dump(), **cell.model_dump(), **how}
    _report_cell(label, settings, histories, counts)
    tables = [
        counts_to_table(of_seed).assign(
            classes=test.answers, seed=seed, settings=permutenet.answers_key(cell, seed)
        )
        for seed, of_seed in counts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _report_cell(
    label: str,
    settings: dict[str, object],
    histories: dict[str, list[float]],
    counts: dict[int, Tensor],
) -> None:
    """One MLflow child run and one line in the log."""
    accuracies = {seed: accuracy(of_seed) for seed, of_seed in counts.items()}
    chance = 1 / next(iter(counts.values())).shape[1]
    together = torch.stack(list(counts.values())).sum(0)
    mean = sum(accuracies.values()) / len(accuracies)
    with tracking.child_run(label, settings):
        for name, values in histories.items():
            tracking.log_history(name, values)
        tracking.log_metrics({f"accuracy_seed_{seed}": a for seed, a in accuracies.items()})
        tracking.log_metrics({"accuracy": mean, "chance": chance})
        figure = accuracy_maps_figure({label: accuracy_by_location(together)})
        tracking.log_figure(figure, "accuracy_map.png")
    log.info(
        "%s: accuracy %.3f (%.3f to %.3f over %d seeds), chance %.3f",
        *(label, mean, min(accuracies.values()), max(accuracies.values()), len(counts), chance),
    )
