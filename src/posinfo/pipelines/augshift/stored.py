"""What an earlier stage has stored, as the next one needs it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from posinfo.networks.stored_settings import without_settings
from posinfo.pipelines.augshift.parameters import AugShiftParameters, Cell, ShiftConfig
from posinfo.pipelines.trained_networks import Images
from posinfo.stimuli.crops import Crops

Stored = Mapping[str, Callable[[], dict[str, Tensor]]]

LABELS = "labels"
UNSHIFTED = ShiftConfig(max_shift=0, padding="zero")


def images_of(images: Stored, cell: Cell) -> Images:
    """The images of a row.

    Raises:
        ValueError: they are not there.
    """
    name = cell.dataset.name
    if name not in images:
        raise ValueError(
            f"there are no images of {name!r}: "
            "run the stage `data_preparation`, or the whole pipeline, again"
        )
    return images[name]()


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
    if label not in answers:
        raise ValueError(
            f"there are no answers of {label!r}: "
            "run the stage `evaluation`, or the whole pipeline, again"
        )
    settings = augshift.answers_settings(cell)
    return without_settings(answers[label](), settings, f"the answers of {label!r}")
