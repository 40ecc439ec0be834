"""Networks that an experiment trains, one per cell of its table and seed."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from posinfo.networks.source_key import source_key
from posinfo.networks.stored_settings import settings_key, with_settings, without_settings
from posinfo.networks.trained_file import TrainedFile, from_tensors, to_tensors
from posinfo.networks.training import Fitted
from posinfo.pipelines import tracking
from posinfo.pipelines.progress import progress_bar
from posinfo.stimuli.labelled_images import DatasetConfig, load_labelled_images

Images = Mapping[str, Tensor]
Stored = Mapping[str, Callable[[], dict[str, Tensor]]]
"""What Kedro gives for a folder of safetensors files."""

log = logging.getLogger(__name__)


def load_images(config: DatasetConfig) -> dict[str, Tensor]:
    """Pixels and labels of the three splits and their colours, which know how they were made."""
    return with_settings(load_labelled_images(config), _origin(config))


def checked_images(images: Images, config: DatasetConfig) -> dict[str, Tensor]:
    """What ``load_images`` has loaded.

    Raises:
        ValueError: with other settings, or by other code.
    """
    what = f"the images of {config.name!r}"
    return without_settings(images, _origin(config), what, "data_preparation")


def stored(folder: Stored, name: str, what: str, stage: str) -> dict[str, Tensor]:
    """The content of a file.

    Args:
        folder: its files by name.
        name: of the file.
        what: it has, as a message names it.
        stage: of the pipeline that makes it.

    Raises:
        ValueError: it is not there.
    """
    if name not in folder:
        raise ValueError(
            f"there is no file with {what} of {name!r}: "
            f"run the stage `{stage}`, or the whole pipeline, again"
        )
    return folder[name]()


def images_key(images: Images) -> str:
    """Changes whenever a pixel, a label or a colour does that a training sees."""
    digest = hashlib.sha256()
    for name in sorted(name for name in images if not name.startswith("test.")):
        digest.update(name.encode())
        digest.update(images[name].contiguous().numpy().data)
    return digest.hexdigest()[:16]


def file_name(label: str, seed: int) -> str:
    """Under which a trained network is stored."""
    return f"{label}-seed{seed}"


def train_network(
    name: str,
    network: nn.Module,
    fit: Callable[..., Fitted],
    steps: int,
    *,
    images: Images,
    settings: Mapping[str, object],
    device: torch.device,
    precision: torch.dtype,
    source: str,
    checkpoints: Path,
) -> dict[str, Tensor]:
    """Train with a progress bar and a line in the log.

    Args:
        name: of the file.
        network: that is trained.
        fit: trains it, given ``checkpoint`` and ``on_progress`` by name, see ``fit_epochs``.
        steps: that it takes.
        images: with the colours that they are normalised by.
        settings: all that the training depends on, but for the machine and the code.
        device: computes.
        precision: of the forward and backward pass.
        source: key of the code, see ``source_key``.
        checkpoints: folder.

    Returns:
        The file's tensors.

    Raises:
        FloatingPointError: the training diverged; the message begins with the name.
    """
    machine = {"device": device.type, "precision": str(precision), "source": source}
    key = settings_key({**settings, **machine})
    try:
        with progress_bar(f"training {name}", steps) as on_progress:
            fitted = fit(checkpoint=checkpoints / f"{name}-{key}.pt", on_progress=on_progress)
    except FloatingPointError as error:
        raise FloatingPointError(f"{name}: {error}") from error
    log.info(
        "%s: validation accuracy %.3f in epoch %d of %d",
        *(name, fitted.scores[fitted.epoch - 1], fitted.epoch, len(fitted.scores)),
    )
    return to_tensors(network, fitted, images["mean"], images["std"], settings)


def read_trained(
    networks: Stored, label: str, seed: int, settings: Mapping[str, object]
) -> TrainedFile:
    """What ``train_network`` has returned.

    Raises:
        ValueError: it is missing, or was trained with other settings or images.
    """
    name = file_name(label, seed)
    tensors = stored(networks, name, "the weights", "modeling")
    return from_tensors(tensors, settings, f"the weights of {name}")


def report_cell(
    label: str,
    settings: Mapping[str, object],
    trained: Mapping[int, TrainedFile],
    scores: Mapping[int, Mapping[str, float]],
    shared: Mapping[str, float],
    figures: Mapping[str, Figure],
) -> dict[str, float]:
    """One MLflow child run: settings, learning curves and scores of each seed, figures by file.

    Args:
        label: of the cell.
        settings: of the cell.
        trained: by seed.
        scores: by seed and name.
        shared: scores that all seeds have in common, by name.
        figures: by file name.

    Returns:
        The mean of each score over seeds, which the run has too.
    """
    means = pd.DataFrame(list(scores.values())).mean().to_dict()
    with tracking.child_run(label, settings):
        for seed, file in trained.items():
            tracking.log_history(f"train_loss_seed_{seed}", file.losses.tolist())
            tracking.log_history(f"validation_accuracy_seed_{seed}", file.scores.tolist())
            tracking.log_metrics({f"{name}_seed_{seed}": v for name, v in scores[seed].items()})
        tracking.log_metrics({**means, **shared})
        for name, figure in figures.items():
            tracking.log_figure(figure, name)
    return means


def _origin(config: DatasetConfig) -> dict[str, object]:
    return {**config.settings, "code": source_key("", ("stimuli",))}
