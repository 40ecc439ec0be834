"""State dicts in files: read without running code, and checked against a network."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy._core.multiarray import scalar
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from posinfo.networks.models.normalisation import Colours
from posinfo.networks.models.trained_file import (
    COLOURS,
    backbone_weights,
    is_trained_file,
    trained_colours,
    without_colours,
)

SUFFIXES = (".safetensors", ".pth", ".pt")
# keys of training frameworks' checkpoints; model_state: of the channel attack's released code
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
PREFIXES = ("module.", "model.", "_orig_mod.")  # DataParallel's, frameworks', torch.compile's
NESTED_HEAD = "classifier.classifier."  # of the same code; torchvision's is one level less deep
COUNTER = "num_batches_tracked"  # files of older PyTorch versions lack it
KEYS_LISTED = 4
NUMPY_NUMBER = [  # what a float of NumPy is read by; none of it runs code
    np.dtype,
    np.dtypes.Float64DType,
    (scalar, "numpy.core.multiarray.scalar"),
    (scalar, "numpy._core.multiarray.scalar"),
]
CLASSIFIERS = ("classifier.", "fc.", "head.", "heads.", "AuxLogits.", "aux1.", "aux2.")
FULLY_PADDED = "padded_fully"  # a buffer that ``shift_invariant.pad_fully`` leaves as its mark


def is_state_file(weights: str) -> bool:
    """Whether a source of weights is the path of a state dict."""
    return Path(weights).suffix in SUFFIXES


def file_key(path: Path, setting: str) -> str:
    """Of the content of a file.

    Args:
        path: of the file.
        setting: that holds the path, for the message.

    Raises:
        FileNotFoundError: there is no such file.
    """
    stat = _existing(path, setting).stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


def fitting_state(
    path: Path,
    expected: Mapping[str, Tensor],
    needed: frozenset[str] | None,
    left_out: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """The tensors of a file that a network takes, in float32, once all that it needs is there.

    Args:
        path: of the file.
        expected: the network's state dict; its values are not read.
        needed: names of the tensors that must be there; None: all but the classifier's.
        left_out: what the names of tensors begin with that the file may have and nobody needs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or is of another network.
    """
    state = _with_flat_head(_of_the_backbone(_read(path), expected))
    state = {
        name: tensor
        for name, tensor in state.items()
        if name in expected or not name.startswith(left_out)
    }
    if needed is None:
        needed = frozenset(name for name in expected if not name.startswith(CLASSIFIERS))
    needed |= {name for name in expected if name.endswith(FULLY_PADDED)}  # no map depends on it
    misshapen = {n for n in state.keys() & expected.keys() if state[n].shape != expected[n].shape}
    known = state.keys() & expected.keys() - misshapen
    problems = {
        "missing": sorted(name for name in needed - state.keys() if not name.endswith(COUNTER)),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another shape": sorted(
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in needed & misshapen
        ),
        "of another type": sorted(
            f"{name} {state[name].dtype} {state[name].layout}".replace("torch.", "")
            for name in known
            if not _same_type(state[name], expected[name])
        ),
        "not finite": sorted(
            name
            for name in known
            if _same_type(state[name], expected[name]) and not state[name].float().isfinite().all()
        ),
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
        raise ValueError(f"weights: {path} does not fit the architecture ({listed})")
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
        if name not in misshapen
    }


def stored_colours(path: Path) -> Colours | None:
    """Those of the images of a training of this project; None: the file is of another."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, "pt") as file:
        names = set(file.keys()) & set(COLOURS)
        stored = {name: file.get_tensor(name) for name in names}
    return trained_colours(stored) if stored else None


@lru_cache(maxsize=256)
def _sha256(path: Path, changed: int, size: int) -> str:
    """Of a file; asked again when its time of change or its size differ."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _existing(path: Path, setting: str = "weights") -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{setting}: there is no file {path}")
    return path


def _read(path: Path) -> dict[str, Tensor]:
    _existing(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with safe_globals(NUMPY_NUMBER):  # a checkpoint may hold its best score
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each have errors of their own
        raise ValueError(
            f"weights: {path} is damaged, or holds more than tensors (weights_only): {error}"
        ) from error
    while isinstance(state, dict) and (
        inside := [state[name] for name in WRAPPERS if isinstance(state.get(name), dict)]
    ):
        state = inside[0]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ValueError(f"weights: {path} must hold a state dict (names to tensors)")
    return state


def _of_the_backbone(state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone in a file of a wrapped network, or of the experiments that train networks."""
    if is_trained_file(state):
        whole = without_colours(state)
        return whole if expected.keys() <= whole.keys() else backbone_weights(state)
    for prefix in PREFIXES * 2:  # they may be nested
        own = all(name.startswith(prefix) for name in expected)
        if state and not own and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _with_flat_head(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace(NESTED_HEAD, "classifier.", 1): value for name, value in state.items()}


def _same_type(tensor: Tensor, expected: Tensor) -> bool:
    kind = tensor.is_floating_point() == expected.is_floating_point()
    return kind and not tensor.is_complex() and tensor.layout == torch.strided


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > KEYS_LISTED else ""
    return ", ".join(names[:KEYS_LISTED]) + more
