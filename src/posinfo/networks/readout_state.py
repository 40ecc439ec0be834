"""Trained readouts as plain tensors that know what they were trained for, and back."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from posinfo.networks.readout_config import ReadoutConfig
from posinfo.networks.readouts import Readouts
from posinfo.networks.stored_settings import with_settings, without_settings

HISTORY = "loss_history"


def to_tensors(
    readouts: Readouts, history: Float[Tensor, "e k"], settings: Mapping[str, object]
) -> dict[str, Tensor]:
    """The weights, the loss of each epoch and the settings, for a safetensors file."""
    return with_settings({**readouts.state_dict(), HISTORY: history}, settings)


def from_tensors(
    tensors: dict[str, Tensor], config: ReadoutConfig, settings: Mapping[str, object]
) -> tuple[Readouts, Float[Tensor, "e k"]]:
    """What ``to_tensors`` was given, in evaluation mode on the CPU.

    Raises:
        ValueError: they were trained with other settings; names of heads are settings too.
    """
    weights = without_settings(tensors, settings, "these readouts", "modeling")
    history = weights.pop(HISTORY)
    readouts = Readouts(weights["convolutions.0.weight"].shape[1], [0] * history.shape[1], config)
    readouts.load_state_dict(weights)
    return readouts.eval(), history
