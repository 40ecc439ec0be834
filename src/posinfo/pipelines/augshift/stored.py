"""What an earlier stage has stored, as the next one needs it."""

import torch
from torch import Tensor

from posinfo.networks.stored_settings import without_settings
from posinfo.pipelines.augshift.parameters import AugShiftParameters, Cell, ShiftConfig
from posinfo.pipelines.trained_networks import Images, Stored, checked_images, stored
from posinfo.stimuli.crops import Crops

LABELS = "labels"
UNSHIFTED = ShiftConfig(max_shift=0, padding="zero")


def images_of(images: Stored, cell: Cell) -> Images:
    """The images of a row.

    Raises:
        ValueError: they are not there, or of other settings.
    """
    name = cell.dataset.name
    return checked_images(stored(images, name, "the images", "data_preparation"), cell.dataset)


def crops_of(
    images: Images,
    split: str,
    shift: ShiftConfig,
    device: torch.device,
    precision: torch.dtype,
) -> tuple[Crops, Tensor]:
    """The images of a split, padded for shifts, and their labels.

    Raises:
        ValueError: they cannot be shifted so far.
    """
    crops = Crops(
        images[f"{split}.pixels"],
        shift.max_shift,
        shift.padding,
        images["mean"],
        images["std"],
        device=device,
        precision=precision,
    )
    return crops, images[f"{split}.labels"]


def answer_name(seed: int, shift: ShiftConfig) -> str:
    """Under which the answers of a network over a range of offsets are stored."""
    return f"seed{seed}.{shift.name}"


def answers_of(
    answers: Stored, label: str, cell: Cell, augshift: AugShiftParameters
) -> dict[str, Tensor]:
    """The class of each test image at each offset, by ``answer_name``; and ``LABELS``.

    Raises:
        ValueError: they are missing, or of other settings.
    """
    given = stored(answers, label, "the answers", "evaluation")
    settings = augshift.answers_settings(cell)
    return without_settings(given, settings, f"the answers of {label!r}", "evaluation")
