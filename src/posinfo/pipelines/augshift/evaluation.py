"""Stage 3 of the augshift experiment: a prediction per image and offset, tables and figures."""

import logging
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.measures.augshift_table import augshift_markdown, augshift_table
from posinfo.measures.canvas_figures import accuracy_maps_figure, learning_curves_figure
from posinfo.measures.consistency import METRICS, agreement_by_offset, sampled_consistency
from posinfo.measures.trade_off_figure import trade_off_figure
from posinfo.networks.augshift import build_latent_classifier
from posinfo.networks.augshift_training import predict_offsets
from posinfo.networks.stored_settings import with_settings
from posinfo.networks.trained_file import TrainedFile
from posinfo.pipelines import tracking
from posinfo.pipelines.augshift.parameters import AugShiftParameters, Cell, ShiftConfig
from posinfo.pipelines.augshift.stored import (
    LABELS,
    UNSHIFTED,
    answer_name,
    answers_of,
    crops_of,
    images_of,
)
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.pipelines.trained_networks import (
    Images,
    Stored,
    images_key,
    read_trained,
    report_cell,
)
from posinfo.progress import OnProgress

SAMPLING_SEED = 0  # of the pairs of offsets of the sampled consistency

log = logging.getLogger(__name__)


def evaluate(
    augshift: AugShiftParameters,
    device: Device,
    precision: Precision,
    images: Stored,
    networks: Stored,
) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """The class of each test image at each offset, by label of the row."""
    on = device.pick()
    return {
        label: partial(
            _evaluate_one, label, cell, augshift, images, networks, on, precision.pick(on)
        )
        for label, cell in augshift.cells().items()
    }


def summarise(
    augshift: AugShiftParameters, answers: Stored, published_numbers: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The result table, the paper's table beside the published numbers, and that for reading."""
    scores = _score_table(augshift, answers)
    table = augshift_table(scores, published_numbers)
    text = augshift_markdown(table)
    tracking.log_table(table, text, "table")
    return scores, table, text


def draw_figures(
    augshift: AugShiftParameters,
    images: Stored,
    networks: Stored,
    answers: Stored,
) -> tuple[Figure, Figure, Figure]:
    """Learning curves, accuracy against consistency, and agreement by offset."""
    curves, maps = {}, {}
    for label, cell in augshift.cells().items():
        data = images_key(images_of(images, cell))
        files = [
            read_trained(networks, label, seed, augshift.settings(cell, data, seed))
            for seed in cell.seeds
        ]
        curves[label] = [(file.losses.numpy(), file.scores.numpy()) for file in files]
        given = answers_of(answers, label, cell, augshift)
        maps |= _agreements(label, cell, augshift, given)
    figures = (
        learning_curves_figure(curves),
        trade_off_figure(_score_table(augshift, answers)),
        _agreement_figure(maps, augshift),
    )
    names = ("learning_curves.png", "trade_off.png", "agreement.png")
    for figure, name in zip(figures, names, strict=True):
        tracking.log_figure(figure, name)
    return figures


def _score_table(augshift: AugShiftParameters, answers: Stored) -> pd.DataFrame:
    """One row per row of the configuration, seed and range of offsets."""
    rows = []
    for label, cell in augshift.cells().items():
        given = answers_of(answers, label, cell, augshift)
        others = cell.config.model_dump(exclude={"method"})
        for seed in cell.seeds:
            for shift in augshift.shifts:
                row = {
                    "dataset": cell.dataset.name,
                    "method": cell.config.method,
                    "seed": seed,
                    "top1": _top1(given, seed),
                    **_scores(given, seed, shift, augshift.draws),
                    "max_shift": shift.max_shift,
                    "shift_padding": shift.padding,
                    "n": len(given[LABELS]),
                }
                rows.append({**row, **others, "cell": label})
    return pd.DataFrame(rows)


def _evaluate_one(
    label: str,
    cell: Cell,
    augshift: AugShiftParameters,
    stored: Stored,
    networks: Stored,
    device: torch.device,
    precision: torch.dtype,
) -> dict[str, Tensor]:
    images = images_of(stored, cell)
    data = images_key(images)
    files = {
        seed: read_trained(networks, label, seed, augshift.settings(cell, data, seed))
        for seed in cell.seeds
    }
    offsets = sum((shift.max_shift + 1) ** 2 for shift in (UNSHIFTED, *augshift.shifts))
    shown = offsets * len(cell.seeds) * len(images[f"test.{LABELS}"])
    with progress_bar(f"answers of {label}", shown) as on_progress:
        answers = {
            name: given
            for seed, file in files.items()
            for name, given in _predict(
                file, seed, cell, augshift, images, device, precision, on_progress
            ).items()
        }
    answers[LABELS] = images[f"test.{LABELS}"]
    how = {"device": str(device), "precision": str(precision), "seeds": cell.seeds}
    _report(label, cell, augshift, files, answers, how)
    return with_settings(answers, augshift.answers_settings(cell))


def _predict(
    file: TrainedFile,
    seed: int,
    cell: Cell,
    augshift: AugShiftParameters,
    images: Images,
    device: torch.device,
    precision: torch.dtype,
    on_progress: OnProgress,
) -> dict[str, Tensor]:
    """The class of each test image at each offset, 16-bit, by ``answer_name``."""
    network = build_latent_classifier(cell.config, cell.dataset.class_count, seed)
    network.load_state_dict(file.weights)
    network.to(device)
    answers = {}
    for shift in (UNSHIFTED, *augshift.shifts):
        crops, _ = crops_of(images, "test", shift, device, precision)
        side = range(crops.offsets)
        offsets = [(row, column) for row in side for column in side]
        given = predict_offsets(network, crops, offsets, device, precision, on_progress)
        answers[answer_name(seed, shift)] = given.view(-1, len(side), len(side)).short()
    return answers


def _top1(answers: dict[str, Tensor], seed: int) -> float:
    """Accuracy on the images as they are, whatever the range."""
    predictions = answers[answer_name(seed, UNSHIFTED)].flatten()
    return (predictions == answers[LABELS]).double().mean().item()


def _scores(
    answers: dict[str, Tensor], seed: int, shift: ShiftConfig, draws: int
) -> dict[str, float]:
    predictions = answers[answer_name(seed, shift)].long()
    generator = torch.Generator().manual_seed(SAMPLING_SEED)
    sampled = sampled_consistency(predictions, draws, generator)
    exact = {name: metric(predictions, answers[LABELS]) for name, metric in METRICS.items()}
    return {"consistency_sampled": sampled, **exact}


def _agreements(
    label: str, cell: Cell, augshift: AugShiftParameters, answers: dict[str, Tensor]
) -> dict[str, Float[np.ndarray, "k k"]]:
    """Mean over seeds of the agreement by offset, by the title of its panel."""
    return {
        f"{label}\n{shift.name}": torch.stack(
            [agreement_by_offset(answers[answer_name(seed, shift)].long()) for seed in cell.seeds]
        )
        .mean(0)
        .numpy()
        for shift in augshift.shifts
    }


def _agreement_figure(
    maps: dict[str, Float[np.ndarray, "_ _"]], augshift: AugShiftParameters
) -> Figure:
    ranges = len(augshift.shifts)
    lowest = min(float(values.min()) for values in maps.values())
    columns = ranges if ranges > 1 else 4
    return accuracy_maps_figure(maps, "agreement with the middle", lowest, columns)


def _report(
    label: str,
    cell: Cell,
    augshift: AugShiftParameters,
    files: dict[int, TrainedFile],
    answers: dict[str, Tensor],
    how: dict[str, object],
) -> None:
    """One MLflow child run and one line in the log."""
    shared = augshift.model_dump(include={"augmentation", "training", "draws"})
    shared["shifts"] = [shift.name for shift in augshift.shifts]
    settings = {**cell.config.model_dump(), "dataset": cell.dataset.model_dump(), **shared, **how}
    scores = {
        seed: {
            "top1": _top1(answers, seed),
            **{
                f"{name}_{shift.name}": value
                for shift in augshift.shifts
                for name, value in _scores(answers, seed, shift, augshift.draws).items()
            },
        }
        for seed in cell.seeds
    }
    figure = _agreement_figure(_agreements(label, cell, augshift, answers), augshift)
    means = report_cell(label, settings, files, scores, {}, {"agreement.png": figure})
    first = augshift.shifts[0].name
    log.info(
        "%s: top-1 %.3f, exact consistency (%s) %.3f over %d seeds",
        *(label, means["top1"], first, means[f"consistency_exact_{first}"], len(scores)),
    )
