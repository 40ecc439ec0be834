"""Tensors in a file know the settings that they were made with."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# JSON in UTF-8, a byte per element: Kedro's dataset of tensors does not write their metadata
SETTINGS = "settings"


def with_settings(
    tensors: Mapping[str, Tensor], settings: Mapping[str, object]
) -> dict[str, Tensor]:
    """The tensors, contiguous on the CPU, and the settings."""
    plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return {**plain, SETTINGS: torch.tensor(list(_json(settings)), dtype=torch.uint8)}


def read_settings(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings; none where ``with_settings`` has stored none."""
    stored = tensors.get(SETTINGS)
    return {} if stored is None else json.loads(bytes(stored.tolist()))


def without_settings(
    tensors: Mapping[str, Tensor], settings: Mapping[str, object], what: str, stage: str
) -> dict[str, Tensor]:
    """What ``with_settings`` was given.

    Args:
        tensors: as they were stored.
        settings: that they must have been made with.
        what: they are, as a message names them.
        stage: of the pipeline that makes them.

    Raises:
        ValueError: they were made with other settings.
    """
    stored, wanted = flatten(read_settings(tensors)), flatten(json.loads(_json(settings)))
    if stored != wanted:
        names = sorted(stored.keys() | wanted.keys())
        others = [name for name in names if stored.get(name) != wanted.get(name)]
        raise ValueError(
            f"{what} were made with other settings or inputs than the ones asked for "
            f"({', '.join(others)}): run the stage `{stage}`, or the whole pipeline, again"
        )
    return {name: tensor for name, tensor in tensors.items() if name != SETTINGS}


def settings_key(settings: Mapping[str, object]) -> str:
    """A short name of settings for a file."""
    return hashlib.sha256(_json(settings)).hexdigest()[:16]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _json(settings: Mapping[str, object]) -> bytes:
    return json.dumps(settings, sort_keys=True, default=str).encode()
