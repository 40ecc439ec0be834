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
from posinfo.networks.pooled_classifiers import build_classifier
from posinfo.networks.trained_file import TrainedFile
from posinfo.pipelines import tracking
from posinfo.pipelines.permutenet.parameters import CellConfig, PermutenetParameters
from posinfo.pipelines.permutenet.stored import canvases_of, counted_answers
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.pipelines.trained_networks import (
    Stored,
    checked_images,
    images_key,
    read_trained,
    report_cell,
)

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
    networks: Stored,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """What each network answers, counted by seed, location and right answer; by cell."""
    images = checked_images(images, permutenet.dataset)
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
    networks: Stored,
    answers: Counted,
) -> tuple[Figure, Figure, Figure]:
    """Learning curves, accuracy in each cell of the canvas, and what was taken for what."""
    data = images_key(checked_images(images, permutenet.dataset))
    curves, maps, confusions = {}, {}, {}
    for label, cell in permutenet.resolve().items():
        files = [
            read_trained(networks, label, seed, cell.settings(data, seed))
            for seed in permutenet.seeds
        ]
        curves[label] = [(file.losses.numpy(), file.scores.numpy()) for file in files]
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
    networks: Stored,
    device: torch.device,
    precision: torch.dtype,
) -> pd.DataFrame:
    test = canvases_of(images, "test", cell, device, precision)
    shown = len(permutenet.seeds) * len(test.labels) * test.canvases.config.locations
    files, counts = {}, {}
    with progress_bar(f"answers of {label}", shown) as on_progress:
        for seed in permutenet.seeds:
            files[seed] = read_trained(networks, label, seed, cell.settings(data, seed))
            side = cell.canvas_config.side
            network = build_classifier(cell.classifier, test.answers, seed, side)
            network.load_state_dict(files[seed].weights)
            counts[seed] = count_answers(network.to(device), test, device, precision, on_progress)
    how = {"device": str(device), "precision": str(precision), "seeds": permutenet.seeds}
    settings = {"dataset": permutenet.dataset.model_dump(), **cell.model_dump(), **how}
    _report(label, settings, files, counts)
    tables = [
        counts_to_table(of_seed).assign(
            classes=test.answers, seed=seed, settings=permutenet.answers_key(cell, seed)
        )
        for seed, of_seed in counts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _report(
    label: str,
    settings: dict[str, object],
    files: dict[int, TrainedFile],
    counts: dict[int, Tensor],
) -> None:
    """One MLflow child run and one line in the log."""
    chance = 1 / next(iter(counts.values())).shape[1]
    scores = {seed: {"accuracy": accuracy(of_seed)} for seed, of_seed in counts.items()}
    together = torch.stack(list(counts.values())).sum(0)
    figure = accuracy_maps_figure({label: accuracy_by_location(together)})
    figures = {"accuracy_map.png": figure}
    means = report_cell(label, settings, files, scores, {"chance": chance}, figures)
    found = [of_seed["accuracy"] for of_seed in scores.values()]
    log.info(
        "%s: accuracy %.3f (%.3f to %.3f over %d seeds), chance %.3f",
        *(label, means["accuracy"], min(found), max(found), len(found), chance),
    )
