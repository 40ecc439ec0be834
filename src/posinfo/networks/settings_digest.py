"""Tensors in a file know the settings that they were made with."""

import hashlib
import json
from collections.abc import Mapping

import torch
from jaxtyping import UInt8
from torch import Tensor

SETTINGS = "settings_digest"


def with_digest(tensors: dict[str, Tensor], settings: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors, contiguous on the CPU, and a digest of the settings."""
    plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return {**plain, SETTINGS: _digest(settings)}


def without_digest(
    tensors: Mapping[str, Tensor], settings: Mapping[str, object], what: str
) -> dict[str, Tensor]:
    """What ``with_digest`` was given.

    Args:
        tensors: as they were stored.
        settings: that they must have been made with.
        what: they are, as a message names them.

    Raises:
        ValueError: they were made with other settings.
    """
    if not torch.equal(tensors.get(SETTINGS, torch.empty(0)), _digest(settings)):
        raise ValueError(
            f"{what} were trained with other settings or inputs than the ones asked for: "
            "run the stage `modeling`, or the whole pipeline, again"
        )
    return {name: tensor for name, tensor in tensors.items() if name != SETTINGS}


def settings_key(settings: Mapping[str, object]) -> str:
    """A short name of settings for a file."""
    return _sha256(settings).hexdigest()[:16]


def _digest(settings: Mapping[str, object]) -> UInt8[Tensor, "32"]:
    return torch.tensor(list(_sha256(settings).digest()), dtype=torch.uint8)


def _sha256(settings: Mapping[str, object]) -> "hashlib._Hash":
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
