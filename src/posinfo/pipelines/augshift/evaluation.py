"""Stage 3 of the augshift experiment: a prediction per image and offset, tables and figures."""

import logging
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.measures.augshift_table import augshift_markdown, augshift_table
from posinfo.measures.canvas_figures import accuracy_maps_figure, learning_curves_figure
from posinfo.measures.consistency import METRICS, agreement_by_offset, sampled_consistency
from posinfo.measures.trade_off_figure import trade_off_figure
from posinfo.networks.augshift import AugShiftConfig, predict_offsets
from posinfo.pipelines import tracking
from posinfo.pipelines.augshift.parameters import AugShiftParameters
from posinfo.pipelines.augshift.stored import Answers, crops_of, predictions_of, trained_classifier
from posinfo.pipelines.permutenet.stored import StoredNetworks, images_key
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision

SAMPLING_SEED = 0  # of the pairs of offsets of the sampled consistency

log = logging.getLogger(__name__)


def evaluate(
    augshift: AugShiftParameters,
    device: Device,
    precision: Precision,
    images: dict[str, Tensor],
    networks: StoredNetworks,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """The class of each test image at each offset, by method."""
    on = device.pick()
    data = images_key(images)
    return {
        label: partial(
            _evaluate_one,
            label,
            config,
            seeds,
            augshift,
            images,
            data,
            networks,
            on,
            precision.pick(on),
        )
        for label, (config, seeds) in augshift.rows().items()
    }


def summarise(
    augshift: AugShiftParameters, answers: Answers, published_numbers: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The result table, the paper's table beside the published numbers, and that for reading."""
    rows = []
    for label, (config, seeds) in augshift.rows().items():
        for seed in seeds:
            predictions, labels = predictions_of(answers, label, config, seed, augshift)
            scores = _scores(predictions, labels, augshift.draws)
            shift = {"max_shift": augshift.shift.max_shift, "shift_padding": augshift.shift.padding}
            told = {"dataset": augshift.dataset.name, "method": label, "seed": seed}
            others = config.model_dump(exclude={"method"})
            rows.append({**told, **scores, **shift, "n": len(labels), **others})
    scores = pd.DataFrame(rows)
    table = augshift_table(scores, published_numbers)
    text = augshift_markdown(table)
    tracking.log_table(table, text, "table")
    return scores, table, text


def draw_figures(
    augshift: AugShiftParameters,
    images: dict[str, Tensor],
    networks: StoredNetworks,
    answers: Answers,
    scores: pd.DataFrame,
) -> tuple[Figure, Figure, Figure]:
    """Learning curves, accuracy against consistency, and agreement by offset."""
    data = images_key(images)
    curves, maps = {}, {}
    for label, (config, seeds) in augshift.rows().items():
        curves[label], agreements = [], []
        for seed in seeds:
            settings = augshift.settings(config, data, seed)
            classes = augshift.dataset.class_count
            _, losses, accuracies = trained_classifier(networks, label, config, settings, classes)
            curves[label].append((losses.numpy(), accuracies.numpy()))
            predictions, _ = predictions_of(answers, label, config, seed, augshift)
            agreements.append(agreement_by_offset(predictions))
        maps[label] = torch.stack(agreements).mean(0).numpy()
    figures = (
        learning_curves_figure(curves),
        trade_off_figure(scores),
        accuracy_maps_figure(
            maps, "agreement with the middle", min(float(values.min()) for values in maps.values())
        ),
    )
    names = ("learning_curves.png", "trade_off.png", "agreement.png")
    for figure, name in zip(figures, names, strict=True):
        tracking.log_figure(figure, name)
    return figures


def _evaluate_one(
    label: str,
    config: AugShiftConfig,
    seeds: tuple[int, ...],
    augshift: AugShiftParameters,
    images: dict[str, Tensor],
    data: str,
    networks: StoredNetworks,
    device: torch.device,
    precision: torch.dtype,
) -> pd.DataFrame:
    crops, labels = crops_of(images, "test", augshift.shift, device, precision)
    offsets = [(row, column) for row in range(crops.offsets) for column in range(crops.offsets)]
    tables, scores, histories = [], {}, {}
    with progress_bar(
        f"answers of {label}", len(seeds) * len(labels) * len(offsets)
    ) as on_progress:
        for seed in seeds:
            settings = augshift.settings(config, data, seed)
            network, losses, accuracies = trained_classifier(
                networks, label, config, settings, augshift.dataset.class_count
            )
            histories[f"train_loss_seed_{seed}"] = losses.tolist()
            histories[f"validation_accuracy_seed_{seed}"] = accuracies.tolist()
            answers = predict_offsets(
                network.to(device), crops, offsets, device, precision, on_progress
            )
            square = answers.view(-1, crops.offsets, crops.offsets)
            scores[seed] = _scores(square, labels, augshift.draws)
            table = pd.DataFrame(answers.numpy(), columns=[f"{y} {x}" for y, x in offsets])
            key = augshift.answers_key(config, seed)
            tables.append(table.assign(label=labels.numpy(), seed=seed, settings=key))
    how = {"device": str(device), "precision": str(precision), "seeds": seeds}
    shared = augshift.model_dump(include={"dataset", "augmentation", "training", "shift"})
    _report(label, {**config.model_dump(), **shared, **how}, histories, scores)
    return pd.concat(tables, ignore_index=True)


def _scores(predictions: Tensor, labels: Tensor, draws: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(SAMPLING_SEED)
    sampled = sampled_consistency(predictions, draws, generator)
    exact = {name: metric(predictions, labels) for name, metric in METRICS.items()}
    return {"top1": exact.pop("top1"), "consistency_sampled": sampled, **exact}


def _report(
    label: str,
    settings: dict[str, object],
    histories: dict[str, list[float]],
    scores: dict[int, dict[str, float]],
) -> None:
    """One MLflow child run and one line in the log."""
    table = pd.DataFrame(scores).T
    with tracking.child_run(label, settings):
        for name, values in histories.items():
            tracking.log_history(name, values)
        tracking.log_metrics(table.mean().to_dict())
        for seed, row in scores.items():
            tracking.log_metrics({f"{name}_seed_{seed}": value for name, value in row.items()})
    log.info(
        "%s: top-1 %.3f, exact consistency %.3f (%.3f to %.3f over %d seeds)",
        *(label, table.top1.mean(), table.consistency_exact.mean()),
        *(table.consistency_exact.min(), table.consistency_exact.max(), len(table)),
    )
