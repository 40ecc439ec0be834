"""Trained readouts as plain tensors, and back."""

from jaxtyping import Float
from torch import Tensor

from posinfo.networks.readouts import ReadoutConfig, Readouts

HISTORY = "loss_history"


def to_tensors(readouts: Readouts, history: Float[Tensor, "e k"]) -> dict[str, Tensor]:
    """The weights and the loss of each epoch, ready for a safetensors file."""
    weights = {name: tensor.cpu().contiguous() for name, tensor in readouts.state_dict().items()}
    return {**weights, HISTORY: history}


def from_tensors(
    tensors: dict[str, Tensor], config: ReadoutConfig
) -> tuple[Readouts, Float[Tensor, "e k"]]:
    """What ``to_tensors`` was given, in evaluation mode on the CPU.

    Raises:
        ValueError: the tensors belong to other settings than ``config``.
    """
    weights = {name: tensor for name, tensor in tensors.items() if name != HISTORY}
    history = tensors[HISTORY]
    readouts = Readouts(weights["convolutions.0.weight"].shape[1], [0] * history.shape[1], config)
    try:
        readouts.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"these readouts were trained with other settings: {error}") from error
    return readouts.eval(), history
