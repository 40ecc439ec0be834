"""The file of a trained network: weights, colours, settings, and how its training went."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.normalisation import Colours
from posinfo.networks.stored_settings import with_settings, without_settings
from posinfo.networks.training import Fitted

LOSSES, SCORES = "history.train_loss", "history.validation_accuracy"
COLOURS = MEAN, STD = "colours.mean", "colours.std"
BACKBONE = "maps."  # what names of its tensors begin with, in all networks that are trained here


class TrainedFile(NamedTuple):
    """What ``from_tensors`` finds.

    Attributes:
        weights: the state dict.
        losses: train loss of each epoch.
        scores: validation accuracy of each epoch, in [0, 1].
    """

    weights: dict[str, Tensor]
    losses: Float[Tensor, " epochs"]
    scores: Float[Tensor, " epochs"]


def to_tensors(
    network: nn.Module,
    fitted: Fitted,
    mean: Float[Tensor, "3"],
    std: Float[Tensor, "3"],
    settings: Mapping[str, object],
) -> dict[str, Tensor]:
    """A trained network for a safetensors file.

    Args:
        network: with its final weights.
        fitted: how the training went.
        mean: that was subtracted from its images, in [0, 1].
        std: that they were divided by, in [0, 1].
        settings: of the training, stored as they are.
    """
    more = {LOSSES: fitted.losses, SCORES: fitted.scores, MEAN: mean, STD: std}
    return with_settings({**network.state_dict(), **more}, settings)


def from_tensors(
    tensors: Mapping[str, Tensor], settings: Mapping[str, object], what: str
) -> TrainedFile:
    """What ``to_tensors`` was given.

    Raises:
        ValueError: it was trained with other settings; the message begins with ``what``.
    """
    rest = without_settings(tensors, settings, what, "modeling")
    losses, scores = rest.pop(LOSSES), rest.pop(SCORES)
    return TrainedFile({n: t for n, t in rest.items() if n not in COLOURS}, losses, scores)


def is_trained_file(tensors: Mapping[str, Tensor]) -> bool:
    """Whether ``to_tensors`` has made them."""
    return MEAN in tensors


def backbone_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a trained network without its classifier."""
    return {
        name.removeprefix(BACKBONE): tensor
        for name, tensor in tensors.items()
        if name.startswith(BACKBONE)
    }


def trained_colours(tensors: Mapping[str, Tensor]) -> Colours:
    """What the network's images were normalised by."""
    mean, std = (tuple(tensors[name].tolist()) for name in (MEAN, STD))
    return mean, std
