"""The cells that the rows of the study ask for, step by step."""

from collections.abc import Iterable

import pandas as pd

from posinfo.experiments.augshift.evaluate import EvaluateCell as ShiftCell
from posinfo.experiments.augshift.train import NetworkCell as ShiftNetworkCell
from posinfo.experiments.boundary.distance import SCRATCH, SPLITS, DistanceCell
from posinfo.experiments.boundary.parts import DistanceNetwork
from posinfo.experiments.boundary.patch_location import PatchCell
from posinfo.experiments.boundary.reach import ReachCell
from posinfo.experiments.boundary.red_green import RedGreenCell
from posinfo.experiments.boundary.settings import BoundarySettings
from posinfo.experiments.images import ImagesCell
from posinfo.experiments.labelled_images import ImagesCell as LabelledCell
from posinfo.experiments.permutenet.evaluate import EvaluateCell as CanvasCell
from posinfo.experiments.permutenet.train import NetworkCell as CanvasNetworkCell
from posinfo.experiments.trained_network import network_label
from posinfo.networks.models.augshift import AugShiftConfig
from posinfo.networks.models.stacked_convnets import ConvNetConfig
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.labelled_images import DatasetConfig
from posinfo.stimuli.photos import manifest_key
from posinfo.stimuli.quadrants import TILE, QuadrantConfig

RED_GREEN_KERNEL, RED_GREEN_STRIDES = 3, (1, 2, 2, 2)


def patch_cells(settings: BoundarySettings) -> dict[str, PatchCell]:
    """A row per padding, all seeds in it."""
    section = settings.boundary.patch_location
    return {
        label: PatchCell(
            network=ConvNetConfig(
                channels=(section.channels,),
                strides=(1,),
                kernel_size=section.kernel_size,
                padding=padding,
            ),
            training=section.training,
            seeds=section.seeds,
        )
        for label, padding in settings.labels("patch_location").items()
    }


def red_green_cells(settings: BoundarySettings) -> dict[str, RedGreenCell]:
    """A row per padding, all seeds in it."""
    section = settings.boundary.red_green
    return {
        label: RedGreenCell(
            network=ConvNetConfig(
                channels=section.channels,
                strides=RED_GREEN_STRIDES,
                kernel_size=RED_GREEN_KERNEL,
                padding=padding,
            ),
            training=section.training,
            images=section.images,
            seeds=section.seeds,
        )
        for label, padding in settings.labels("red_green").items()
    }


def tiles_cells(settings: BoundarySettings) -> dict[str, ImagesCell]:
    """Three splits of photographs, where part 2 is asked for."""
    if not settings.of("distance"):
        return {}
    return {split: _photographs(manifest, TILE) for split, manifest in settings.tiles.items()}


def pictures_cells(settings: BoundarySettings) -> dict[str, ImagesCell]:
    """The photographs that reach is measured on."""
    if not settings.of("distance"):
        return {}
    size = settings.boundary.distance.picture_size
    return {"photographs": _photographs(settings.pictures, size)}


def distance_cells(settings: BoundarySettings) -> dict[str, DistanceCell]:
    """A cell per network, border and seed."""
    section, cells = settings.boundary.distance, {}
    for name, row in settings.of("distance").items():
        for border in section.borders_of(row):
            quadrants = QuadrantConfig(canvas=section.canvas, border=border, kind=section.border)
            for seed in row.seeds or section.seeds:
                cells[border_label(name, border, seed)] = DistanceCell(
                    inputs={split: f"tiles/{split}" for split in SPLITS},
                    modules=row.modules,
                    parameters={**row.shown(), "row": name, "border": border, "seed": seed},
                    place=row.place(seed, quadrants.first_padding),
                    weights=_weights(name, row),
                    trained=row.trained,
                    quadrants=quadrants,
                    training=section.training,
                    strengths=section.strengths,
                    seed=seed,
                )
    return cells


def reach_cells(settings: BoundarySettings) -> dict[str, ReachCell]:
    """A cell per network and seed; one that is trained has the weights of the narrowest border."""
    section, cells = settings.boundary.distance, {}
    for name, row in settings.of("distance").items():
        for seed in row.seeds or section.seeds:
            cell = ReachCell(
                inputs={"pictures": "pictures/photographs"},
                modules=row.modules,
                parameters={**row.shown(), "row": name, "seed": seed},
                place=row.place(seed),
                weights=_weights(name, row),
                crop=section.crop,
                tolerance=section.tolerance,
                seed=seed,
            )
            if row.trained == SCRATCH:
                nearest = border_label(name, section.borders_of(row)[0], seed)
                cell = cell.needing(network=f"distance/{nearest}")
            cells[network_label(name, seed)] = cell
    return cells


def border_label(name: str, border: int, seed: int) -> str:
    """Of a network, a border in pixels and a seed."""
    return network_label(f"{name}-{border}px", seed)


def shift_images_cells(settings: BoundarySettings) -> dict[str, LabelledCell]:
    """All images, and the smaller numbers of part 6."""
    return {name: LabelledCell(dataset=dataset) for name, dataset, *_ in _shift_networks(settings)}


def shift_train_cells(settings: BoundarySettings) -> dict[str, ShiftNetworkCell]:
    """A network per row of parts 4 and 6 and seed; those that are in both are trained once."""
    section, cells = settings.boundary.shifts, {}
    for images_name, dataset, method, training, seeds in _shift_networks(settings):
        config = AugShiftConfig(method=method, width=section.width, latent_weight=0, loss="mean")
        about = {"dataset": dataset, "split": settings.boundary.split, **dict(config)}
        for seed in seeds:
            label = network_label(f"{method}-{images_name}", seed)
            cells[label] = ShiftNetworkCell(
                inputs={"images": f"shift_images/{images_name}"},
                parameters={"seed": seed, "training": training, **about},
                method=config,
                classes=dataset.class_count,
                augmentation=section.augmentation,
                training=training,
                seed=seed,
            )
    return cells


def shift_cells(settings: BoundarySettings) -> dict[str, ShiftCell]:
    """The predictions of each of them."""
    section = settings.boundary.shifts
    measured = {
        "split": settings.boundary.split, "shifts": section.shifts, "draws": section.draws,
    }  # fmt: skip
    return {
        label: ShiftCell(**dict(cell.needing(network=f"shift_train/{label}")), **measured)
        for label, cell in shift_train_cells(settings).items()
    }


def canvas_images_cells(settings: BoundarySettings) -> dict[str, LabelledCell]:
    """The tiles of part 5."""
    if not settings.of("canvases"):
        return {}
    dataset = settings.boundary.canvases.dataset
    return {dataset.name: LabelledCell(dataset=dataset)}


def canvas_train_cells(settings: BoundarySettings) -> dict[str, CanvasNetworkCell]:
    """A network per row of part 5 and seed."""
    section = settings.boundary.canvases
    about = {"dataset": section.dataset, "split": settings.boundary.split}
    return {
        network_label(label, seed): CanvasNetworkCell(
            inputs={"images": f"canvas_images/{section.dataset.name}"},
            parameters={"cell": label, "seed": seed, **about, **dict(row)},
            classifier=row.classifier,
            canvas=row.canvas_config,
            task=row.task,
            training=row.training,
            seed=seed,
        )
        for label, row in settings.of("canvases").items()
        for seed in section.seeds
    }


def canvas_cells(settings: BoundarySettings) -> dict[str, CanvasCell]:
    """The answers of each of them."""
    split = settings.boundary.split
    return {
        label: CanvasCell(**dict(cell.needing(network=f"canvas_train/{label}")), split=split)
        for label, cell in canvas_train_cells(settings).items()
    }


ShiftNetwork = tuple[str, DatasetConfig, str, TrainingConfig, tuple[int, ...]]


def _shift_networks(settings: BoundarySettings) -> Iterable[ShiftNetwork]:
    """Name of the images, images, method, protocol and seeds of the rows of parts 4 and 6."""
    section = settings.boundary.shifts
    for method in settings.of("shifts").values():
        yield "all", section.dataset, method, section.training, section.seeds
    for method, size in settings.of("data_efficiency").values():
        dataset = section.dataset
        if size.images:
            dataset = dataset.model_copy(update={"train_limit": size.images})
        training = section.training.model_copy(update={"epochs": size.epochs})
        yield size.name, dataset, method, training, section.efficiency_seeds


def _photographs(manifest: pd.DataFrame, side: int) -> ImagesCell:
    return ImagesCell(image_size=side, content=manifest_key(manifest), manifest=manifest)


def _weights(name: str, row: DistanceNetwork) -> str:
    return row.key(f"boundary.distance.networks.{name}.weights")
