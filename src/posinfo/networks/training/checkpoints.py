"""Checkpoints of a training: written in one step, read without running code."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from posinfo.writing import writing


@runtime_checkable
class Stateful(Protocol):
    """An object with a state dict: a model, an optimiser or a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """All that the object needs to go on."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Go on from a state that ``state_dict`` returned."""
        ...


def save_checkpoint(path: Path, parts: Mapping[str, Stateful], more: Mapping[str, Any]) -> None:
    """Write the state of these parts and some plain values to a file, in one step.

    Whenever the process is killed, the file is the one before or the new one, never a part of it.

    Args:
        path: the file to replace; its folder is made.
        parts: models, optimisers and schedules by name.
        more: tensors, numbers, texts and lists or dicts of them, by name.

    Raises:
        UnwritableError: the disk is full, or the folder cannot be written.
    """
    states = {name: part.state_dict() for name, part in parts.items()}
    # another process, here or on another host, may be training the same
    partial = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    try:
        with writing(f"the checkpoint {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save({**states, **more}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file of ``save_checkpoint``.

    Returns:
        The state dicts and the plain values by name, with tensors on the CPU; empty where there is
        no file.

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
        parts: models, optimisers and schedules by name; changed in place.
        state: state dicts by name, as ``read_checkpoint`` returns them.
        path: the file that they were read from, for the message.

    Raises:
        ValueError: the state is of other parts.
    """
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"the checkpoint {path} is of another training ({error}): remove it to start anew"
        ) from error
