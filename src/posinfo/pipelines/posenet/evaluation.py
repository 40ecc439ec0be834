"""Stage 3 of the posenet experiment: scores, Table 1 and predicted maps."""

import logging
from collections.abc import Callable, Iterator, Sequence
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
from posinfo.networks.feature_array import FeatureArray
from posinfo.networks.readouts import Readouts
from posinfo.networks.upsampled_loss import upsample
from posinfo.pipelines import tracking
from posinfo.pipelines.posenet.cells import Cell
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import (
    Features,
    StoredReadouts,
    check_photographs,
    open_features,
    stored_features,
    trained_readouts,
)
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.stimuli.photos import PhotosConfig, decode_images
from posinfo.stimuli.synthetic import SYNTHETIC

Maps = dict[str, Tensor]
Scored = dict[str, Callable[[], pd.DataFrame]]

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
) -> Scored:
    """SPC and MAE of every readout on every test image, one backbone after the other."""
    return evaluate_cells(
        posenet.cells,
        photos,
        device,
        precision,
        readouts,
        features,
        masks,
        test_photos,
        array_cache,
    )


def summarise(
    posenet: PosenetParameters,
    image_scores: Scored,
    masks: Maps,
    published_numbers: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The result table, Table 1 beside the published numbers, and Table 1 for reading."""
    images = pd.concat([image_scores[cell.label]() for cell in posenet.cells], ignore_index=True)
    scores, images = (
        rows.rename(columns={"cell": "backbone"})
        for rows in (summarise_images(images, masks), images)
    )
    for column, setting in enumerate(("weights", "padding"), start=1):
        values = {label: getattr(row, setting) for label, row in posenet.rows.items()}
        scores.insert(column, setting, scores.backbone.map(values))
    architectures = {label: row.arch for label, row in posenet.rows.items()}
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
    predictions = {
        cell.label: first_maps(cell, readouts, features, test_photos, array_cache)
        for cell in posenet.cells
    }
    image = decode_images(test_photos, posenet.image_size, array_cache).pixels[0]
    columns = {pattern: masks[pattern] for pattern in posenet.patterns}
    figure = predicted_maps_figure(np.asarray(image), columns, predictions)
    tracking.log_figure(figure, "predicted_maps.png")
    return figure


def evaluate_cells(
    cells: Sequence[Cell],
    photos: PhotosConfig,
    device: Device,
    precision: Precision,
    readouts: StoredReadouts,
    features: Features,
    masks: Maps,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Scored:
    """SPC and MAE of every readout of every cell on every test image, by label of the cell."""
    on = device.pick()
    how = {"device": str(on), "precision": str(precision.pick(on)), "photos": photos.model_dump()}
    names = [
        *(("photos", photograph) for photograph in test_photos.photograph),
        *((name, name) for name in SYNTHETIC),
    ]
    work = {}
    for cell in cells:
        stored = stored_features(features, cell)
        check_photographs(stored, "photos", test_photos, cell.image_size)
        trained = partial(trained_readouts, readouts, cell, stored)
        tests = [
            partial(open_features, stored, images, cell, array_cache)
            for images in ("photos", "synthetic")
        ]
        work[cell.label] = partial(_evaluate_one, cell, on, trained, tests, masks, names, how)
    return work


def first_maps(
    cell: Cell,
    readouts: StoredReadouts,
    features: Features,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Maps:
    """What the readouts of the first seed predict for the first test image, by pattern."""
    return next(iter(maps_of_photos(cell, readouts, features, test_photos, array_cache)))


def maps_of_photos(
    cell: Cell,
    readouts: StoredReadouts,
    features: Features,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Iterator[Maps]:
    """What the readouts of the first seed predict for each test image, by pattern."""
    stored = stored_features(features, cell)
    check_photographs(stored, "photos", test_photos, cell.image_size)
    heads, _ = trained_readouts(readouts, cell, stored)
    shown = open_features(stored, "photos", cell, array_cache)
    for maps in predict(heads, shown, torch.device("cpu")):
        yield _maps_of_first_seed(maps, cell)


def _evaluate_one(
    cell: Cell,
    device: torch.device,
    trained: Callable[[], tuple[Readouts, Tensor]],
    tests: list[Callable[[], FeatureArray]],
    masks: Maps,
    names: list[tuple[str, str]],
    how: dict[str, object],
) -> pd.DataFrame:
    readouts, history = trained()
    readouts.to(device)
    maps = chain.from_iterable(predict(readouts, features(), device) for features in tests)
    with progress_bar(f"scores of {cell.label}", len(names)) as on_progress:
        first = next(maps)
        predicted = _maps_of_first_seed(first, cell)
        images = score_images(chain([first], maps), names, cell.heads, masks, on_progress)
    images.insert(0, "cell", cell.label)
    for pattern, scores in summarise_images(images, masks).groupby("pattern", sort=False):
        columns = [i for i, head in enumerate(cell.heads) if head[0] == pattern]
        settings = {**cell.flat_settings(), "pattern": pattern} | how
        figure = cell_figure(masks[str(pattern)], predicted[str(pattern)])
        _report_cell(cell, str(pattern), settings, scores, history[:, columns], figure)
    return images


def _report_cell(
    cell: Cell,
    pattern: str,
    settings: dict[str, object],
    scores: pd.DataFrame,
    history: Tensor,
    figure: Figure,
) -> None:
    """One MLflow child run and one line in the log."""
    name = f"{cell.label} {pattern}"
    seeds = scores.seed.unique()
    what = "held_out_mse" if cell.readout.head == "ridge" else "loss"
    with tracking.child_run(name, settings):
        for seed, losses in zip(seeds, history.T.tolist(), strict=True):
            tracking.log_history(f"{what}_seed_{seed}", losses)
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


def _maps_of_first_seed(maps: Tensor, cell: Cell) -> Maps:
    size = (cell.image_size, cell.image_size)
    return {
        pattern: upsample(maps[index], size)
        for index, (pattern, seed) in enumerate(cell.heads)
        if seed == cell.seeds[0]
    }
