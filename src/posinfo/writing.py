"""Files that are written whole or not at all, and the one error of a disk that takes none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError


class UnwritableError(OSError):
    """A disk is full or read-only, or a database is away.

    It is nothing that the settings could help: with room, the same is computed.
    """


@contextmanager
def writing(what: object) -> Iterator[None]:
    """A block that writes; PyTorch and safetensors have errors of their own for a full disk.

    Args:
        what: is written, for the message.

    Raises:
        UnwritableError: something in the block could not be written.
    """
    try:
        yield
    except (UnwritableError, torch.AcceleratorError, torch.OutOfMemoryError):
        raise  # the GPU's, from which tensors are written
    except (OSError, RuntimeError, SafetensorError) as error:
        said = f"{what} cannot be written, is the disk full? {error}"
        raise UnwritableError(said) from error


def sync(folder: Path) -> None:
    """Bring every file of a folder to the disk."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
