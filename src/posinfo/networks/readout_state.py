"""Trained readouts as plain tensors that know what they were trained for, and back."""

import hashlib
import json
from collections.abc import Mapping

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from posinfo.networks.readout_config import ReadoutConfig
from posinfo.networks.readouts import Readouts

HISTORY, SETTINGS = "loss_history", "settings_digest"


def to_tensors(
    readouts: Readouts, history: Float[Tensor, "e k"], settings: Mapping[str, object]
) -> dict[str, Tensor]:
    """The weights, the loss of each epoch and a digest of the settings, for a safetensors file."""
    weights = {name: tensor.cpu().contiguous() for name, tensor in readouts.state_dict().items()}
    return {**weights, HISTORY: history, SETTINGS: _digest(settings)}


def from_tensors(
    tensors: dict[str, Tensor], config: ReadoutConfig, settings: Mapping[str, object]
) -> tuple[Readouts, Float[Tensor, "e k"]]:
    """What ``to_tensors`` was given, in evaluation mode on the CPU.

    Raises:
        ValueError: they were trained with other settings; names of heads are settings too.
    """
    weights = dict(tensors)
    history, digest = weights.pop(HISTORY), weights.pop(SETTINGS)
    if not torch.equal(digest, _digest(settings)):
        raise ValueError(
            "these readouts were trained with other settings or features than the ones asked for: "
            "run the stage `modeling` again"
        )
    readouts = Readouts(weights["convolutions.0.weight"].shape[1], [0] * history.shape[1], config)
    readouts.load_state_dict(weights)
    return readouts.eval(), history


def _digest(settings: Mapping[str, object]) -> UInt8[Tensor, "32"]:
    text = json.dumps(settings, sort_keys=True, default=str)
    return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
