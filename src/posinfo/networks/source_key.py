"""A key of the code that results depend on, so that finished work of other code is not taken."""

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

import torch

from posinfo.networks.architectures import is_custom

PACKAGE = Path(__file__).parents[1]
ROOMS = ("networks", "stimuli")  # what is shown to which network, and how it is trained


@lru_cache(maxsize=64)
def source_key(arch: str, rooms: tuple[str, ...] = ROOMS) -> str:
    """Changes with the code of the rooms, with PyTorch and with the user's module of a network.

    Args:
        arch: of the network, see ``posinfo.networks.architectures``.
        rooms: of this package.
    """
    digest = hashlib.sha256(torch.__version__.encode())
    files = [file for room in rooms for file in sorted((PACKAGE / room).rglob("*.py"))]
    if is_custom(arch):
        spec = importlib.util.find_spec(arch.partition(":")[0])
        assert spec is not None and spec.origin is not None
        files.append(Path(spec.origin))
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
