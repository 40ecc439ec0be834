"""Checkpoints of a training: written in one step, read without running code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch


@runtime_checkable
class Stateful(Protocol):
    """A model, an optimiser or a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """All that it needs to go on."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Go on from there."""
        ...


def save_checkpoint(path: Path, parts: Mapping[str, Stateful], more: Mapping[str, Any]) -> None:
    """Replace a file by the state of these parts and by some plain values; it is whole or absent.

    Args:
        path: of the file; its folder is made.
        parts: by name.
        more: tensors, numbers, texts and lists or dicts of them, by name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save({**{name: part.state_dict() for name, part in parts.items()}, **more}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What ``save_checkpoint`` has written, on the CPU; nothing where there is no file.

    Raises:
        ValueError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and PyTorch each have errors of their own
        raise ValueError(f"the checkpoint {path} is damaged: remove it to start anew") from error


def restore(parts: Mapping[str, Stateful], state: Mapping[str, Any], path: Path) -> None:
    """Bring parts to their stored state.

    Args:
        parts: by name.
        state: of ``read_checkpoint``.
        path: where it comes from, for the message.

    Raises:
        ValueError: it is of other parts.
    """
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"the checkpoint {path} is of another training ({error}): remove it to start anew"
        ) from error
