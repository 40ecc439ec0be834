"""What an earlier stage has stored, as the next one needs it."""

from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor

from posinfo.networks.augshift import AugShiftConfig, LatentClassifier, build_latent_classifier
from posinfo.networks.settings_digest import without_digest
from posinfo.pipelines.augshift.parameters import AugShiftParameters, ShiftConfig
from posinfo.pipelines.permutenet.stored import LOSSES, SCORES, StoredNetworks, partition
from posinfo.stimuli.crops import Crops

Answers = Mapping[str, Callable[[], pd.DataFrame]]


def crops_of(
    images: Mapping[str, Tensor],
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


def trained_classifier(
    networks: StoredNetworks,
    label: str,
    config: AugShiftConfig,
    settings: dict[str, object],
    classes: int,
) -> tuple[LatentClassifier, Tensor, Tensor]:
    """A stored network on the CPU, and loss and validation accuracy of each epoch.

    Raises:
        ValueError: it is missing, or was trained with other settings or images.
    """
    seed = int(str(settings["seed"]))
    name = partition(label, seed)
    if name not in networks:
        raise ValueError(
            f"there is no trained network {name!r}: "
            "run the stage `modeling`, or the whole pipeline, again"
        )
    weights = without_digest(networks[name](), settings, f"the weights of {name}")
    losses, scores = weights.pop(LOSSES), weights.pop(SCORES)
    network = build_latent_classifier(config, classes, seed)
    network.load_state_dict(weights)
    return network.eval(), losses, scores


def predictions_of(
    answers: Answers, label: str, config: AugShiftConfig, seed: int, parameters: AugShiftParameters
) -> tuple[Tensor, Tensor]:
    """Class at each offset, shape (n, k, k), and label of each test image.

    Raises:
        ValueError: they are missing, or of other settings.
    """
    stored = answers[label]() if label in answers else pd.DataFrame({"settings": []})
    rows = stored.loc[stored.settings == parameters.answers_key(config, seed), :]
    if rows.empty:
        raise ValueError(
            f"there are no answers of {label!r}, seed {seed}, with these settings: "
            "run the stage `evaluation`, or the whole pipeline, again"
        )
    side = parameters.shift.max_shift + 1
    offsets = [f"{row} {column}" for row in range(side) for column in range(side)]
    table = torch.tensor(rows[offsets].to_numpy().tolist())
    return table.view(-1, side, side), torch.tensor(rows.label.to_list())
