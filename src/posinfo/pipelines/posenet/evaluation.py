"""Stage 3 of the posenet experiment: scores, Table 1 and predicted maps."""

import logging
from collections.abc import Callable
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.measures.figures import cell_figure, predicted_maps_figure
from posinfo.measures.scores import predict, score_images, summarise_images
from posinfo.measures.table1 import table1, table1_markdown
from posinfo.networks.readouts import Readouts
from posinfo.networks.upsampled_loss import upsample
from posinfo.pipelines import tracking
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import (
    Features,
    StoredReadouts,
    check_photographs,
    feature_keys,
    trained_readouts,
)
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.stimuli.photos import PhotosConfig, decode_images
from posinfo.stimuli.synthetic import SYNTHETIC

Maps = dict[str, Tensor]

log = logging.getLogger(__name__)


def evaluate(
    posenet: PosenetParameters,
    photos: PhotosConfig,
    device: Device,
    precision: Precision,
    readouts: StoredReadouts,
    features: Features,
    masks: Maps,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """SPC and MAE of every readout on every test image, one backbone after the other."""
    on = device.pick()
    how = {"device": str(on), "precision": str(precision.pick(on)), "photos": photos.model_dump()}
    names = [
        *(("photos", photograph) for photograph in test_photos.photograph),
        *((name, name) for name in SYNTHETIC),
    ]
    work = {}
    for label in posenet.rows:
        keys = feature_keys(features, label, posenet)
        check_photographs(keys, test_photos, posenet.image_size)
        trained = partial(trained_readouts, readouts, label, keys, posenet)
        tests = [partial(array_cache.open, keys[name]) for name in ("photos", "synthetic")]
        work[label] = partial(_evaluate_one, label, posenet, on, trained, tests, masks, names, how)
    return work


def summarise(
    posenet: PosenetParameters,
    image_scores: dict[str, Callable[[], pd.DataFrame]],
    masks: Maps,
    published_numbers: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The result table, Table 1 beside the published numbers, and Table 1 for reading."""
    rows = posenet.rows
    images = pd.concat([image_scores[label]() for label in rows], ignore_index=True)
    scores = summarise_images(images, masks)
    for column, setting in enumerate(("weights", "padding"), start=1):
        values = {label: getattr(row, setting) for label, row in rows.items()}
        scores.insert(column, setting, scores.backbone.map(values))
    architectures = {label: row.arch for label, row in rows.items()}
    table = table1(scores, images, published_numbers, architectures)
    text = table1_markdown(table)
    tracking.log_table(table, text, "table1")
    return scores, table, text


def draw_predicted_maps(
    posenet: PosenetParameters,
    readouts: StoredReadouts,
    features: Features,
    masks: Maps,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Figure:
    """What the readouts of the first seed predict for the first test image."""
    predictions = {}
    for label in posenet.rows:
        keys = feature_keys(features, label, posenet)
        check_photographs(keys, test_photos, posenet.image_size)
        heads, _ = trained_readouts(readouts, label, keys, posenet)
        maps = predict(heads, array_cache.open(keys["photos"])[:1], torch.device("cpu"))
        predictions[label] = _maps_of_first_seed(next(iter(maps)), posenet)
    image = decode_images(test_photos, posenet.image_size, array_cache).pixels[0]
    columns = {pattern: masks[pattern] for pattern in posenet.patterns}
    figure = predicted_maps_figure(np.asarray(image), columns, predictions)
    tracking.log_figure(figure, "predicted_maps.png")
    return figure


def _evaluate_one(
    label: str,
    posenet: PosenetParameters,
    device: torch.device,
    trained: Callable[[], tuple[Readouts, Tensor]],
    tests: list[Callable[[], np.ndarray]],
    masks: Maps,
    names: list[tuple[str, str]],
    how: dict[str, object],
) -> pd.DataFrame:
    readouts, history = trained()
    readouts.to(device)
    maps = chain.from_iterable(predict(readouts, features(), device) for features in tests)
    with progress_bar(f"scores of {label}", len(names)) as on_progress:
        first = next(maps)
        predicted = _maps_of_first_seed(first, posenet)
        images = score_images(chain([first], maps), names, posenet.heads, masks, on_progress)
    images.insert(0, "backbone", label)
    for pattern, scores in summarise_images(images, masks).groupby("pattern", sort=False):
        columns = [i for i, head in enumerate(posenet.heads) if head[0] == pattern]
        settings = _settings(label, str(pattern), posenet) | how
        figure = cell_figure(masks[str(pattern)], predicted[str(pattern)])
        _report_cell(settings, scores, history[:, columns], figure)
    return images


def _report_cell(
    settings: dict[str, object], scores: pd.DataFrame, history: Tensor, figure: Figure
) -> None:
    """One MLflow child run and one line in the log."""
    name = f"{settings['backbone']} {settings['pattern']}"
    seeds = scores.seed.unique()
    with tracking.child_run(name, settings):
        for seed, losses in zip(seeds, history.T.tolist(), strict=True):
            tracking.log_history(f"loss_seed_{seed}", losses)
        for stimulus, rows in scores.groupby("stimulus"):
            means = rows[["spc", "mae", "skill"]].mean().add_suffix(f"_{stimulus}")
            tracking.log_metrics(means.to_dict())
        tracking.log_metrics({"mae_floor": scores.mae_floor.iloc[0]})
        tracking.log_figure(figure, "map.png")
    photos = scores[scores.stimulus == "photos"]
    log.info(
        "%s: SPC %.3f (%.3f to %.3f over %d seeds), MAE %.3f, constant %.3f",
        *(name, photos.spc.mean(), photos.spc.min(), photos.spc.max(), len(seeds)),
        *(photos.mae.mean(), photos.mae_floor.iloc[0]),
    )


def _settings(label: str, pattern: str, posenet: PosenetParameters) -> dict[str, object]:
    row = posenet.backbones[label].model_dump()
    row["backbone_seed"] = row.pop("seed")
    shared = posenet.model_dump(exclude={"backbones", "patterns", "only"})
    return {"backbone": label, "pattern": pattern, **row, **shared}


def _maps_of_first_seed(maps: Tensor, posenet: PosenetParameters) -> Maps:
    size = (posenet.image_size, posenet.image_size)
    return {
        pattern: upsample(maps[index], size)
        for index, (pattern, seed) in enumerate(posenet.heads)
        if seed == posenet.seeds[0]
    }
